package api

import (
	"context"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/remediate"
	"github.com/norn-aiops/norn/internal/store"
)

func (s *Server) registerRemedies() {
	get(s, "list-remedies", "incidents/{id}/remedies", "What could be done about an incident, the most promising first", s.listRemedies)
	post(s, "remedy-outcome", "incidents/{id}/remedies/{runbook}", "Say whether a remedy that somebody applied worked", s.remedyOutcome)
	post(s, "request-run", "incidents/{id}/runs", "Ask for an action to be carried out, or for its dry run", s.requestRun)
	get(s, "remedy-status", "remedy", "Whether remedies are stopped, and which actions there are", s.remedyStatus)
	post(s, "stop-remedies", "remedy/stop", "The global stop switch: nothing begins until it is resumed", s.switchRemedies(true))
	post(s, "resume-remedies", "remedy/resume", "End the stop", s.switchRemedies(false))
	get(s, "list-runs", "remedy/runs", "Runs of actions, newest first", s.listRuns)
	get(s, "get-run", "remedy/runs/{id}", "One run: plan, blast radius, approvals, steps", s.getRun)
	post(s, "approve-run", "remedy/runs/{id}/approve", "Approve exactly what a run is to do", s.approveRun)
	post(s, "cancel-run", "remedy/runs/{id}/cancel", "Cancel a run that has not begun", s.cancelRun)
	get(s, "list-ledger", "remedy/ledger", "The ledger of remedies", s.listLedger)
	get(s, "verify-ledger", "remedy/ledger/verify", "Check the ledger's chain of hashes", s.verifyLedger)
}

// RemedyList is what could be done about an incident.
type RemedyList struct {
	Remedies []ops.Remedy `json:"remedies" nullable:"false"`
	Stopped  bool         `json:"stopped" doc:"The global stop switch."`
}

