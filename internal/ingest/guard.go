package ingest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
)

// MaxAhead is how far in the future a sample may lie.
const MaxAhead = 10 * time.Minute

// Refusal is why one sample was refused for good. It counts as
// [storage.ErrOutOfBounds] for the library handlers of Prometheus, which
// answer that with a client error and keep the other samples.
type Refusal struct {
	Code   string // the counter's reason
	Detail string
}

// Error gives the detail.
func (r *Refusal) Error() string { return r.Detail }

// RefusalReason gives the counter's reason. A store may return any error that has
// this method to refuse one sample for good (a series limit, say) without
// failing the batch.
func (r *Refusal) RefusalReason() string { return r.Code }

// Is makes the refusal one sample's fault in the eyes of Prometheus' handlers.
func (r *Refusal) Is(target error) bool { return target == storage.ErrOutOfBounds }

// Guard stands between a decoder and a [storage.AppendableV2] for one request.
// It enforces the limits on labels and time, tells a bad sample from a store
// that failed, and remembers both. It is used by one goroutine and thrown away
// after its request.
type Guard struct {
	// Lenient makes bad samples look accepted to the decoder, so that one of
	// them does not end the batch. They are in Rejected all the same.
	Lenient bool
	// Rejected counts refused points by reason. The series of one classic
	// histogram or summary point count once.
	Rejected map[string]int
	// Accepted is the number of samples that were handed over and kept.
	Accepted int
	// Detail describes the first refusal, for the sender.
	Detail string
	// Fatal is the first error that is the store's and not the sample's.
	Fatal error

	next   storage.AppendableV2
	limits Limits
	max    int64
	seen   map[pointKey]struct{}
}

type pointKey struct {
	hash uint64
	t    int64
}

// NewGuard makes the guard of one request that arrived at now.
func NewGuard(next storage.AppendableV2, limits Limits, now time.Time) *Guard {
	return &Guard{
		Rejected: map[string]int{},
		next:     next,
		limits:   limits.WithDefaults(),
		max:      now.Add(MaxAhead).UnixMilli(),
		seen:     map[pointKey]struct{}{},
	}
}

// Total is the number of refused points.
func (g *Guard) Total() int {
	n := 0
	for _, c := range g.Rejected {
		n += c
	}
	return n
}

// Reject notes the refusal of n points that never reached the store.
func (g *Guard) Reject(reason, detail string, n int) {
	if n <= 0 {
		return
	}
	g.Rejected[reason] += n
	if g.Detail == "" {
		g.Detail = detail
	}
}

// Forget drops what was counted, before the same batch is tried again.
func (g *Guard) Forget() {
	clear(g.Rejected)
	clear(g.seen)
	g.Accepted, g.Detail = 0, ""
}

// AppenderV2 implements [storage.AppendableV2].
func (g *Guard) AppenderV2(ctx context.Context) storage.AppenderV2 {
	return &guarded{AppenderV2: g.next.AppenderV2(ctx), g: g}
}

type guarded struct {
	storage.AppenderV2
	g *Guard
}

func (a *guarded) Append(ref storage.SeriesRef, ls labels.Labels, st, t int64, v float64, h *histogram.Histogram, fh *histogram.FloatHistogram, opts storage.AOptions) (storage.SeriesRef, error) {
	err := a.g.check(ref, ls, t)
	if err == nil {
		ref, err = a.AppenderV2.Append(ref, ls, st, t, v, h, fh, opts)
	}
	if err == nil || errors.Is(err, (*storage.AppendPartialError)(nil)) {
		a.g.Accepted++
		if a.g.Lenient {
			return ref, nil
		}
		return ref, err
	}
	reason, ok := SampleReason(err)
	if !ok {
		a.g.fail(err)
		return 0, err
	}
	a.g.refuse(reason, err, ls, t)
	if a.g.Lenient {
		return 0, nil
	}
	return 0, err
}

