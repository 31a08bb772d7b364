package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/norn-aiops/norn/internal/api"
	"github.com/norn-aiops/norn/internal/cli"
	"github.com/norn-aiops/norn/internal/config"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/remedy"
	"github.com/norn-aiops/norn/internal/runner/webhook"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// leaking stores an incident of a service whose memory grows, and its anomaly.
func leaking(t *testing.T, a *App, ended int64) {
	t.Helper()
	cart := telemetry.Entity{Kind: telemetry.KindService, Name: "cart"}
	x := ops.Anomaly{ID: "a1", Entity: cart, Onset: time.Now().UnixMilli() - 60_000, Ended: ended, Signal: telemetry.SignalSaturation, Kind: ops.AnomalyShape, Series: "process_resident_memory_bytes"}
	in := &ops.Incident{ID: "inc1", State: ops.StateOpen, Verdict: ops.VerdictCause, Confidence: 0.9, Onset: x.Onset, Anomalies: []ops.Anomaly{x},
		Causes: []ops.Cause{{Entity: cart, Role: ops.RoleRoot, Signal: telemetry.SignalSaturation}}}
	st := a.Stores().State
	if err := errors.Join(st.PutAnomaly(context.Background(), &x), st.PutIncident(context.Background(), in)); err != nil {
		t.Fatal(err)
	}
}

// operate runs the operator's command line and decodes its JSON.
func operate(t *testing.T, a *App, into any, args ...string) error {
	t.Helper()
	root := &cobra.Command{Use: "norn", SilenceErrors: true, SilenceUsage: true}
	root.AddCommand(cli.Commands()...)
	var out bytes.Buffer
	root.SetOut(&out)
	root.SetArgs(append(args, "--server", a.URL(), "-o", "json"))
	err := root.Execute()
	if err == nil {
		err = json.Unmarshal(out.Bytes(), into)
	}
	return err
}

func TestRemediesAreOnlySuggestedUntilSomebodyConfiguresMore(t *testing.T) {
	a := inProcess(t, nil)
	leaking(t, a, 0)
	var got api.RemedyList
	if err := operate(t, a, &got, "incidents", "remedies", "inc1"); err != nil {
		t.Fatal(err)
	}
	if len(got.Remedies) == 0 || got.Remedies[0].ID != "memory-leak" || got.Remedies[0].Action != "" || got.Remedies[0].Track.Tried != 0 {
		t.Fatalf("got %+v", got.Remedies)
	}
	if err := operate(t, a, &got, "incidents", "remedies", "inc1", "--worked", "memory-leak", "--who", "ana"); err != nil {
		t.Fatal(err)
	}
	if x := got.Remedies[0].Track; x.Tried != 1 || x.Worked != 1 || x.Low <= 0.2 {
		t.Errorf("what worked is not counted: %+v", x)
	}
	var run ops.Run
	if err := operate(t, a, &run, "remedy", "run", "inc1", "restart", "--input", "service=cart", "--who", "ana"); err == nil || !strings.Contains(err.Error(), "no action") {
		t.Errorf("without configuration something is done: %v", err)
	}
	var check api.LedgerCheck
	if err := operate(t, a, &check, "remedy", "ledger", "--verify"); err != nil || !check.OK || check.Entries != 2 {
		t.Errorf("%+v, %v", check, err)
	}
	if err := operate(t, a, &check, "remedy", "ledger", "--expect", strings.Repeat("0", 64)); cli.ExitCode(err) != cli.ExitFinding {
		t.Errorf("a lost entry gives %v", err)
	}
}

func TestAnApprovedWebhookIsPostedOnceSignedAndVerified(t *testing.T) {
	const secret = "a-long-shared-secret"
	var posts atomic.Int32
	tool := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, err := io.ReadAll(r.Body)
		if err != nil || r.Header.Get(webhook.HeaderSignature) != "sha256="+webhook.Sign(secret, r.Header.Get(webhook.HeaderTime), raw) || !strings.HasSuffix(r.Header.Get(webhook.HeaderKey), "-apply") {
			http.Error(w, "not signed", http.StatusForbidden)
			return
		}
		posts.Add(1)
	}))
	defer tool.Close()
	a := inProcess(t, func(c *config.Config) {
		c.Remedy.Actions = []config.RemedyAction{{Name: "restart", Runner: "webhook", Autonomy: "ask", Approvals: 1, TimeBox: config.Duration(5 * time.Second), Verify: config.Duration(time.Minute),
			Inputs: []remedy.Input{{Name: "service", Type: "name", Allow: []string{"cart"}}}, Webhook: config.RemedyWebhook{URL: config.Secret(tool.URL), Secret: secret}}}
	})
	leaking(t, a, 0)
	var list api.RunList
	wait := func(want ops.RunState) *ops.Run {
		t.Helper()
		for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
			if err := operate(t, a, &list, "remedy", "runs", "--incident", "inc1"); err != nil {
				t.Fatal(err)
			}
			if len(list.Runs) == 1 && list.Runs[0].State == want {
				return &list.Runs[0]
			}
			if time.Now().After(deadline) {
				t.Fatalf("no run became %s: %+v", want, list.Runs)
			}
		}
	}
	r := wait(ops.RunWaiting) // Norn asks by itself
	if !r.Automatic || r.Runbook != "memory-leak" || posts.Load() != 0 {
		t.Errorf("got %+v, %d posts", r, posts.Load())
	}
	var got ops.Run
	if err := operate(t, a, &got, "remedy", "approve", r.ID, "--who", "ana", "--digest", "0"); err == nil || posts.Load() != 0 {
		t.Errorf("a wrong digest gives %v", err)
	}
	if err := operate(t, a, &got, "remedy", "approve", r.ID, "--who", "ana", "--digest", r.Digest); err != nil {
		t.Fatal(err)
	}
	wait(ops.RunVerifying)
	leaking(t, a, time.Now().UnixMilli()) // the detector is normal again
	wait(ops.RunSucceeded)
	if posts.Load() != 1 {
		t.Errorf("it was posted %d times", posts.Load())
	}
	if err := operate(t, a, &got, "remedy", "approve", r.ID, "--who", "bob", "--digest", r.Digest); err == nil {
		t.Error("a replayed approval is taken")
	}
}
