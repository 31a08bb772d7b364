package remediate_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/norn-aiops/norn/internal/graph"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/remediate"
	"github.com/norn-aiops/norn/internal/remedy"
	"github.com/norn-aiops/norn/internal/store/state"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// dieEnv makes the test binary work on a run and kill itself with SIGKILL at
// the n-th write to the store, before or after it, or within the runner.
const dieEnv = "NORN_TEST_DIE"

func TestMain(m *testing.M) {
	if spec := os.Getenv(dieEnv); spec != "" {
		dir, at, _ := strings.Cut(spec, "|")
		n, _ := strconv.Atoi(at) // 0: never
		work(dir, &fuse{left: n})
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// fuse burns down at each point at which a process may die.
type fuse struct{ left int }

func (f *fuse) burn() {
	f.left--
	if f.left == 0 {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
}

// mortal is the real state store with a fuse.
type mortal struct {
	*state.DB
	f *fuse
}

func (m mortal) PutRun(ctx context.Context, r *ops.Run) error {
	m.f.burn()
	err := m.DB.PutRun(ctx, r)
	m.f.burn()
	return err
}

func (m mortal) AppendLedger(ctx context.Context, next func(ops.LedgerEntry) (ops.LedgerEntry, error)) (ops.LedgerEntry, error) {
	m.f.burn()
	e, err := m.DB.AppendLedger(ctx, next)
	m.f.burn()
	return e, err
}

// diary is a runner whose effect is a file, and which counts in another one how
// often it was done. It can look (sees) whether it was done, or not.
type diary struct {
	dir  string
	sees bool
	f    *fuse
}

func (d diary) Plan(context.Context, remedy.Work) ([]string, error) {
	return []string{"write the file"}, nil
}

func (d diary) Apply(context.Context, remedy.Work) (string, error) {
	d.f.burn()
	err := errors.Join(appendLine(d.dir+"/count", "applied"), appendLine(d.dir+"/effect", "x"))
	d.f.burn()
	return "written", err
}

func (d diary) Applied(context.Context, remedy.Work) (bool, bool, error) {
	_, err := os.Stat(d.dir + "/effect")
	return err == nil, d.sees, nil
}

func (d diary) Undo(context.Context, remedy.Work, string) (bool, error) {
	d.f.burn()
	err := os.Remove(d.dir + "/effect")
	d.f.burn()
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	return true, err
}

func appendLine(path, text string) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, text)
	return errors.Join(err, f.Close())
}

func cart() telemetry.Entity {
	return telemetry.Entity{Kind: telemetry.KindService, Name: "cart"}
}

// manage opens the state in dir and makes a manager with one action.
func manage(dir string, f *fuse, change func(*remediate.Options)) (*remediate.Manager, *state.DB, error) {
	db, err := state.Open(context.Background(), "sqlite:"+dir+"/state.db")
	if err != nil {
		return nil, nil, err
	}
	lib, err := remedy.Load()
	if err != nil {
		return nil, nil, err
	}
	_, err = os.Stat(dir + "/blind")
	verify := time.Hour
	if _, err := os.Stat(dir + "/helpless"); err == nil {
		verify = time.Millisecond
	}
	a := remediate.Bound{Runner: diary{dir, err != nil, f}, Action: remedy.Action{Name: "restart", Level: ops.AutonomyAct, TimeBox: time.Second, Verify: verify,
		Inputs: []remedy.Input{{Name: "service", Type: "name", Allow: []string{"cart"}}}}}
	o := remediate.Options{Library: lib, Actions: []remediate.Bound{a}, Store: mortal{db, f}, State: db, Graph: func(int64) *graph.View { return graph.NewView(nil) },
		Policy: remedy.Policy{PerHour: 10, Approval: time.Hour, Least: 2}}
	if change != nil {
		change(&o)
	}
	return remediate.New(o), db, nil
}

// seed stores an incident whose anomaly lasts or has ended.
func seed(ctx context.Context, db *state.DB, ended bool) error {
	now := time.Now().UnixMilli()
	a := ops.Anomaly{ID: "a1", Entity: cart(), Onset: now - 60_000, LastSeen: now, Signal: telemetry.SignalErrors, Series: "errors", Kind: ops.AnomalyLevel}
	if ended {
		a.Ended = now
	}
	in := &ops.Incident{ID: "inc", State: ops.StateOpen, Verdict: ops.VerdictCause, Confidence: 0.9, Onset: a.Onset,
		Causes: []ops.Cause{{Entity: cart(), Role: ops.RoleRoot, Signal: telemetry.SignalErrors}}, Anomalies: []ops.Anomaly{a}}
	return errors.Join(db.PutAnomaly(ctx, &a), db.PutIncident(ctx, in))
}

// work asks for the run (once) and moves it on until it is over.
func work(dir string, f *fuse) {
	ctx := context.Background()
	m, db, err := manage(dir, f, nil)
	if err != nil {
		panic(err)
	}
	defer db.Close()
	_, _ = m.Request(ctx, remediate.Ask{Incident: "inc", Action: "restart", Inputs: map[string]string{"service": "cart"}, Who: "ana"}) // refused when it was made before
	m.Step(ctx)
	if _, err := os.Stat(dir + "/helpless"); err != nil { // it helps: the detector is normal again
		if err := seed(ctx, db, true); err != nil {
			panic(err)
		}
	}
	time.Sleep(2 * time.Millisecond) // longer than a helpless run may take
	m.Step(ctx)
}

// TestKilledAtEveryStepARunIsNeverDoneTwiceNorLeftHalfDone kills the process at
// every point, starts it again until it is over, and looks at what was done.
func TestKilledAtEveryStepARunIsNeverDoneTwiceNorLeftHalfDone(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"", "blind", "helpless"} {
		kills := 0
		for n := 1; ; n++ {
			dir := t.TempDir()
			if kind != "" {
				if err := os.WriteFile(dir+"/"+kind, nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			db, err := state.Open(context.Background(), "sqlite:"+dir+"/state.db")
			if err == nil {
				err = errors.Join(seed(context.Background(), db, false), db.Close())
			}
			if err != nil {
				t.Fatal(err)
			}
			c := exec.Command(self)
			c.Env = append(os.Environ(), fmt.Sprintf("%s=%s|%d", dieEnv, dir, n))
			out, err := c.CombinedOutput()
			killed := err != nil && c.ProcessState.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL
			if err != nil && !killed {
				t.Fatalf("%s %d: %v: %s", kind, n, err, out)
			}
			if killed {
				kills++
				work(dir, &fuse{}) // the next process
			}
			look(t, fmt.Sprintf("%s killed at point %d", kind, n), dir)
			if !killed {
				wantEnd(t, dir, map[bool]ops.RunState{true: ops.RunRolledBack, false: ops.RunSucceeded}[kind == "helpless"])
				break
			}
		}
		t.Logf("%q: %d points", kind, kills)
		if kills < 12 {
			t.Errorf("%q: only %d points were tried", kind, kills)
		}
	}
}

// look checks what is left of a run.
func look(t *testing.T, what, dir string) {
	t.Helper()
	m, db, err := manage(dir, &fuse{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	runs, err := db.Runs(context.Background(), "", 10)
	if err != nil || len(runs) != 1 {
		t.Fatalf("%s: %d runs, %v", what, len(runs), err)
	}
	count, _ := os.ReadFile(dir + "/count") // it may never have been done
	if n := strings.Count(string(count), "applied"); n > 1 {
		t.Errorf("%s: it was done %d times", what, n)
	}
	_, statErr := os.Stat(dir + "/effect")
	done := statErr == nil
	if r := runs[0]; !r.State.Over() || done != (r.State == ops.RunSucceeded) {
		t.Errorf("%s: the run is %s (%s), the effect is there: %v", what, r.State, r.Text, done)
	}
	if _, _, err := m.VerifyLedger(context.Background(), ""); err != nil {
		t.Errorf("%s: %v", what, err)
	}
}

// wantEnd checks how a run ended that nobody killed.
func wantEnd(t *testing.T, dir string, want ops.RunState) {
	t.Helper()
	_, db, err := manage(dir, &fuse{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if runs, err := db.Runs(context.Background(), "", 1); err != nil || runs[0].State != want {
		t.Errorf("the run ended %s (%s), want %s; %v", runs[0].State, runs[0].Text, want, err)
	}
}
