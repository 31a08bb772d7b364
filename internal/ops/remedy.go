package ops

import "github.com/norn-aiops/norn/internal/telemetry"

// Autonomy says how far Norn may go with an action.
type Autonomy string

// Levels of autonomy.
const (
	AutonomySuggest Autonomy = "suggest" // say what could be done; run nothing
	AutonomyAsk     Autonomy = "ask"     // prepare it, wait for approval
	AutonomyAct     Autonomy = "act"     // do it and tell
)

// Track is what the ledger says of a remedy in past similar incidents.
type Track struct {
	Tried   int     `json:"tried"`
	Worked  int     `json:"worked"`
	Mean    float64 `json:"success_mean"` // of the Beta posterior with a uniform prior
	Low     float64 `json:"success_low"`  // 5 % quantile
	High    float64 `json:"success_high"` // 95 % quantile
	Recover int64   `json:"recovery_ms"`  // median time to recover; 0 when it never worked
	Similar string  `json:"similar_to"`   // what counts as similar, in plain language
	LastRun int64   `json:"last_unix_ms"` // 0: never tried
}

// Remedy is one way out of an incident.
type Remedy struct {
	ID      string            `json:"id"`    // of the runbook
	Title   string            `json:"title"` // with the incident's entities filled in
	Fault   string            `json:"fault"` // kind of fault that it is for
	Score   float64           `json:"score"` // 0..1, what it is ranked by
	Fit     float64           `json:"fit"`   // 0..1, how well it matches the judgement
	Why     []Reason          `json:"why" nullable:"false"`
	Steps   []string          `json:"steps" nullable:"false"`
	Missing []string          `json:"missing" nullable:"false"` // what a person has to fill in
	Effect  string            `json:"effect"`
	Risk    string            `json:"risk" enum:"low,medium,high"`
	Danger  string            `json:"risk_text"`
	Verify  string            `json:"verify"`
	Track   Track             `json:"track"`
	Action  string            `json:"action,omitempty"` // that carries it out, when one is configured
	Inputs  map[string]string `json:"inputs,omitempty"` // of the action
	Level   Autonomy          `json:"autonomy" enum:"suggest,ask,act"`
	Target  telemetry.Entity  `json:"target"`
}

// RunState is a run's place in its life.
type RunState string

// States of a run.
const (
	RunWaiting    RunState = "waiting"   // for approval
	RunReady      RunState = "ready"     // approved, not begun
	RunApplying   RunState = "applying"  // what it does may or may not be done
	RunVerifying  RunState = "verifying" // done; is it better?
	RunRollback   RunState = "rolling_back"
	RunSucceeded  RunState = "succeeded"
	RunRolledBack RunState = "rolled_back"
	RunFailed     RunState = "failed"    // and nothing is left to undo, or it could not be undone: see the text
	RunCancelled  RunState = "cancelled" // before it began
)

// Over reports whether nothing more happens to the run.
func (s RunState) Over() bool {
	return s == RunSucceeded || s == RunRolledBack || s == RunFailed || s == RunCancelled
}

// RunStep is one recorded step of a run.
type RunStep struct {
	Name string `json:"name"` // apply, verify, rollback
	From int64  `json:"from_unix_ms"`
	To   int64  `json:"to_unix_ms"` // 0: begun, and not known to have ended
	OK   bool   `json:"ok"`
	Text string `json:"text"`
}

// Approval is one person's yes to exactly one run.
type Approval struct {
	Who  string `json:"who"`
	Time int64  `json:"time_unix_ms"`
}

// Blast is what depends on the target, by the graph.
type Blast struct {
	Target   telemetry.Entity   `json:"target"`
	Direct   []telemetry.Entity `json:"direct" nullable:"false"`   // depend on it at once
	Indirect []telemetry.Entity `json:"indirect" nullable:"false"` // depend on those
	Services int                `json:"services"`                  // of both
	Share    float64            `json:"share"`                     // of the graph's services, 0..1
	Sentence string             `json:"sentence"`
}

// Run is one use of an action.
type Run struct {
	ID        string            `json:"id"`
	Key       string            `json:"key"`    // idempotency key: one run a key, for good
	Digest    string            `json:"digest"` // of what is to be done; an approval names it
	Incident  string            `json:"incident"`
	Runbook   string            `json:"runbook,omitempty"`
	Action    string            `json:"action"`
	Inputs    map[string]string `json:"inputs" nullable:"false"`
	Scope     telemetry.Entity  `json:"scope"`
	Similar   string            `json:"fingerprint"` // of the incident
	State     RunState          `json:"state" enum:"waiting,ready,applying,verifying,rolling_back,succeeded,rolled_back,failed,cancelled"`
	Automatic bool              `json:"automatic"` // Norn's own decision
	Who       string            `json:"who"`       // asked for it
	Need      int               `json:"approvals_needed"`
	Approvals []Approval        `json:"approvals" nullable:"false"`
	Expires   int64             `json:"expires_unix_ms"`       // of the request for approval
	Plan      []string          `json:"plan" nullable:"false"` // the dry run: what exactly is done
	Blast     Blast             `json:"blast_radius"`
	Watched   []string          `json:"watched" nullable:"false"` // ids of the anomalies that must end
	Before    []string          `json:"before" nullable:"false"`  // ids of all anomalies that lasted when it began
	Receipt   string            `json:"receipt,omitempty"`        // of the runner, for the rollback
	Steps     []RunStep         `json:"steps" nullable:"false"`
	Created   int64             `json:"created_unix_ms"`
	Updated   int64             `json:"updated_unix_ms"`
	Text      string            `json:"text"` // where it stands, in plain language
}

// LedgerEntry is one line of the ledger of remedies.
type LedgerEntry struct {
	Seq      int64             `json:"seq"` // 1, 2, 3...
	Time     int64             `json:"time_unix_ms"`
	Kind     string            `json:"kind"` // requested, refused, dry_run, approved, begun, applied, verified, succeeded, rolled_back, failed, cancelled, outcome, stopped, resumed
	Who      string            `json:"who"`
	Run      string            `json:"run,omitempty"`
	Incident string            `json:"incident,omitempty"`
	Runbook  string            `json:"runbook,omitempty"`
	Action   string            `json:"action,omitempty"`
	Inputs   map[string]string `json:"inputs,omitempty"`
	Scope    telemetry.Entity  `json:"scope"`
	Similar  string            `json:"fingerprint,omitempty"`
	Worked   *bool             `json:"worked,omitempty"` // of what ended
	Took     int64             `json:"took_ms,omitempty"`
	Text     string            `json:"text"`
	Prev     string            `json:"prev"` // hash of the entry before; "" for the first
	Hash     string            `json:"hash"` // SHA-256 of this entry's JSON with an empty hash, in hex
}
