// Package remediate carries remedies out, durably and by the rules.
//
// It exists so that an action is done at most once, is verified by the
// detectors that raised the incident, and is undone when it did not help,
// whatever moment the process dies at: each step is in the state store before
// and after it happens, and each decision is in the ledger. What fits an
// incident and what is allowed is decided by package remedy; how something is
// done belongs to a [Runner].
//
// A [Manager] is safe for concurrent use; [Manager.Run] has the only goroutine
// that begins, verifies and undoes. One process works on one state store. Main
// type: [Manager].
package remediate

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/norn-aiops/norn/internal/graph"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/remedy"
	"github.com/norn-aiops/norn/internal/store"
)

// Runner does one kind of action. Its methods are called by one goroutine at a
// time for one run.
type Runner interface {
	// Plan is the dry run: what exactly Apply would do, a line each. It changes
	// nothing.
	Plan(ctx context.Context, w remedy.Work) ([]string, error)
	// Apply does it. The receipt is kept for Undo.
	Apply(ctx context.Context, w remedy.Work) (receipt string, err error)
	// Applied looks whether an Apply of which no end is known was done. Where that
	// cannot be seen, known is false.
	Applied(ctx context.Context, w remedy.Work) (done, known bool, err error)
	// Undo takes it back. It may be called again after it was broken off. can is
	// false when there is no way back.
	Undo(ctx context.Context, w remedy.Work, receipt string) (can bool, err error)
}

// Bound is an action with its runner.
type Bound struct {
	remedy.Action
	Runner Runner
}

// Options says what a [Manager] works with.
type Options struct {
	Library  *remedy.Library
	Actions  []Bound
	Policy   remedy.Policy
	Guard    remedy.Guard
	Store    store.Remedies
	State    store.State
	Graph    func(t int64) *graph.View
	Now      func() time.Time
	Log      *slog.Logger
	Approver func(who, token string) error // checks who approves; nil takes the name as it is
}

// Manager recommends, decides and carries out.
type Manager struct {
	o Options

	mu   sync.Mutex // one decision at a time
	wake chan struct{}
}

// New makes a manager.
func New(o Options) *Manager {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Approver == nil {
		o.Approver = func(string, string) error { return nil }
	}
	return &Manager{o: o, wake: make(chan struct{}, 1)}
}

func (m *Manager) now() int64 { return m.o.Now().UnixMilli() }

func (m *Manager) action(name string) *Bound {
	for i := range m.o.Actions {
		if m.o.Actions[i].Name == name {
			return &m.o.Actions[i]
		}
	}
	return nil
}

// shown bounds the list of remedies.
const shown = 8

// Remedies ranks what could be done about an incident.
func (m *Manager) Remedies(ctx context.Context, id string) ([]ops.Remedy, error) {
	in, err := m.o.State.Incident(ctx, id)
	if err != nil {
		return nil, err
	}
	past, err := m.o.Store.Ledger(ctx, store.LedgerFilter{})
	if err != nil {
		return nil, err
	}
	list := m.o.Library.Recommend(in, past, shown)
	for i := range list {
		r := &list[i]
		if a := m.action(r.Action); a != nil {
			r.Level = a.LevelFor(r.Target.String())
		} else {
			r.Action, r.Inputs = "", nil
		}
	}
	return list, nil
}

// Outcome notes in the ledger whether a remedy that a person applied worked.
func (m *Manager) Outcome(ctx context.Context, id, runbook, who, text string, worked bool) error {
	if !m.o.Library.Has(runbook) {
		return fmt.Errorf("runbook %q: %w", runbook, store.ErrNotFound)
	}
	in, err := m.o.State.Incident(ctx, id)
	if err != nil {
		return err
	}
	e := ops.LedgerEntry{Kind: "outcome", Who: who, Incident: id, Runbook: runbook, Similar: remedy.Fingerprint(in), Worked: &worked, Text: text}
	if worked && in.Resolved > in.Onset {
		e.Took = in.Resolved - in.Onset
	}
	return m.note(ctx, e)
}

