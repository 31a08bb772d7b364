package remediate_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/remediate"
	"github.com/norn-aiops/norn/internal/remedy"
	"github.com/norn-aiops/norn/internal/store"
)

// still is a runner that must never be asked to do anything.
type still struct {
	diary
	t *testing.T
}

func (s still) Apply(_ context.Context, w remedy.Work) (string, error) {
	s.t.Errorf("it was done: %+v", w)
	return "", nil
}

// attacks lists inputs that must be refused, by action and input.
func attacks() map[string]map[string][]string {
	names := []string{"", " ", "cart;reboot", "cart && reboot", "cart|nc 1.2.3.4 1", "$(reboot)", "`reboot`", "${IFS}", "cart\nreboot", "cart\x00", "cart\r", "cart\treboot", "'cart'", `"cart"`,
		"cart reboot", "cart>x", "cart<x", "cart&", "cart*", "cart?", "[a-z]art", "{cart,pay}", "~root", "!cart", "#cart", "cart\\", "%2e%2e", "cart%00", "-rf", "--force", "-", "--", "-o=x",
		"../cart", "..", ".", "./cart", "/etc/passwd", "cart/../../etc", "cart/..", "..\\cart", "c:\\cart", "\\\\host\\share", "file:///etc/passwd", "http://x/", ".cart", "cart..pay", "....//cart",
		"саrt", "ｃａｒｔ", "cart\u200b", "\u202ecart", "ca\u0301rt", "cart\u2024service", "cart\uff0f", "ⅽart", "c𝐚rt", "cart\u00a0", "\ufeffcart", "caⓡt", "cart\u2215x", "cårt", "cart\xff", "カート",
		"payments", "carts", "xcart", "Cart", "CART", "cart@", "cart:1", "vault", "vault-1", "VAULT", "core-router", strings.Repeat("a", 129), strings.Repeat("cart", 5000), "null", "true", "{service}", "{{.}}", "%s%n", "*", ""}
	addresses := []string{"", "0.0.0.0/0", "::/0", "0.0.0.0", "::", "0/0", "203.0.113.0/24", "203.0.113.9/32", "2001:db8::1/128", "2001:db8::/32", "203.0.113.9-203.0.113.20", "203.0.113.*", "any", "all", "localhost",
		"127.0.0.1", "127.1", "127.255.255.254", "2130706433", "0x7f000001", "0177.0.0.1", "::1", "::ffff:127.0.0.1", "::ffff:203.0.113.9", "64:ff9b::7f00:1", "2002:7f00:1::", "::7f00:1", "169.254.169.254", "fe80::1",
		"fe80::1%eth0", "2001:db8::1%lo", "224.0.0.1", "239.1.2.3", "ff02::1", "255.255.255.255", "0.1.2.3", "10.0.0.1", "10.255.255.255", "64:ff9b::a00:1", "2002:a00:1::", "198.51.100.7", "2001:db8:5::7", "64:ff9b::c633:6407",
		"203.0.113.9 ", " 203.0.113.9", "203.0.113.9\n", "203.0.113.9;reboot", "203.0.113.9, 203.0.113.10", "203.0.113.09", "203.0.113.256", "203.0.113", "203.0.113.9.", "２０３.0.113.9", "203。0。113。9", "2o3.0.113.9",
		"٢٠٣.0.113.9", "203.0.113.9\x00", "-203.0.113.9", "+203.0.113.9", "[2001:db8::1]", "203.0.113.9:80", "drop", "@blocked4", "{ 203.0.113.9 }", "2001:db8::g", ":::", "1::2::3", strings.Repeat("1", 5000)}
	numbers := []string{"", "0", "-1", "+80", "65536", "99999", "080", "0x50", "8e1", "80.0", "80-90", "80,443", " 80", "80 ", "80\n", "８０", "٨٠", "80;x", "any", "*", "ssh", "22", "7700", "999999999999999999999", "0.0", "1_0", "80\x00", "NaN"}
	minutes := []string{"", "0", "-5", "10081", "99999999", "5m", "forever", "1e3", "５", " 5", "5 ", "05", "inf"}
	return map[string]map[string][]string{"restart": {"service": names}, "block-host": {"address": addresses, "minutes": minutes}, "close-port": {"port": numbers, "minutes": minutes}}
}

