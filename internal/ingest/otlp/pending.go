package otlp

import (
	"context"
	"sync"

	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/norn-aiops/norn/internal/ingest"
)

// maxPending bounds the converted batches that wait for a store that failed.
const maxPending = 256

// pending keeps batches whose delta points were already added to their running
// totals when the store failed. Their sender sends them again, but adding twice
// is wrong, so the repetition is recognised as old and dropped; what must reach
// the store is the batch as it was converted first. It is safe for concurrent
// use. When it is full the oldest batch is dropped and counted: its deltas are
// still in the totals, and so in the next point of each stream.
type pending struct {
	mu      sync.Mutex
	batches []pmetric.Metrics
}

func (p *pending) add(md pmetric.Metrics, c *ingest.Counters) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.batches) >= maxPending {
		p.batches = p.batches[1:]
		c.Reason(protocol, "delta_not_durable", 1)
	}
	p.batches = append(p.batches, md)
}

// flush writes what waits, oldest first, and keeps what cannot be written yet.
// It holds back everyone else: nobody may be told that a repetition is done
// before the first sending is durable.
func (p *pending) flush(ctx context.Context, write func(context.Context, pmetric.Metrics) error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.batches) > 0 {
		if err := write(ctx, p.batches[0]); err != nil {
			return err
		}
		p.batches = p.batches[1:]
	}
	return nil
}

// hasDelta tells whether converting md changes running totals.
func hasDelta(md pmetric.Metrics) bool {
	found := false
	eachMetric(md, func(m pmetric.Metric, _ func(pmetric.Metric) pmetric.Metrics) {
		if t, ok := temporality(m); ok && t == pmetric.AggregationTemporalityDelta {
			found = true
		}
	})
	return found
}

// retryPending writes the converted batches that wait.
func (r *Receiver) retryPending(ctx context.Context) error {
	return r.pending.flush(ctx, func(ctx context.Context, md pmetric.Metrics) error {
		guard := ingest.NewGuard(r.opts.Metrics, r.limits, r.opts.Now())
		guard.Lenient = true
		before := md.DataPointCount()
		bad, detail := map[string]int{}, ""
		if err := r.write(ctx, md, guard, bad, &detail); err != nil {
			return err
		}
		for reason, n := range bad {
			guard.Reject(reason, detail, n)
		}
		for reason, n := range guard.Rejected {
			r.opts.Counters.Reject(protocol, reason, n)
		}
		r.opts.Counters.Items(protocol, ingest.OutcomeAccepted, max(0, before-guard.Total()))
		return nil
	})
}