// AppendExemplars implements [storage.ExemplarAppenderV2]; a store without
// exemplars drops them.
func (a *guarded) AppendExemplars(ref storage.SeriesRef, ls labels.Labels, es []exemplar.Exemplar) (storage.SeriesRef, error) {
	if ex, ok := a.AppenderV2.(storage.ExemplarAppenderV2); ok {
		return ex.AppendExemplars(ref, ls, es)
	}
	return ref, nil
}

func (a *guarded) Commit() error {
	err := a.AppenderV2.Commit()
	if err != nil {
		a.g.fail(err)
	}
	return err
}

func (g *Guard) fail(err error) {
	if g.Fatal == nil {
		g.Fatal = err
	}
}

// check applies time and label limits; a ref that is not zero was given for
// labels that passed before.
func (g *Guard) check(ref storage.SeriesRef, ls labels.Labels, t int64) error {
	if t > g.max {
		return &Refusal{"too_far_in_future", fmt.Sprintf("time %d ms is more than %s in the future", t, MaxAhead)}
	}
	if ref != 0 {
		return nil
	}
	if ls.Len() > g.limits.Labels {
		return &Refusal{"too_many_labels", fmt.Sprintf("series has %d labels, the limit is %d", ls.Len(), g.limits.Labels)}
	}
	if err := labelsTooLong(ls, g.limits.LabelBytes); err != nil {
		return err
	}
	if !ls.Has(labels.MetricName) || !ls.IsValid(model.UTF8Validation) {
		return &Refusal{"invalid_labels", "metric name missing or labels invalid: " + shorten(ls.String())}
	}
	if name, dup := ls.HasDuplicateLabelNames(); dup {
		return &Refusal{"invalid_labels", fmt.Sprintf("label %q given twice", name)}
	}
	return nil
}

func labelsTooLong(ls labels.Labels, limit int) error {
	var bad string
	ls.Range(func(l labels.Label) {
		if bad == "" && len(l.Name)+len(l.Value) > limit {
			bad = l.Name
		}
	})
	if bad == "" {
		return nil
	}
	return &Refusal{"label_too_long", fmt.Sprintf("label %q is longer than %d bytes", shorten(bad), limit)}
}

// refuse counts a refused sample. target_info, which the OTLP translation adds
// by itself, does not count, and the parts of one classic histogram or summary
// count as one point.
func (g *Guard) refuse(reason string, err error, ls labels.Labels, t int64) {
	name := ls.Get(labels.MetricName)
	if g.Lenient && name == "target_info" {
		return
	}
	if g.Lenient {
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			name = strings.TrimSuffix(name, suffix)
		}
		b := labels.NewBuilder(ls).Set(labels.MetricName, name).Del("le", "quantile")
		key := pointKey{b.Labels().Hash(), t}
		if _, dup := g.seen[key]; dup {
			return
		}
		g.seen[key] = struct{}{}
	}
	g.Reject(reason, fmt.Sprintf("%s: %v", shorten(ls.String()), err), 1)
}

// SampleReason tells whether an append error is the sample's own fault, and
// gives the counter's reason. Everything else is the store's.
func SampleReason(err error) (string, bool) {
	var own interface{ RefusalReason() string }
	var hist histogram.Error
	switch {
	case errors.As(err, &own):
		return own.RefusalReason(), true
	case errors.Is(err, storage.ErrTooOldSample):
		return "too_old", true
	case errors.Is(err, storage.ErrOutOfOrderSample):
		return "out_of_order", true
	case errors.Is(err, storage.ErrDuplicateSampleForTimestamp):
		return "duplicate_timestamp", true
	case errors.Is(err, storage.ErrOutOfBounds):
		return "out_of_bounds", true
	case errors.As(err, &hist), errors.Is(err, storage.ErrNativeHistogramsDisabled):
		return "invalid_histogram", true
	}
	return "", false
}

func shorten(s string) string {
	const limit = 200
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "..."
}