// note appends to the ledger.
func (m *Manager) note(ctx context.Context, e ops.LedgerEntry) error {
	e.Time = m.now()
	_, err := m.o.Store.AppendLedger(ctx, func(last ops.LedgerEntry) (ops.LedgerEntry, error) { return remedy.Seal(last, e) })
	return err
}

func (m *Manager) noteRun(ctx context.Context, r *ops.Run, kind, who, text string) error {
	return m.note(ctx, ops.LedgerEntry{Kind: kind, Who: who, Run: r.ID, Incident: r.Incident, Runbook: r.Runbook, Action: r.Action,
		Inputs: r.Inputs, Scope: r.Scope, Similar: r.Similar, Text: text})
}

// Ask is a request to carry an action out.
type Ask struct {
	Incident, Runbook, Action, Who string
	Inputs                         map[string]string
	DryRun                         bool
	automatic                      bool
}

// Request checks what is asked for and, unless it is a dry run, makes a run of
// it: ready at level act, waiting for approval at level ask. At level suggest
// only dry runs are made. A refusal is in the ledger, too, and wraps
// [remedy.ErrRefused].
func (m *Manager) Request(ctx context.Context, q Ask) (*ops.Run, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, err := m.request(ctx, q)
	if errors.Is(err, remedy.ErrRefused) && !q.automatic {
		e := ops.LedgerEntry{Kind: "refused", Who: clip(q.Who), Incident: clip(q.Incident), Action: clip(q.Action), Text: err.Error()}
		err = errors.Join(err, m.note(ctx, e))
	}
	if err == nil {
		m.poke()
	}
	return r, err
}

// clip bounds a text of a stranger.
func clip(s string) string {
	s = strings.ToValidUTF8(s, "?")
	if len(s) > 100 {
		return strings.ToValidUTF8(s[:100], "")
	}
	return s
}

func (m *Manager) request(ctx context.Context, q Ask) (*ops.Run, error) {
	in, err := m.o.State.Incident(ctx, q.Incident)
	if err != nil {
		return nil, err
	}
	a := m.action(q.Action)
	switch {
	case a == nil:
		return nil, fmt.Errorf("%w: no action %.40q is configured", remedy.ErrRefused, q.Action)
	case in.State == ops.StateResolved:
		return nil, fmt.Errorf("%w: incident %s is resolved", remedy.ErrRefused, in.ID)
	case !q.automatic && strings.TrimSpace(q.Who) == "":
		return nil, fmt.Errorf("%w: who asks?", remedy.ErrRefused)
	}
	var root *ops.Cause
	for i := range in.Causes {
		if in.Causes[i].Role == ops.RoleRoot {
			root = &in.Causes[i]
			break
		}
	}
	if root == nil {
		return nil, fmt.Errorf("%w: incident %s has no root cause to act on", remedy.ErrRefused, in.ID)
	}
	inputs, err := m.o.Guard.Check(&a.Action, q.Inputs, root.Entity.String())
	if err != nil {
		return nil, err
	}
	r := &ops.Run{ID: newID(), Incident: in.ID, Runbook: q.Runbook, Action: a.Name, Inputs: inputs, Scope: root.Entity, Similar: remedy.Fingerprint(in),
		Automatic: q.automatic, Who: clip(q.Who), Approvals: []ops.Approval{}, Steps: []ops.RunStep{}, Created: m.now(), Updated: m.now()}
	if err := m.plan(ctx, r, a, in); err != nil {
		return nil, err
	}
	if q.DryRun {
		r.State, r.Text = ops.RunCancelled, "a dry run: nothing was done"
		return r, m.noteRun(ctx, r, "dry_run", r.Who, strings.Join(r.Plan, "; "))
	}
	return m.admit(ctx, r, a, in)
}

