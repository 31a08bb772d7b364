package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/norn-aiops/norn/internal/backtest"
	"github.com/norn-aiops/norn/internal/rules"
)

// Backtester tries changes of detection's settings on stored history. One runs
// at a time.
type Backtester interface {
	// StartBacktest begins one; change is a YAML fragment of the configuration,
	// stored what would be set through the API instead of what is (nil: the
	// same), times are Unix ms. What cannot be used gives ErrInvalid (wrapped), one
	// that runs already ErrConflict (wrapped).
	StartBacktest(from, to int64, change string, stored *rules.Config) (Backtest, error)
	// Backtest gives one; store.ErrNotFound (wrapped) when it is not kept.
	Backtest(id string) (Backtest, error)
	// Backtests lists those that are kept, the newest first, without reports.
	Backtests() []Backtest
	// StopBacktest ends one that runs.
	StopBacktest(id string) (Backtest, error)
}

// BacktestState is how far a backtest is.
type BacktestState string

// States of a backtest.
const (
	BacktestRuns    BacktestState = "running"
	BacktestDone    BacktestState = "done"
	BacktestFailed  BacktestState = "failed"
	BacktestStopped BacktestState = "stopped"
)

// Backtest is one trial of a change.
type Backtest struct {
	ID       string           `json:"id"`
	State    BacktestState    `json:"state" enum:"running,done,failed,stopped"`
	Progress float64          `json:"progress" doc:"0..1"`
	From     int64            `json:"from_unix_ms"`
	To       int64            `json:"to_unix_ms"`
	Change   string           `json:"change" doc:"YAML; empty when only what is stored was changed."`
	Stored   *rules.Config    `json:"stored,omitempty" doc:"What would be set through the API, when that is part of the change."`
	Started  int64            `json:"started_unix_ms"`
	Finished int64            `json:"finished_unix_ms" doc:"0 while it runs."`
	Error    string           `json:"error,omitempty"`
	Report   *backtest.Report `json:"report,omitempty" doc:"When it is done; not in lists."`
}

// BacktestList is the backtests that are kept.
type BacktestList struct {
	Backtests []Backtest `json:"backtests" nullable:"false"`
}

// BacktestRequest says what to try.
type BacktestRequest struct {
	From   string `json:"from" maxLength:"64" doc:"Start: Unix ms, RFC 3339, or an age such as -7d. What lies before it teaches the models."`
	To     string `json:"to,omitempty" maxLength:"64" doc:"End, in the same forms; now when empty."`
	Change string `json:"change,omitempty" maxLength:"1000000" doc:"YAML fragment of the configuration; keys below detection. It or stored is needed." example:"detection: {false_alarms_per_series_week: 0.01}"`

	Stored *rules.Config `json:"stored,omitempty" doc:"What would be set through the API (PUT detection) instead of what is set now."`
}

type startBacktestInput struct{ Body BacktestRequest }

type backtestInput struct {
	ID string `path:"id" maxLength:"200"`
}

func (s *Server) startBacktest(_ context.Context, in *startBacktestInput) (*body[Backtest], error) {
	now := s.now()
	if in.Body.To == "" {
		in.Body.To = "now"
	}
	from, err := ParseTime("from", in.Body.From, now)
	if err != nil {
		return nil, err
	}
	to, err := ParseTime("to", in.Body.To, now)
	if err != nil {
		return nil, err
	}
	if in.Body.Change == "" && in.Body.Stored == nil {
		return nil, huma.Error422UnprocessableEntity("neither change nor stored says what to try")
	}
	b, err := s.live.StartBacktest(from, to, in.Body.Change, in.Body.Stored)
	if err != nil {
		return nil, atFields("body.stored", err)
	}
	return ok(b), nil
}

func (s *Server) getBacktest(_ context.Context, in *backtestInput) (*body[Backtest], error) {
	b, err := s.live.Backtest(in.ID)
	if err != nil {
		return nil, err
	}
	return ok(b), nil
}

func (s *Server) stopBacktest(_ context.Context, in *backtestInput) (*body[Backtest], error) {
	b, err := s.live.StopBacktest(in.ID)
	if err != nil {
		return nil, err
	}
	return ok(b), nil
}

func (s *Server) listBacktests(context.Context, *struct{}) (*body[BacktestList], error) {
	return ok(BacktestList{Backtests: nonNil(s.live.Backtests())}), nil
}

func (s *Server) registerBacktests() {
	get(s, "list-backtests", "backtests", "The last backtests, newest first", s.listBacktests)
	get(s, "get-backtest", "backtests/{id}", "Progress and result of a backtest", s.getBacktest)
	post(s, "stop-backtest", "backtests/{id}/stop", "Stop a backtest", s.stopBacktest)
	huma.Register(s.api, huma.Operation{
		OperationID: "start-backtest", Method: http.MethodPost, Path: apiPrefix + "backtests", Tags: []string{"backtests"},
		Summary: "Try a change of detection's settings on stored history", MaxBodyBytes: 2 << 20,
		Description: "One runs at a time (409 else), over at most 31 days; a change that cannot be used gives 400 with the lines that are wrong.",
	}, mapErrors(s, s.startBacktest))
}
