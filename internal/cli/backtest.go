package cli

import (
	"context"
	"errors"
	"net/url"
	"os"
	"time"

	"github.com/norn-aiops/norn/internal/api"
)

// Backtest lets the server at an address ($NORN_TOKEN is its token when none
// is given) try a change, tells progress (0..1), and returns what it found.
// When ctx ends, the server is told to stop. A server that does not answer
// gives an [Error] with ExitUnreachable.
func Backtest(ctx context.Context, server, token string, req api.BacktestRequest, progress func(float64)) (*api.Backtest, error) {
	c := (&asker{server: server, token: token}).client()
	var b api.Backtest
	if err := c.post(ctx, "/api/v1/backtests", req, &b); err != nil {
		return nil, err
	}
	path := "/api/v1/backtests/" + url.PathEscape(b.ID)
	t := time.NewTicker(300 * time.Millisecond)
	defer t.Stop()
	for b.State == api.BacktestRuns {
		select {
		case <-ctx.Done():
			stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			return nil, errors.Join(ctx.Err(), c.post(stop, path+"/stop", nil, nil))
		case <-t.C:
		}
		b = api.Backtest{}
		if err := c.get(ctx, path, nil, &b); err != nil {
			return nil, err
		}
		progress(b.Progress)
	}
	switch b.State {
	case api.BacktestFailed:
		return nil, &Error{ExitFailed, errors.New(b.Error)}
	case api.BacktestStopped:
		return nil, &Error{ExitFailed, errors.New("the backtest was stopped")}
	}
	return &b, nil
}

// ServerAddress is where the server is taken to be when nothing is said.
func ServerAddress() string {
	if s := os.Getenv("NORN_SERVER"); s != "" {
		return s
	}
	return "127.0.0.1:7700"
}
