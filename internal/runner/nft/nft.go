//go:build linux

// Package nft blocks hosts and closes ports with nftables.
//
// It exists so that a source of attacks can be kept out for a while. It works
// in its own table, inet norn, and leaves all others alone; every element has a
// time to live in the kernel, so a block ends even when Norn is gone. Each
// change is one netlink transaction. It does not decide whom to block: the
// inputs were checked before. A [Runner] is safe for concurrent use. Main type:
// [Runner].
package nft

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"

	"github.com/norn-aiops/norn/internal/remedy"
)

// TableName is the table that belongs to Norn, in family inet.
const TableName = "norn"

// Names of the actions that a [Runner] carries out.
const (
	BlockHost = "block-host" // inputs address, minutes
	ClosePort = "close-port" // inputs port, minutes
)

// Runner carries out BlockHost and ClosePort.
type Runner struct {
	NetNS int // file descriptor of a network namespace; 0 is the process's own
}

func (r Runner) conn() (*nftables.Conn, error) {
	var opts []nftables.ConnOption
	if r.NetNS != 0 {
		opts = append(opts, nftables.WithNetNSFd(r.NetNS))
	}
	c, err := nftables.New(opts...)
	if err != nil {
		return nil, fmt.Errorf("cannot talk to nftables: %w", err)
	}
	return c, nil
}

// place is where a piece of work goes.
type place struct {
	set  string
	key  []byte
	keep time.Duration
	text string
}

func placeOf(w remedy.Work) (place, error) {
	minutes, err := strconv.Atoi(w.Inputs["minutes"])
	if err != nil || minutes <= 0 {
		return place{}, fmt.Errorf("minutes %q is not a positive number", w.Inputs["minutes"])
	}
	p := place{keep: time.Duration(minutes) * time.Minute}
	switch w.Action {
	case BlockHost:
		a, err := netip.ParseAddr(w.Inputs["address"])
		if err != nil {
			return place{}, fmt.Errorf("%q is no address: %w", w.Inputs["address"], err)
		}
		p.set, p.key = "blocked4", a.AsSlice()
		if a.Is6() {
			p.set = "blocked6"
		}
		p.text = fmt.Sprintf("drop packets from %s for %s (nftables: inet %s, set %s)", a, p.keep, TableName, p.set)
	case ClosePort:
		n, err := strconv.ParseUint(w.Inputs["port"], 10, 16)
		if err != nil {
			return place{}, fmt.Errorf("%q is no port: %w", w.Inputs["port"], err)
		}
		p.set, p.key = "closed", binary.BigEndian.AppendUint16(nil, uint16(n))
		p.text = fmt.Sprintf("refuse connections from other hosts to port %d for %s (nftables: inet %s, set %s)", n, p.keep, TableName, p.set)
	default:
		return place{}, fmt.Errorf("nftables has no action %q", w.Action)
	}
	return p, nil
}

// Plan says which element goes into which set.
func (r Runner) Plan(_ context.Context, w remedy.Work) ([]string, error) {
	p, err := placeOf(w)
	if err != nil {
		return nil, err
	}
	return []string{p.text}, nil
}

// receiptThere marks an element that was there before: it is not ours to take
// away.
const receiptThere = "was there before"

// Apply adds the element, making table, sets and rules when they are missing.
func (r Runner) Apply(_ context.Context, w remedy.Work) (string, error) {
	p, err := placeOf(w)
	if err != nil {
		return "", err
	}
	c, err := r.conn()
	if err != nil {
		return "", err
	}
	if there, err := has(c, p); err != nil || there {
		return receiptThere, err
	}
	sets, err := r.build(c)
	if err != nil {
		return "", err
	}
	if err := c.SetAddElements(sets[p.set], []nftables.SetElement{{Key: p.key, Timeout: p.keep}}); err != nil {
		return "", fmt.Errorf("cannot add to set %s: %w", p.set, err)
	}
	if err := c.Flush(); err != nil {
		return "", fmt.Errorf("nftables refuses: %w", err)
	}
	return "added", nil
}

// Applied looks for the element.
func (r Runner) Applied(_ context.Context, w remedy.Work) (done, known bool, err error) {
	p, err := placeOf(w)
	if err != nil {
		return false, false, err
	}
	c, err := r.conn()
	if err != nil {
		return false, false, err
	}
	done, err = has(c, p)
	return done, err == nil, err
}

