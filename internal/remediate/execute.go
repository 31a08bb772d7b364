package remediate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/remedy"
	"github.com/norn-aiops/norn/internal/store"
)

// every is how often runs are looked at without a reason.
const every = 5 * time.Second

// Run begins, verifies and undoes until ctx ends. What an earlier process left
// half done is finished first.
func (m *Manager) Run(ctx context.Context) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		m.Step(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-m.wake:
		}
	}
}

// Step moves every run that is not over by as much as can be done now, then
// looks for incidents that ask for an automatic one.
func (m *Manager) Step(ctx context.Context) {
	runs, err := m.o.Store.Runs(ctx, "", 1000, ops.RunApplying, ops.RunRollback, ops.RunVerifying, ops.RunReady, ops.RunWaiting)
	if err != nil {
		m.o.Log.Error("cannot list the runs of remedies", slog.Any("error", err))
		return
	}
	for i := range runs {
		m.move(ctx, runs[i].ID)
	}
	if err := m.propose(ctx); err != nil && ctx.Err() == nil {
		m.o.Log.Error("cannot look for remedies", slog.Any("error", err))
	}
}

// move advances one run until it has to wait or is over.
func (m *Manager) move(ctx context.Context, id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for ctx.Err() == nil {
		r, err := m.o.Store.Run(ctx, id) // as it is now: it may just have been cancelled
		if err != nil || r.State.Over() {
			return
		}
		before := r.State
		if err := m.advance(ctx, r); err != nil {
			m.o.Log.Error("a remedy's run stands still", slog.String("run", id), slog.Any("error", err))
			return
		}
		if r.State == before {
			return
		}
	}
}

func (m *Manager) advance(ctx context.Context, r *ops.Run) error {
	a := m.action(r.Action)
	if a == nil {
		return m.end(ctx, r, ops.RunFailed, "failed", "norn", "the action is not configured any more; what it did stays")
	}
	switch r.State {
	case ops.RunWaiting:
		if m.now() >= r.Expires {
			return m.end(ctx, r, ops.RunCancelled, "cancelled", "norn", "nobody approved in time")
		}
	case ops.RunReady:
		return m.begin(ctx, r, a)
	case ops.RunApplying:
		return m.recover(ctx, r, a)
	case ops.RunVerifying:
		return m.verify(ctx, r, a)
	case ops.RunRollback:
		return m.undo(ctx, r, a)
	}
	return nil
}

// begin checks the rules once more, because time went by, and applies.
func (m *Manager) begin(ctx context.Context, r *ops.Run, a *Bound) error {
	if err := m.still(ctx, r, a); err != nil {
		if errors.Is(err, remedy.ErrRefused) {
			return m.end(ctx, r, ops.RunCancelled, "refused", "norn", err.Error())
		}
		return err
	}
	now, err := m.anomaliesNow(ctx, m.now())
	if err != nil {
		return err
	}
	r.Before = []string{}
	for i := range now {
		if now[i].Ended == 0 {
			r.Before = append(r.Before, now[i].ID)
		}
	}
	if err := m.noteRun(ctx, r, "begun", "norn", strings.Join(r.Plan, "; ")); err != nil {
		return err
	}
	r.State, r.Text = ops.RunApplying, "at work"
	r.Steps = append(r.Steps, ops.RunStep{Name: "apply", From: m.now()})
	if err := m.save(ctx, r); err != nil {
		return err
	}
	box, stop := context.WithTimeout(ctx, a.TimeBox)
	receipt, err := a.Runner.Apply(box, m.work(r))
	stop()
	r.Receipt = receipt
	if err != nil {
		return m.turn(ctx, r, "apply failed: "+err.Error())
	}
	return m.applied(ctx, r, a, "done")
}

