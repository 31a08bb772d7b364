package ingest

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// Counters count what every receiver took and refused. They are safe for
// concurrent use; a nil *Counters counts nothing.
type Counters struct {
	items    *prometheus.CounterVec
	rejected *prometheus.CounterVec
}

// Outcomes of an item, the values of the label outcome of
// norn_ingest_items_total.
const (
	OutcomeAccepted  = "accepted"  // durable and acknowledged
	OutcomeDuplicate = "duplicate" // seen before; acknowledged, not kept again
	OutcomeRejected  = "rejected"  // refused for good; reason in norn_ingest_rejected_total
	OutcomeFailed    = "failed"    // not durable; the sender was told to try again
)

// NewCounters registers norn_ingest_items_total{protocol,outcome} and
// norn_ingest_rejected_total{protocol,reason} with reg; a nil reg keeps them
// unregistered. Counters that reg has already are used again, so that several
// receivers can share one registry.
func NewCounters(reg prometheus.Registerer) (*Counters, error) {
	items, err := register(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "norn_ingest_items_total",
		Help: "Items (samples, data points, records, spans, alerts, changes) that arrived, by protocol and what became of them.",
	}, []string{"protocol", "outcome"}))
	if err != nil {
		return nil, err
	}
	rejected, err := register(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "norn_ingest_rejected_total",
		Help: "Items, requests and connections that were refused, cut or not understood, by protocol and reason.",
	}, []string{"protocol", "reason"}))
	if err != nil {
		return nil, err
	}
	return &Counters{items: items, rejected: rejected}, nil
}

func register(reg prometheus.Registerer, c *prometheus.CounterVec) (*prometheus.CounterVec, error) {
	if reg == nil {
		return c, nil
	}
	err := reg.Register(c)
	var have prometheus.AlreadyRegisteredError
	if errors.As(err, &have) {
		if old, ok := have.ExistingCollector.(*prometheus.CounterVec); ok {
			return old, nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("register ingest counters: %w", err)
	}
	return c, nil
}

// Items adds n items of a protocol with an outcome.
func (c *Counters) Items(protocol, outcome string, n int) {
	if c != nil && n > 0 {
		c.items.WithLabelValues(protocol, outcome).Add(float64(n))
	}
}

// Reason adds n to the refusals of a protocol for a reason, without counting
// items: for whole requests, connections and lines that were cut.
func (c *Counters) Reason(protocol, reason string, n int) {
	if c != nil && n > 0 {
		c.rejected.WithLabelValues(protocol, reason).Add(float64(n))
	}
}

// Reject counts n items as rejected for a reason.
func (c *Counters) Reject(protocol, reason string, n int) {
	c.Items(protocol, OutcomeRejected, n)
	c.Reason(protocol, reason, n)
}

// Result counts what a [Sink] answered.
func (c *Counters) Result(protocol string, r Result) {
	c.Items(protocol, OutcomeAccepted, r.Accepted)
	c.Items(protocol, OutcomeDuplicate, r.Duplicates)
	for _, rej := range r.Rejected {
		c.Reject(protocol, rej.Reason, 1)
	}
}