// plan fills in the dry run, the blast radius and what verification watches.
func (m *Manager) plan(ctx context.Context, r *ops.Run, a *Bound, in *ops.Incident) error {
	r.Blast = remedy.Radius(m.o.Graph(m.now()), r.Scope)
	if a.MaxBlast > 0 && r.Blast.Services > a.MaxBlast {
		return fmt.Errorf("%w: %d services depend on %s, at most %d may", remedy.ErrRefused, r.Blast.Services, r.Scope, a.MaxBlast)
	}
	if err := a.Holds(in, r.Blast, r.Inputs); err != nil {
		return err
	}
	r.Watched, r.Before = []string{}, []string{}
	for i := range in.Anomalies {
		if x := &in.Anomalies[i]; x.Ended == 0 && x.Entity == r.Scope {
			r.Watched = append(r.Watched, x.ID)
		}
	}
	var err error
	if r.Plan, err = a.Runner.Plan(ctx, m.work(r)); err != nil {
		return fmt.Errorf("cannot plan %s: %w", a.Name, err)
	}
	r.Digest = remedy.Digest(r)
	return nil
}

func (m *Manager) work(r *ops.Run) remedy.Work {
	return remedy.Work{Run: r.ID, Action: r.Action, Inputs: r.Inputs}
}

// admit makes the run durable in the state that its level gives it.
func (m *Manager) admit(ctx context.Context, r *ops.Run, a *Bound, in *ops.Incident) (*ops.Run, error) {
	if len(r.Watched) == 0 {
		return nil, fmt.Errorf("%w: no anomaly of %s lasts: there would be nothing to verify by", remedy.ErrRefused, r.Scope)
	}
	switch a.LevelFor(r.Scope.String()) {
	case ops.AutonomyAct:
		r.State, r.Text = ops.RunReady, "begins at once"
	case ops.AutonomyAsk:
		r.State, r.Need, r.Expires = ops.RunWaiting, max(1, a.Approvals), m.now()+m.o.Policy.Approval.Milliseconds()
		r.Text = fmt.Sprintf("waits for %d approval(s)", r.Need)
	default:
		return nil, fmt.Errorf("%w: the autonomy of %s on %s is suggest: Norn says what could be done and does nothing (a dry run is possible)", remedy.ErrRefused, a.Name, r.Scope)
	}
	stopped, err := m.Stopped(ctx)
	if err != nil {
		return nil, err
	}
	recent, err := m.recent(ctx)
	if err != nil {
		return nil, err
	}
	if err := m.o.Policy.Begin(r, recent, stopped, m.now()); err != nil {
		return nil, err
	}
	r.Key = runKey(r, recent)
	is, made, err := m.o.Store.CreateRun(ctx, r)
	if err != nil {
		return nil, err
	}
	if !made {
		return nil, fmt.Errorf("%w: this was done for incident %s already: run %s (%s)", remedy.ErrRefused, in.ID, is.ID, is.State)
	}
	return r, m.noteRun(ctx, r, "requested", r.Who, strings.Join(r.Plan, "; "))
}

// runKey is the same for the same thing to do about the same incident. Only a
// person may ask again, and only when an earlier run never began.
func runKey(r *ops.Run, known []ops.Run) string {
	raw, _ := json.Marshal([]any{r.Incident, r.Action, r.Inputs}) // texts only: cannot fail
	sum := sha256.Sum256(raw)
	key := hex.EncodeToString(sum[:12])
	again := 0
	for i := range known {
		if o := &known[i]; strings.HasPrefix(o.Key, key) && o.State == ops.RunCancelled && len(o.Steps) == 0 && !r.Automatic {
			again++
		}
	}
	if again > 0 {
		key = fmt.Sprintf("%s-%d", key, again)
	}
	return key
}

func newID() string {
	var b [6]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return "run-" + hex.EncodeToString(b[:])
}

// recent lists runs that count for budgets and scopes.
func (m *Manager) recent(ctx context.Context) ([]ops.Run, error) {
	return m.o.Store.Runs(ctx, "", 1000)
}