// still repeats the checks of the request.
func (m *Manager) still(ctx context.Context, r *ops.Run, a *Bound) error {
	in, err := m.o.State.Incident(ctx, r.Incident)
	if err != nil {
		return err
	}
	if in.State == ops.StateResolved {
		return fmt.Errorf("%w: the incident is resolved", remedy.ErrRefused)
	}
	if _, err := m.o.Guard.Check(&a.Action, r.Inputs, r.Scope.String()); err != nil {
		return err
	}
	if r.Digest != remedy.Digest(r) || len(r.Approvals) < r.Need {
		return fmt.Errorf("%w: the run was changed after it was approved", remedy.ErrRefused)
	}
	level := a.LevelFor(r.Scope.String())
	if level == ops.AutonomySuggest || level == ops.AutonomyAsk && r.Need == 0 {
		return fmt.Errorf("%w: the autonomy of %s is %s now", remedy.ErrRefused, a.Name, level)
	}
	if err := a.Holds(in, remedy.Radius(m.o.Graph(m.now()), r.Scope), r.Inputs); err != nil {
		return err
	}
	stopped, err := m.Stopped(ctx)
	if err != nil {
		return err
	}
	recent, err := m.recent(ctx)
	if err != nil {
		return err
	}
	return m.o.Policy.Begin(r, recent, stopped, m.now())
}

func (m *Manager) applied(ctx context.Context, r *ops.Run, a *Bound, text string) error {
	m.close(r, true, text)
	if err := m.noteRun(ctx, r, "applied", "norn", text); err != nil {
		return err
	}
	r.State, r.Text = ops.RunVerifying, fmt.Sprintf("done; %d anomalies must end within %s", len(r.Watched), a.Verify)
	r.Steps = append(r.Steps, ops.RunStep{Name: "verify", From: m.now()})
	return m.save(ctx, r)
}

// close ends the last step.
func (m *Manager) close(r *ops.Run, ok bool, text string) {
	if s := &r.Steps[len(r.Steps)-1]; s.To == 0 {
		s.To, s.OK, s.Text = m.now(), ok, text
	}
}

// recover finds a run whose process died while it was applied. It is never
// applied again: the runner sees that it was done, or it is undone.
func (m *Manager) recover(ctx context.Context, r *ops.Run, a *Bound) error {
	box, stop := context.WithTimeout(ctx, a.TimeBox)
	done, known, err := a.Runner.Applied(box, m.work(r))
	stop()
	switch {
	case err != nil:
		return m.turn(ctx, r, "Norn was killed while it was applied, and it cannot be seen whether it was done: "+err.Error())
	case known && done:
		return m.applied(ctx, r, a, "Norn was killed meanwhile; it was done")
	case known:
		m.close(r, false, "Norn was killed before it was done")
		return m.end(ctx, r, ops.RunFailed, "failed", "norn", "Norn was killed before it was done; nothing is left to undo")
	}
	return m.turn(ctx, r, "Norn was killed while it was applied; whether it was done cannot be seen")
}

// turn begins the rollback.
func (m *Manager) turn(ctx context.Context, r *ops.Run, why string) error {
	m.close(r, false, why)
	r.State, r.Text = ops.RunRollback, why
	r.Steps = append(r.Steps, ops.RunStep{Name: "rollback", From: m.now()})
	return m.save(ctx, r)
}

func (m *Manager) verify(ctx context.Context, r *ops.Run, a *Bound) error {
	began := r.Steps[len(r.Steps)-1].From
	now, err := m.anomaliesNow(ctx, r.Created)
	if err != nil {
		return err
	}
	normal, worse := remedy.Better(r, now, began)
	switch {
	case len(worse) > 0:
		return m.turn(ctx, r, "something got worse: "+strings.Join(worse[:min(3, len(worse))], ", "))
	case normal:
		m.close(r, true, "all that was watched is normal again")
		return m.end(ctx, r, ops.RunSucceeded, "succeeded", "norn", "it worked: all that was watched is normal again, nothing got worse")
	case m.now() >= began+a.Verify.Milliseconds():
		return m.turn(ctx, r, fmt.Sprintf("not normal again within %s", a.Verify))
	}
	return nil
}

