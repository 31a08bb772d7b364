//go:build linux

package nft

import (
	"context"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netns"

	"github.com/norn-aiops/norn/internal/remedy"
)

// lab is two network namespaces with a cable between them: victim 10.77.0.1
// listens, attacker 10.77.0.2 dials.
type lab struct {
	t                *testing.T
	victim, attacker netns.NsHandle
}

func newLab(t *testing.T) *lab {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("making network namespaces needs root; CI runs this test as root")
	}
	l := &lab{t: t}
	v, a := "norn-v-"+t.Name(), "norn-a-"+t.Name()
	v, a = v[:min(len(v), 40)], a[:min(len(a), 40)]
	t.Cleanup(func() {
		for _, n := range []string{v, a} {
			_ = exec.Command("ip", "netns", "del", n).Run() // it may not have been made
		}
	})
	for _, c := range []string{"netns add " + v, "netns add " + a, "-n " + v + " link add veth0 type veth peer name veth1 netns " + a,
		"-n " + v + " addr add 10.77.0.1/24 dev veth0", "-n " + v + " addr add fd77::1/64 dev veth0 nodad", "-n " + v + " link set veth0 up", "-n " + v + " link set lo up",
		"-n " + a + " addr add 10.77.0.2/24 dev veth1", "-n " + a + " addr add 10.77.0.3/24 dev veth1", "-n " + a + " addr add fd77::2/64 dev veth1 nodad", "-n " + a + " link set veth1 up"} {
		if out, err := exec.Command("ip", strings.Fields(c)...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v: %s", c, err, out)
		}
	}
	var err error
	if l.victim, err = netns.GetFromName(v); err != nil {
		t.Fatal(err)
	}
	if l.attacker, err = netns.GetFromName(a); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.victim.Close(); l.attacker.Close() })
	l.within(l.victim, func() {
		for _, addr := range []string{"10.77.0.1:8080", "[fd77::1]:8080", "10.77.0.1:8081"} {
			ln, err := net.Listen("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { ln.Close() })
			go func() {
				for {
					c, err := ln.Accept()
					if err != nil {
						return
					}
					c.Close()
				}
			}()
		}
	})
	return l
}

// within runs f on a thread of its own in a namespace.
func (l *lab) within(ns netns.NsHandle, f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread ends with its goroutine
		if err := netns.Set(ns); err != nil {
			l.t.Error(err)
			return
		}
		f()
	}()
	<-done
}

// dial tries to connect from the attacker's address.
func (l *lab) dial(from, to string) (err error) {
	l.within(l.attacker, func() {
		d := net.Dialer{Timeout: 400 * time.Millisecond, LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		var c net.Conn
		if c, err = d.Dial("tcp", to); err == nil {
			c.Close()
		}
	})
	return err
}

func (l *lab) must(open bool, from, to string) {
	l.t.Helper()
	if err := l.dial(from, to); (err == nil) != open {
		l.t.Errorf("%s to %s: open is %v, want %v (%v)", from, to, err == nil, open, err)
	}
}

func block(addr string) remedy.Work {
	return remedy.Work{Run: "r", Action: BlockHost, Inputs: map[string]string{"address": addr, "minutes": "5"}}
}

func TestABlockedHostIsOutAndOthersAreIn(t *testing.T) {
	l, ctx := newLab(t), context.Background()
	r := Runner{NetNS: int(l.victim)}
	l.must(true, "10.77.0.2", "10.77.0.1:8080")
	for _, a := range []string{"10.77.0.2", "fd77::2"} {
		if done, known, err := r.Applied(ctx, block(a)); done || !known || err != nil {
			t.Fatalf("before: done %v, known %v, %v", done, known, err)
		}
		if _, err := r.Apply(ctx, block(a)); err != nil {
			t.Fatal(err)
		}
		if done, _, err := r.Applied(ctx, block(a)); !done || err != nil {
			t.Fatalf("after: done %v, %v", done, err)
		}
	}
	l.must(false, "10.77.0.2", "10.77.0.1:8080")
	l.must(false, "fd77::2", "[fd77::1]:8080")
	l.must(true, "10.77.0.3", "10.77.0.1:8080")

	again, err := r.Apply(ctx, block("10.77.0.2")) // by another run: not its to take away
	if err != nil || again != receiptThere {
		t.Fatalf("again: %q, %v", again, err)
	}
	if can, err := r.Undo(ctx, block("10.77.0.2"), again); !can || err != nil {
		t.Fatal(can, err)
	}
	l.must(false, "10.77.0.2", "10.77.0.1:8080")
	for range 2 { // undone twice is undone
		if can, err := r.Undo(ctx, block("10.77.0.2"), "added"); !can || err != nil {
			t.Fatal(can, err)
		}
	}
	l.must(true, "10.77.0.2", "10.77.0.1:8080")
	l.must(false, "fd77::2", "[fd77::1]:8080")
}

func TestAClosedPortRefusesAndItsNeighbourAnswers(t *testing.T) {
	l, ctx := newLab(t), context.Background()
	r := Runner{NetNS: int(l.victim)}
	w := remedy.Work{Run: "r", Action: ClosePort, Inputs: map[string]string{"port": "8080", "minutes": "5"}}
	if _, err := r.Apply(ctx, w); err != nil {
		t.Fatal(err)
	}
	if err := l.dial("10.77.0.2", "10.77.0.1:8080"); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("a closed port should refuse at once: %v", err)
	}
	l.must(true, "10.77.0.2", "10.77.0.1:8081")
	l.within(l.victim, func() { // the machine itself is never cut off
		c, err := net.DialTimeout("tcp", "10.77.0.1:8080", time.Second)
		if err != nil {
			t.Error(err)
			return
		}
		c.Close()
	})
	if _, err := r.Undo(ctx, w, "added"); err != nil {
		t.Fatal(err)
	}
	l.must(true, "10.77.0.2", "10.77.0.1:8080")
}

func TestTheKernelEndsABlockByItself(t *testing.T) {
	l := newLab(t)
	r := Runner{NetNS: int(l.victim)}
	p, err := placeOf(block("10.77.0.2"))
	if err != nil {
		t.Fatal(err)
	}
	if p.keep != 5*time.Minute {
		t.Errorf("kept for %s", p.keep)
	}
	if _, err := r.Apply(context.Background(), block("10.77.0.2")); err != nil {
		t.Fatal(err)
	}
	c, err := r.conn()
	if err != nil {
		t.Fatal(err)
	}
	set, err := c.GetSetByName(table(), "blocked4")
	if err != nil {
		t.Fatal(err)
	}
	elements, err := c.GetSetElements(set)
	if err != nil || len(elements) != 1 {
		t.Fatal(elements, err)
	}
	if left := elements[0].Expires; left <= 0 || left > 5*time.Minute {
		t.Errorf("the kernel forgets it in %s", left)
	}
}