// fortress has three actions at level act, protected things and an incident.
func fortress(t *testing.T, change func(*remediate.Options)) (*remediate.Manager, store.Remedies) {
	t.Helper()
	dir := t.TempDir()
	run := still{diary{dir, true, &fuse{}}, t}
	in := func(kv ...string) (out []remedy.Input) {
		for i := 0; i < len(kv); i += 2 {
			out = append(out, remedy.Input{Name: kv[i], Type: kv[i+1], Allow: []string{"cart", "vault.*"}})
		}
		return out
	}
	m, db, err := manage(dir, &fuse{}, func(o *remediate.Options) {
		o.Actions = nil
		for name, inputs := range map[string][]remedy.Input{"restart": in("service", "name"), "block-host": in("address", "address", "minutes", "minutes"), "close-port": in("port", "port", "minutes", "minutes")} {
			o.Actions = append(o.Actions, remediate.Bound{Runner: run, Action: remedy.Action{Name: name, Level: ops.AutonomyAct, TimeBox: time.Second, Verify: time.Hour, Inputs: inputs}})
		}
		o.Guard = remedy.Guard{Ranges: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, Hosts: []string{"vault.*", "core-.*"}, Ports: []uint16{22, 7700},
			Own: func() []netip.Addr {
				return []netip.Addr{netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("2001:db8:5::7")}
			}}
		if change != nil {
			change(o)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	if err := seed(context.Background(), db, false); err != nil {
		t.Fatal(err)
	}
	return m, db
}

func refused(t *testing.T, what string, err error, word string) {
	t.Helper()
	if !errors.Is(err, remedy.ErrRefused) {
		t.Errorf("%s was not refused: %v", what, err)
	} else if !strings.Contains(err.Error(), word) {
		t.Errorf("%s: the reason is not clear: %v (want %q)", what, err, word)
	}
}

func TestTwoHundredAttacksAreRefusedWithAReason(t *testing.T) {
	m, db := fortress(t, nil)
	ctx, n := context.Background(), 0
	good := map[string]string{"service": "cart", "address": "203.0.113.9", "port": "8080", "minutes": "60"}
	for action, inputs := range attacks() {
		for name, values := range inputs {
			for _, v := range values {
				q := map[string]string{name: v}
				for other := range inputs {
					if other != name {
						q[other] = good[other]
					}
				}
				for _, dry := range []bool{true, false} {
					_, err := m.Request(ctx, remediate.Ask{Incident: "inc", Action: action, Inputs: q, Who: "mallory", DryRun: dry})
					refused(t, fmt.Sprintf("%s %s=%.60q", action, name, v), err, name)
				}
				n++
			}
		}
	}
	for _, q := range []remediate.Ask{
		{Incident: "inc", Action: "rm", Who: "m"}, {Incident: "inc", Action: "", Who: "m"}, {Incident: "inc", Action: "restart\x00", Who: "m"}, {Incident: "inc", Action: "../restart", Who: "m"}, {Incident: "inc", Action: "Restart", Who: "m"},
		{Incident: "inc", Action: "restart", Inputs: map[string]string{"service": "cart", "argv": "x"}, Who: "m"}, {Incident: "inc", Action: "restart", Inputs: map[string]string{"Service": "cart"}, Who: "m"},
		{Incident: "inc", Action: "restart", Who: "m"}, {Incident: "inc", Action: "restart", Inputs: map[string]string{"service": "cart"}}, {Incident: "inc", Action: "restart", Inputs: map[string]string{"service": "cart"}, Who: " \t"},
		{Incident: "inc", Action: "block-host", Inputs: map[string]string{"address": "203.0.113.9"}, Who: "m"},
	} {
		_, err := m.Request(ctx, q)
		refused(t, fmt.Sprintf("%+v", q), err, "refused")
		n++
	}
	if n < 200 {
		t.Errorf("only %d attacks", n)
	}
	t.Logf("%d attacks refused", n)
	if runs, err := db.Runs(ctx, "", 10); err != nil || len(runs) != 0 {
		t.Errorf("%d runs, %v", len(runs), err)
	}
	if _, _, err := m.VerifyLedger(ctx, ""); err != nil {
		t.Error(err)
	}
	if e, err := m.Ledger(ctx, store.LedgerFilter{Kind: "refused"}); err != nil || len(e) < n {
		t.Errorf("%d refusals are in the ledger, %v", len(e), err)
	}
	for action, q := range map[string]map[string]string{"block-host": {"address": "203.0.113.9", "minutes": "60"}, "close-port": {"port": "8080", "minutes": "1"}, "restart": {"service": "cart"}} {
		if _, err := m.Request(ctx, remediate.Ask{Incident: "inc", Action: action, Inputs: q, Who: "ana", DryRun: true}); err != nil {
			t.Errorf("what is right must not be refused: %v", err)
		}
	}
}

// asking turns the fortress into one that asks two people.
func asking(at *time.Time) func(*remediate.Options) {
	return func(o *remediate.Options) {
		for i := range o.Actions {
			o.Actions[i].Level, o.Actions[i].Approvals = ops.AutonomyAsk, 2
		}
		o.Now = func() time.Time { return *at }
		o.Approver = func(who, token string) error {
			if token != "token of "+who {
				return fmt.Errorf("%w: not an approver", remedy.ErrRefused)
			}
			return nil
		}
	}
}

func TestStaleReplayedAndForeignApprovalsCountForNothing(t *testing.T) {
	at, ctx := time.Now(), context.Background()
	m, db := fortress(t, asking(&at))
	r, err := m.Request(ctx, remediate.Ask{Incident: "inc", Action: "restart", Inputs: map[string]string{"service": "cart"}, Who: "ana"})
	if err != nil {
		t.Fatal(err)
	}
	say := func(what, word, id, who, token, digest string) {
		t.Helper()
		_, err := m.Approve(ctx, id, who, token, digest)
		refused(t, what, err, word)
	}
	say("the requester's own", "two people", r.ID, "Ana ", "token of Ana ", r.Digest)
	say("another's token", "not an approver", r.ID, "bob", "token of eve", r.Digest)
	say("no token", "not an approver", r.ID, "bob", "", r.Digest)
	say("another digest", "something else", r.ID, "bob", "token of bob", strings.Repeat("0", 64))
	say("no digest", "something else", r.ID, "bob", "token of bob", "")
	if _, err := m.Approve(ctx, r.ID, "bob", "token of bob", r.Digest); err != nil {
		t.Fatal(err)
	}
	say("a replay", "already", r.ID, "bob", "token of bob", r.Digest)
	say("a replay in other letters", "already", r.ID, "BOB", "token of BOB", r.Digest)
	if _, err := m.Approve(ctx, "run-none", "bob", "token of bob", r.Digest); !errors.Is(err, store.ErrNotFound) {
		t.Error(err)
	}

	changed, err := db.Run(ctx, r.ID) // somebody changes what was approved
	if err != nil {
		t.Fatal(err)
	}
	changed.Inputs = map[string]string{"service": "vault"}
	if err := db.PutRun(ctx, changed); err != nil {
		t.Fatal(err)
	}
	say("a changed run", "something else", r.ID, "eve", "token of eve", r.Digest)
	changed.State = ops.RunReady // and even makes it ready
	if err := db.PutRun(ctx, changed); err != nil {
		t.Fatal(err)
	}
	m.Step(ctx)
	if is, err := m.Get(ctx, r.ID); err != nil || is.State != ops.RunCancelled {
		t.Errorf("a changed run is %s, %v", is.State, err)
	}

	late, err := m.Request(ctx, remediate.Ask{Incident: "inc", Action: "close-port", Inputs: map[string]string{"port": "8080", "minutes": "5"}, Who: "ana"})
	if err != nil {
		t.Fatal(err)
	}
	at = at.Add(61 * time.Minute)
	say("a stale approval", "ended", late.ID, "bob", "token of bob", late.Digest)
	m.Step(ctx)
	say("an approval of a cancelled run", "cancelled", late.ID, "bob", "token of bob", late.Digest)
}

func TestSwitchFreezeBudgetScopeAndLevelHoldRunsBack(t *testing.T) {
	ctx, at := context.Background(), time.Now()
	ask := remediate.Ask{Incident: "inc", Action: "restart", Inputs: map[string]string{"service": "cart"}, Who: "ana"}
	m, _ := fortress(t, nil)
	if err := m.Stop(ctx, "ana", "maintenance", true); err != nil {
		t.Fatal(err)
	}
	_, err := m.Request(ctx, ask)
	refused(t, "while stopped", err, "stopped")
	m, _ = fortress(t, func(o *remediate.Options) {
		o.Policy.Freezes = []remedy.Freeze{{Name: "holidays", From: at.Add(-time.Hour), To: at.Add(time.Hour)}}
	})
	_, err = m.Request(ctx, ask)
	refused(t, "in a freeze", err, "holidays")
	m, _ = fortress(t, func(o *remediate.Options) {
		for i := range o.Actions {
			o.Actions[i].Level = ops.AutonomySuggest
		}
	})
	_, err = m.Request(ctx, ask)
	refused(t, "at level suggest", err, "suggest")
	m, _ = fortress(t, func(o *remediate.Options) {
		for i := range o.Actions {
			o.Actions[i].When = `target.kind == "host" && blast.services < 3`
			if err := o.Actions[i].Prepare(); err != nil {
				t.Fatal(err)
			}
		}
	})
	_, err = m.Request(ctx, ask)
	refused(t, "without its precondition", err, "precondition")
	m, _ = fortress(t, func(o *remediate.Options) { o.Guard.Hosts = []string{"service/cart"} })
	_, err = m.Request(ctx, ask)
	refused(t, "on a protected target", err, "protected")

	p, r := remedy.Policy{PerHour: 1}, &ops.Run{ID: "r", Scope: cart(), Automatic: true}
	began := []ops.RunStep{{From: at.UnixMilli() - 1000}}
	refused(t, "a second one on the same scope", p.Begin(r, []ops.Run{{ID: "o", Scope: cart(), State: ops.RunVerifying, Steps: began}}, false, at.UnixMilli()), "one at a time")
	refused(t, "above the budget", p.Begin(r, []ops.Run{{ID: "o", Automatic: true, State: ops.RunSucceeded, Steps: began}}, false, at.UnixMilli()), "budget")
}

func TestAForgedLedgerIsNoticed(t *testing.T) {
	m, _ := fortress(t, nil)
	ctx := context.Background()
	for i := range 5 {
		if err := m.Stop(ctx, "ana", fmt.Sprint(i), i%2 == 0); err != nil {
			t.Fatal(err)
		}
	}
	all, err := m.Ledger(ctx, store.LedgerFilter{})
	if err != nil || len(all) != 5 || remedy.VerifyLedger(all) != nil {
		t.Fatal(len(all), err)
	}
	forge := func(what string, f func(e []ops.LedgerEntry) []ops.LedgerEntry) {
		if remedy.VerifyLedger(f(append([]ops.LedgerEntry{}, all...))) == nil {
			t.Errorf("%s goes unnoticed", what)
		}
	}
	forge("a changed text", func(e []ops.LedgerEntry) []ops.LedgerEntry { e[2].Text = "x"; return e })
	forge("another name", func(e []ops.LedgerEntry) []ops.LedgerEntry { e[2].Who = "bob"; return e })
	forge("a missing entry", func(e []ops.LedgerEntry) []ops.LedgerEntry { return append(e[:2], e[3:]...) })
	forge("a missing beginning", func(e []ops.LedgerEntry) []ops.LedgerEntry { return e[1:] })
	forge("two in another order", func(e []ops.LedgerEntry) []ops.LedgerEntry { e[1], e[2] = e[2], e[1]; return e })
	forge("an exchanged entry with a new hash", func(e []ops.LedgerEntry) []ops.LedgerEntry {
		x := e[2]
		x.Text = "x"
		e[2], _ = remedy.Seal(e[1], x) // texts only: cannot fail
		return e
	})
	if _, _, err := m.VerifyLedger(ctx, all[4].Hash); err != nil {
		t.Error(err)
	}
	if _, _, err := m.VerifyLedger(ctx, strings.Repeat("0", 64)); err == nil {
		t.Error("a hash that was noted is gone, and nobody notices")
	}
}