// Approve adds a person's yes.
func (m *Manager) Approve(ctx context.Context, id, who, token, digest string) (*ops.Run, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, err := m.o.Store.Run(ctx, id)
	if err != nil {
		return nil, err
	}
	if err = m.o.Approver(who, token); err == nil {
		err = m.o.Policy.Approve(r, who, digest, m.now())
	}
	if err != nil {
		return nil, errors.Join(err, m.noteRun(ctx, r, "refused", clip(who), err.Error()))
	}
	r.Text = fmt.Sprintf("%d of %d approvals", len(r.Approvals), r.Need)
	if err := m.noteRun(ctx, r, "approved", who, r.Text); err != nil {
		return nil, err
	}
	defer m.poke()
	return r, m.save(ctx, r)
}

// Cancel ends a run that has not begun.
func (m *Manager) Cancel(ctx context.Context, id, who string) (*ops.Run, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, err := m.o.Store.Run(ctx, id)
	if err != nil {
		return nil, err
	}
	if r.State != ops.RunWaiting && r.State != ops.RunReady {
		return nil, fmt.Errorf("%w: run %s is %s", remedy.ErrRefused, id, r.State)
	}
	return r, m.end(ctx, r, ops.RunCancelled, "cancelled", who, "cancelled by "+clip(who))
}

// Get returns one run.
func (m *Manager) Get(ctx context.Context, id string) (*ops.Run, error) {
	return m.o.Store.Run(ctx, id)
}

// Runs lists runs, newest first.
func (m *Manager) Runs(ctx context.Context, incident string, limit int) ([]ops.Run, error) {
	return m.o.Store.Runs(ctx, incident, limit)
}

// Actions lists what is configured.
func (m *Manager) Actions() []remedy.Action {
	out := make([]remedy.Action, 0, len(m.o.Actions))
	for i := range m.o.Actions {
		out = append(out, m.o.Actions[i].Action)
	}
	return out
}

// Ledger lists entries.
func (m *Manager) Ledger(ctx context.Context, f store.LedgerFilter) ([]ops.LedgerEntry, error) {
	return m.o.Store.Ledger(ctx, f)
}

// VerifyLedger checks the whole chain; expect, when it is not "", must be the
// hash of one of its entries.
func (m *Manager) VerifyLedger(ctx context.Context, expect string) (entries int, head string, err error) {
	all, err := m.o.Store.Ledger(ctx, store.LedgerFilter{})
	if err != nil {
		return 0, "", err
	}
	if len(all) > 0 {
		head = all[len(all)-1].Hash
	}
	err = remedy.VerifyLedger(all)
	if err == nil && expect != "" && !slices.ContainsFunc(all, func(e ops.LedgerEntry) bool { return e.Hash == expect }) {
		err = fmt.Errorf("no entry has the hash %.12s: the end of the ledger was cut off, or it was exchanged", expect)
	}
	return len(all), head, err
}

const stopKey = "remedy-stop"

// Stop is the global switch: nothing begins until Resume. What runs is verified
// and undone as usual.
func (m *Manager) Stop(ctx context.Context, who, text string, stop bool) error {
	word, kind := "", "resumed"
	if stop {
		word, kind = "stopped", "stopped"
	}
	if err := m.o.State.PutBlob(ctx, stopKey, []byte(word)); err != nil {
		return err
	}
	return m.note(ctx, ops.LedgerEntry{Kind: kind, Who: clip(who), Text: clip(text)})
}

// Stopped reports the switch.
func (m *Manager) Stopped(ctx context.Context) (bool, error) {
	raw, err := m.o.State.Blob(ctx, stopKey)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return string(raw) == "stopped", err
}

func (m *Manager) poke() {
	select {
	case m.wake <- struct{}{}:
	default: // it is awake
	}
}

func (m *Manager) save(ctx context.Context, r *ops.Run) error {
	r.Updated = m.now()
	return m.o.Store.PutRun(ctx, r)
}

// anomaliesNow lists what lasts or ended lately.
func (m *Manager) anomaliesNow(ctx context.Context, since int64) ([]ops.Anomaly, error) {
	return m.o.State.Anomalies(ctx, since-time.Minute.Milliseconds(), m.now(), 10_000)
}