// Undo takes the element out, if it is still there and was not there before.
func (r Runner) Undo(_ context.Context, w remedy.Work, receipt string) (bool, error) {
	p, err := placeOf(w)
	if err != nil || receipt == receiptThere {
		return true, err
	}
	c, err := r.conn()
	if err != nil {
		return true, err
	}
	there, err := has(c, p)
	if err != nil || !there {
		return true, err
	}
	set, err := c.GetSetByName(table(), p.set)
	if err != nil {
		return true, fmt.Errorf("cannot find set %s: %w", p.set, err)
	}
	if err := c.SetDeleteElements(set, []nftables.SetElement{{Key: p.key}}); err != nil {
		return true, fmt.Errorf("cannot take out of set %s: %w", p.set, err)
	}
	if err := c.Flush(); err != nil {
		return true, fmt.Errorf("nftables refuses: %w", err)
	}
	return true, nil
}

func table() *nftables.Table {
	return &nftables.Table{Family: nftables.TableFamilyINet, Name: TableName}
}

func has(c *nftables.Conn, p place) (bool, error) {
	tables, err := c.ListTablesOfFamily(nftables.TableFamilyINet)
	if err != nil {
		return false, fmt.Errorf("cannot list nftables' tables: %w", err)
	}
	for _, t := range tables {
		if t.Name != TableName {
			continue
		}
		set, err := c.GetSetByName(t, p.set)
		if err != nil {
			return false, fmt.Errorf("table %s has no set %s: %w", TableName, p.set, err)
		}
		elements, err := c.GetSetElements(set)
		if err != nil {
			return false, fmt.Errorf("cannot list set %s: %w", p.set, err)
		}
		for _, e := range elements {
			if bytes.Equal(e.Key, p.key) {
				return true, nil
			}
		}
	}
	return false, nil
}

// build queues table, sets, chains and rules. Sets keep their elements; chains
// are filled anew, all in one transaction.
func (r Runner) build(c *nftables.Conn) (map[string]*nftables.Set, error) {
	t := c.AddTable(table())
	sets := map[string]*nftables.Set{}
	for name, kind := range map[string]nftables.SetDatatype{"blocked4": nftables.TypeIPAddr, "blocked6": nftables.TypeIP6Addr, "closed": nftables.TypeInetService} {
		s := &nftables.Set{Table: t, Name: name, KeyType: kind, HasTimeout: true}
		if err := c.AddSet(s, nil); err != nil {
			return nil, fmt.Errorf("cannot make set %s: %w", name, err)
		}
		sets[name] = s
	}
	for _, hook := range []struct {
		name string
		hook *nftables.ChainHook
	}{{"input", nftables.ChainHookInput}, {"forward", nftables.ChainHookForward}} {
		accept := nftables.ChainPolicyAccept
		ch := c.AddChain(&nftables.Chain{Name: hook.name, Table: t, Type: nftables.ChainTypeFilter, Hooknum: hook.hook,
			Priority: nftables.ChainPriorityRef(-10), Policy: &accept})
		c.FlushChain(ch)
		rule := func(parts ...[]expr.Any) {
			var all []expr.Any
			for _, p := range parts {
				all = append(all, p...)
			}
			c.AddRule(&nftables.Rule{Table: t, Chain: ch, Exprs: all})
		}
		counted := func(v ...expr.Any) []expr.Any { return append([]expr.Any{&expr.Counter{}}, v...) }
		drop := &expr.Verdict{Kind: expr.VerdictDrop}
		if hook.name == "input" {
			rule(meta(expr.MetaKeyIIFNAME, append([]byte("lo"), make([]byte, 14)...)), []expr.Any{&expr.Verdict{Kind: expr.VerdictAccept}})
		}
		rule(proto(nftables.TableFamilyIPv4), load(expr.PayloadBaseNetworkHeader, 12, 4), in(sets["blocked4"]), counted(drop))
		rule(proto(nftables.TableFamilyIPv6), load(expr.PayloadBaseNetworkHeader, 8, 16), in(sets["blocked6"]), counted(drop))
		if hook.name == "input" {
			reset := &expr.Reject{Type: 1, Code: 0} // NFT_REJECT_TCP_RST
			rule(meta(expr.MetaKeyL4PROTO, []byte{6}), load(expr.PayloadBaseTransportHeader, 2, 2), in(sets["closed"]), counted(reset))
			rule(meta(expr.MetaKeyL4PROTO, []byte{17}), load(expr.PayloadBaseTransportHeader, 2, 2), in(sets["closed"]), counted(drop))
		}
	}
	return sets, nil
}

func meta(k expr.MetaKey, v []byte) []expr.Any {
	return []expr.Any{&expr.Meta{Key: k, Register: 1}, &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: v}}
}

func proto(f nftables.TableFamily) []expr.Any { return meta(expr.MetaKeyNFPROTO, []byte{byte(f)}) }

func load(base expr.PayloadBase, offset, n uint32) []expr.Any {
	return []expr.Any{&expr.Payload{DestRegister: 1, Base: base, Offset: offset, Len: n}}
}

func in(s *nftables.Set) []expr.Any {
	return []expr.Any{&expr.Lookup{SourceRegister: 1, SetName: s.Name, SetID: s.ID}}
}
