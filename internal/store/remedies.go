package store

import (
	"context"

	"github.com/norn-aiops/norn/internal/ops"
)

// LedgerFilter selects entries of the ledger of remedies.
type LedgerFilter struct {
	Kind, Run, Incident string // "" means any
	Text                string // occurs anywhere in the entry's JSON, in any case
	After               int64  // only entries with a greater Seq
	Limit               int    // 0 means all
	Newest              bool   // newest first instead of oldest first
}

// Remedies stores runs of actions and their ledger. Every write returns when it
// is durable. It is safe for concurrent use.
type Remedies interface {
	// AppendLedger adds the entry that next makes of the last one (the zero entry
	// when there is none). No entry is ever changed or removed.
	AppendLedger(ctx context.Context, next func(last ops.LedgerEntry) (ops.LedgerEntry, error)) (ops.LedgerEntry, error)
	Ledger(ctx context.Context, f LedgerFilter) ([]ops.LedgerEntry, error)
	// CreateRun stores a new run. When there is one with the same Key already, that
	// one is returned, and made is false.
	CreateRun(ctx context.Context, r *ops.Run) (is ops.Run, made bool, err error)
	// PutRun replaces the run of that ID; none gives ErrNotFound.
	PutRun(ctx context.Context, r *ops.Run) error
	Run(ctx context.Context, id string) (*ops.Run, error)
	// Runs lists runs, newest first; "" means of any incident, no states of any.
	Runs(ctx context.Context, incident string, limit int, states ...ops.RunState) ([]ops.Run, error)
}
