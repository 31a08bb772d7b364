// Package storetest holds one conformance suite per storage contract. Every
// backend runs the same suites from its own tests, so that what the contract
// says is true of each of them.
//
// The suites attack: unknown keys, empty answers, concurrent writers, strange
// text, limits and order, closing and opening again, and SIGKILL of a real
// process at random moments. It also starts a real PostgreSQL for the tests
// that need one ([Postgres]). It is used by tests only and does not know the
// backends.
package storetest

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// seed returns the seed of a random test, from NORN_SEED or the clock, and
// prints it.
func seed(t *testing.T) uint64 {
	t.Helper()
	s := uint64(time.Now().UnixNano())
	if v := os.Getenv("NORN_SEED"); v != "" {
		n, err := strconv.ParseUint(v, 10, 64)
		if err != nil {
			t.Fatalf("NORN_SEED=%q is not a number", v)
		}
		s = n
	}
	t.Logf("seed: NORN_SEED=%d", s)
	return s
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }

func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

const crashPlace = "NORN_CRASH_PLACE"

// inChild says that this process is the child of a crash test.
func inChild() bool { return os.Getenv(crashPlace) != "" }

// crash runs work in a child process (the same test of the same binary) and
// kills it with SIGKILL at a random moment, several rounds on the same place.
// work calls ack after each thing that the store acknowledged; it must not
// return. crash returns what was acknowledged over all rounds; the caller
// checks that it is there. In the child, crash does not return.
func crash(t *testing.T, place string, rounds int, work func(place string, round int, ack func(string))) []string {
	t.Helper()
	if p := os.Getenv(crashPlace); p != "" {
		round, err := strconv.Atoi(os.Getenv("NORN_CRASH_ROUND"))
		check(t, err)
		var mu sync.Mutex
		work(p, round, func(s string) {
			mu.Lock()
			defer mu.Unlock()
			fmt.Fprintf(os.Stdout, "ack %s\n", s)
		})
		t.Fatal("the child's work returned")
	}
	rng := newRand(seed(t))
	var acked []string
	for round := range rounds {
		acked = append(acked, killOnce(t, place, round, rng.IntN(400), time.Duration(rng.IntN(250))*time.Millisecond)...)
	}
	t.Logf("%d acknowledged before %d kills", len(acked), rounds)
	if len(acked) == 0 {
		t.Fatal("nothing was acknowledged: the test proved nothing")
	}
	return acked
}

// killOnce kills the child some time after it acknowledged a number of things.
func killOnce(t *testing.T, place string, round, after int, then time.Duration) []string {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^"+regexpOf(t.Name())+"$", "-test.count=1", "-test.timeout=120s")
	cmd.Env = append(os.Environ(), crashPlace+"="+place, "NORN_CRASH_ROUND="+strconv.Itoa(round))
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	check(t, err)
	check(t, cmd.Start())
	var acked []string
	other := ""
	killed := false
	sc := bufio.NewScanner(out)
	for sc.Scan() {
		id, ok := strings.CutPrefix(sc.Text(), "ack ")
		if !ok {
			other += sc.Text() + "\n"
			continue
		}
		acked = append(acked, id)
		if len(acked) > after && !killed {
			killed = true
			time.AfterFunc(then, func() { _ = cmd.Process.Signal(syscall.SIGKILL) })
		}
	}
	err = cmd.Wait()
	if ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || ws.Signal() != syscall.SIGKILL {
		t.Fatalf("round %d: the child ended by itself: %v\n%s\n%s", round, err, other, stderr.String())
	}
	return acked
}

// regexpOf matches exactly the test of that name and its parents.
func regexpOf(name string) string { return strings.ReplaceAll(name, "/", "$/^") }

// together runs f n times at once and waits.
func together(n int, f func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { f(i) })
	}
	wg.Wait()
}

func background() context.Context { return context.Background() }

// strange texts that a store must give back as they were.
func strange() []string {
	return []string{
		"plain", "with \"quotes\" and 'others' and \\ and `ticks`", "tab\tand\nnewline\r\n", "NUL\x00inside\x00",
		"Grüße aus Zürich, 東京, 🦊", "right-to-left \u202eabc", "| stats count() {a=\"b\"} _msg:x", "%s %d %!v",
		"'; DROP TABLE incidents; --", "{\"json\": [1, 2, null]}", " leading and trailing ", strings.Repeat("long ", 2000),
	}
}