func (s *Server) listRemedies(ctx context.Context, in *incidentInput) (*body[RemedyList], error) {
	list, err := s.remedies.Remedies(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	stopped, err := s.remedies.Stopped(ctx)
	return ok(RemedyList{nonNil(list), stopped}), err
}

type outcomeInput struct {
	ID      string `path:"id"`
	Runbook string `path:"runbook"`
	Body    struct {
		Who    string `json:"who" maxLength:"100"`
		Worked bool   `json:"worked"`
		Text   string `json:"text,omitempty" maxLength:"2000"`
	}
}

func (s *Server) remedyOutcome(ctx context.Context, in *outcomeInput) (*body[RemedyList], error) {
	if err := s.remedies.Outcome(ctx, in.ID, in.Runbook, in.Body.Who, in.Body.Text, in.Body.Worked); err != nil {
		return nil, err
	}
	return s.listRemedies(ctx, &incidentInput{ID: in.ID})
}

type runInput struct {
	ID   string `path:"id"`
	Body struct {
		Action  string            `json:"action" maxLength:"100"`
		Runbook string            `json:"runbook,omitempty" maxLength:"100"`
		Inputs  map[string]string `json:"inputs,omitempty"`
		Who     string            `json:"who" maxLength:"100"`
		DryRun  bool              `json:"dry_run,omitempty"`
	}
}

func (s *Server) requestRun(ctx context.Context, in *runInput) (*body[ops.Run], error) {
	b := &in.Body
	r, err := s.remedies.Request(ctx, remediate.Ask{Incident: in.ID, Runbook: b.Runbook, Action: b.Action, Inputs: b.Inputs, Who: b.Who, DryRun: b.DryRun})
	if err != nil {
		return nil, err
	}
	return ok(*r), nil
}

// RemedyStatus is the state of remedies as a whole.
type RemedyStatus struct {
	Stopped bool           `json:"stopped"`
	Actions []RemedyAction `json:"actions" nullable:"false"`
}

// RemedyAction is one configured action.
type RemedyAction struct {
	Name      string       `json:"name"`
	Runner    string       `json:"runner" enum:"nftables,command,webhook"`
	Level     ops.Autonomy `json:"autonomy" enum:"suggest,ask,act"`
	Inputs    []string     `json:"inputs" nullable:"false"`
	When      string       `json:"when,omitempty" doc:"Precondition in CEL."`
	Approvals int          `json:"approvals"`
	TimeBox   int64        `json:"time_box_ms"`
	Verify    int64        `json:"verify_within_ms"`
}

func (s *Server) remedyStatus(ctx context.Context, _ *struct{}) (*body[RemedyStatus], error) {
	stopped, err := s.remedies.Stopped(ctx)
	if err != nil {
		return nil, err
	}
	out := RemedyStatus{Stopped: stopped, Actions: []RemedyAction{}}
	for _, a := range s.remedies.Actions() {
		x := RemedyAction{Name: a.Name, Runner: a.Runner, Level: a.Level, Inputs: []string{}, When: a.When, Approvals: a.Approvals,
			TimeBox: a.TimeBox.Milliseconds(), Verify: a.Verify.Milliseconds()}
		for _, in := range a.Inputs {
			x.Inputs = append(x.Inputs, in.Name)
		}
		out.Actions = append(out.Actions, x)
	}
	return ok(out), nil
}

type switchInput struct {
	Body struct {
		Who  string `json:"who" maxLength:"100"`
		Text string `json:"text,omitempty" maxLength:"2000"`
	}
}

func (s *Server) switchRemedies(stop bool) func(context.Context, *switchInput) (*body[RemedyStatus], error) {
	return func(ctx context.Context, in *switchInput) (*body[RemedyStatus], error) {
		if err := s.remedies.Stop(ctx, in.Body.Who, in.Body.Text, stop); err != nil {
			return nil, err
		}
		return s.remedyStatus(ctx, nil)
	}
}

type runsInput struct {
	Incident string `query:"incident"`
	Limit    int    `query:"limit" default:"50" minimum:"1" maximum:"1000"`
}

// RunList is runs of actions.
type RunList struct {
	Runs []ops.Run `json:"runs" nullable:"false"`
}

func (s *Server) listRuns(ctx context.Context, in *runsInput) (*body[RunList], error) {
	list, err := s.remedies.Runs(ctx, in.Incident, in.Limit)
	if err != nil {
		return nil, err
	}
	return ok(RunList{nonNil(list)}), nil
}

type runIDInput struct {
	ID string `path:"id"`
}

func (s *Server) getRun(ctx context.Context, in *runIDInput) (*body[ops.Run], error) {
	r, err := s.remedies.Get(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return ok(*r), nil
}

type approveInput struct {
	ID   string `path:"id"`
	Body struct {
		Who    string `json:"who" maxLength:"100"`
		Token  string `json:"token,omitempty" maxLength:"500" doc:"The approver's own, when approvers are configured."`
		Digest string `json:"digest" maxLength:"100" doc:"Of the run, as it was shown to the approver."`
	}
}

func (s *Server) approveRun(ctx context.Context, in *approveInput) (*body[ops.Run], error) {
	r, err := s.remedies.Approve(ctx, in.ID, in.Body.Who, in.Body.Token, in.Body.Digest)
	if err != nil {
		return nil, err
	}
	return ok(*r), nil
}

type cancelInput struct {
	ID   string `path:"id"`
	Body struct {
		Who string `json:"who" maxLength:"100"`
	}
}

func (s *Server) cancelRun(ctx context.Context, in *cancelInput) (*body[ops.Run], error) {
	r, err := s.remedies.Cancel(ctx, in.ID, in.Body.Who)
	if err != nil {
		return nil, err
	}
	return ok(*r), nil
}

type ledgerInput struct {
	Kind     string `query:"kind"`
	Run      string `query:"run"`
	Incident string `query:"incident"`
	Q        string `query:"q" doc:"Text that occurs anywhere in the entry."`
	After    int64  `query:"after" doc:"Only entries with a greater number."`
	Limit    int    `query:"limit" default:"100" minimum:"1" maximum:"100000"`
	Oldest   bool   `query:"oldest" doc:"Oldest first: to export it."`
}

// LedgerList is entries of the ledger.
type LedgerList struct {
	Entries []ops.LedgerEntry `json:"entries" nullable:"false"`
}

func (s *Server) listLedger(ctx context.Context, in *ledgerInput) (*body[LedgerList], error) {
	list, err := s.remedies.Ledger(ctx, store.LedgerFilter{Kind: in.Kind, Run: in.Run, Incident: in.Incident, Text: in.Q, After: in.After, Limit: in.Limit, Newest: !in.Oldest})
	if err != nil {
		return nil, err
	}
	return ok(LedgerList{nonNil(list)}), nil
}

type verifyLedgerInput struct {
	Expect string `query:"expect" doc:"A hash noted earlier that must still be in the ledger."`
}

// LedgerCheck is what checking the ledger gave.
type LedgerCheck struct {
	OK      bool   `json:"ok"`
	Entries int    `json:"entries"`
	Head    string `json:"head" doc:"Hash of the last entry: note it elsewhere."`
	Fault   string `json:"fault,omitempty"`
}

func (s *Server) verifyLedger(ctx context.Context, in *verifyLedgerInput) (*body[LedgerCheck], error) {
	n, head, fault := s.remedies.VerifyLedger(ctx, in.Expect)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	c := LedgerCheck{OK: fault == nil, Entries: n, Head: head}
	if fault != nil {
		c.Fault = fault.Error()
	}
	return ok(c), nil
}