// undo takes back what was done. A rollback that was broken off is made again.
func (m *Manager) undo(ctx context.Context, r *ops.Run, a *Bound) error {
	why := r.Text
	box, stop := context.WithTimeout(ctx, a.TimeBox)
	can, err := a.Runner.Undo(box, m.work(r), r.Receipt)
	stop()
	switch {
	case err != nil:
		m.close(r, false, err.Error())
		return m.end(ctx, r, ops.RunFailed, "failed", "norn", why+"; it could not be undone, a person has to: "+err.Error())
	case !can:
		m.close(r, false, "there is no way back")
		return m.end(ctx, r, ops.RunFailed, "failed", "norn", why+"; it has no way back, look at "+r.Scope.String())
	}
	m.close(r, true, "undone")
	return m.end(ctx, r, ops.RunRolledBack, "rolled_back", "norn", why+"; undone")
}

// end makes the run's end durable: the ledger first, so that an end is never
// without its entry. A process that dies in between writes the entry again.
func (m *Manager) end(ctx context.Context, r *ops.Run, s ops.RunState, kind, who, text string) error {
	e := ops.LedgerEntry{Kind: kind, Who: clip(who), Run: r.ID, Incident: r.Incident, Runbook: r.Runbook, Action: r.Action,
		Inputs: r.Inputs, Scope: r.Scope, Similar: r.Similar, Text: text}
	if len(r.Steps) > 0 {
		worked := s == ops.RunSucceeded
		e.Worked, e.Took = &worked, m.now()-r.Steps[0].From
	}
	old, err := m.o.Store.Ledger(ctx, store.LedgerFilter{Run: r.ID, Kind: kind, Limit: 1})
	if err != nil {
		return err
	}
	if len(old) == 0 || kind == "refused" {
		if err := m.note(ctx, e); err != nil {
			return err
		}
	}
	r.State, r.Text = s, text
	return m.save(ctx, r)
}

// propose asks for what autonomy allows: for each open incident whose cause is
// sure enough, the best remedy whose action may be run and whose inputs are
// all known.
func (m *Manager) propose(ctx context.Context) error {
	able := false
	for i := range m.o.Actions {
		able = able || m.o.Actions[i].Level != ops.AutonomySuggest || len(m.o.Actions[i].Scopes) > 0
	}
	if !able {
		return nil
	}
	open, err := m.o.State.Incidents(ctx, store.IncidentFilter{States: []ops.State{ops.StateOpen, ops.StateAcknowledged, ops.StateMitigating}})
	if err != nil {
		return err
	}
	for i := range open {
		if open[i].Verdict != ops.VerdictCause || open[i].Confidence < m.o.Policy.Least {
			continue
		}
		if err := m.proposeFor(ctx, &open[i]); err != nil {
			return err
		}
	}
	return nil
}

func (m *Manager) proposeFor(ctx context.Context, in *ops.Incident) error {
	runs, err := m.o.Store.Runs(ctx, in.ID, 50)
	if err != nil || len(runs) >= maxPerIncident {
		return err
	}
	list, err := m.Remedies(ctx, in.ID)
	if err != nil {
		return err
	}
	for _, r := range list {
		if r.Action == "" || r.Level == ops.AutonomySuggest || r.Risk == "high" {
			continue
		}
		tried := false
		for i := range runs {
			tried = tried || runs[i].Action == r.Action
			if !runs[i].State.Over() {
				return nil // one after another
			}
		}
		if tried {
			continue
		}
		_, err := m.Request(ctx, Ask{Incident: in.ID, Runbook: r.ID, Action: r.Action, Who: "norn", Inputs: r.Inputs, automatic: true})
		if err == nil || !errors.Is(err, remedy.ErrRefused) {
			return err
		}
		m.o.Log.Debug("no automatic remedy", slog.String("incident", in.ID), slog.String("action", r.Action), slog.Any("reason", err))
	}
	return nil
}

// maxPerIncident bounds what Norn tries by itself.
const maxPerIncident = 3
