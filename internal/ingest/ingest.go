// Package ingest holds what all receivers share: the sink that they hand
// telemetry to, the limits that they enforce, and the counters by reason.
//
// Receivers (the packages below this one, one protocol each) decode, check
// limits, convert to telemetry values, call the [Sink], and only then
// acknowledge in their protocol's own way. They do not normalise or judge.
package ingest

import (
	"context"

	"github.com/norn-aiops/norn/internal/telemetry"
)

// Sink takes telemetry in. Each method returns when what was accepted is
// durable. An error means that nothing may be acknowledged and the sender
// should try again; bad items beside good ones are not an error: they are in
// the Result and the good ones are kept.
//
// Implementations are safe for concurrent use and may block: that is the
// back-pressure.
type Sink interface {
	Logs(ctx context.Context, recs []telemetry.LogRecord) (Result, error)
	Spans(ctx context.Context, spans []telemetry.Span) (Result, error)
	Alerts(ctx context.Context, alerts []telemetry.Alert) (Result, error)
	Changes(ctx context.Context, changes []telemetry.Change) (Result, error)
}

// Result says what became of a batch.
type Result struct {
	Accepted   int
	Duplicates int        // seen before; acknowledged, not counted again
	Rejected   []Rejected // refused for good; the sender must not retry them
}

// Rejected is one item that was refused.
type Rejected struct {
	Index  int    // in the batch that was handed over
	Reason string // short, stable, a counter label: "too_old", "line_too_long"...
	Detail string // for the sender, names what was wrong
}

// Limits bound what one request or connection may bring. Zero means the
// default in brackets.
type Limits struct {
	Bytes       int64 // a request's body after decompression (16 MiB)
	Batch       int   // items in a request (50,000)
	Line        int   // bytes in a log line (1 MiB)
	Labels      int   // labels or attributes of one item (128)
	LabelBytes  int   // bytes of one label's name and value (16 KiB)
	Connections int   // simultaneous connections of a stream listener (1,000)
}

// WithDefaults fills in the zero fields.
func (l Limits) WithDefaults() Limits {
	def := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	if l.Bytes <= 0 {
		l.Bytes = 16 << 20
	}
	def(&l.Batch, 50_000)
	def(&l.Line, 1<<20)
	def(&l.Labels, 128)
	def(&l.LabelBytes, 16<<10)
	def(&l.Connections, 1_000)
	return l
}
