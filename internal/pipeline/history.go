package pipeline

import (
	"context"
	"iter"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"

	"github.com/norn-aiops/norn/internal/store"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// readBatch is how many samples are handed over at a time.
const readBatch = 16_384

// ReadHistory gives the samples that are stored in [from, to] (Unix ms) in
// order of time, as the tap would have given them. Of references it has its
// own. slice (ms, at most an hour) is how much is in memory at a time. A batch
// is good until the next one is asked for; its labels may be kept.
func ReadHistory(ctx context.Context, h History, from, to, slice int64) iter.Seq2[[]store.Committed, error] {
	return func(yield func([]store.Committed, error) bool) {
		r := reader{refs: map[uint64]uint32{}}
		slice = min(slice, longestSlice)
		for t := from; t <= to; t += slice {
			if err := r.read(ctx, h, t, min(t+slice-1, to)); err != nil {
				yield(nil, err)
				return
			}
			if !r.give(yield) {
				return
			}
		}
	}
}

// reader reads one slice after another.
type reader struct {
	refs  map[uint64]uint32 // label hash -> place in known
	known []store.Committed // one of each series, without time and value

	samples, sorted []read
	batch           []store.Committed
}

// read is one sample; the time is counted from the slice's begin.
type read struct {
	v  float64
	of uint32 // place in reader.known
	t  uint32 // ms
}

func (r *reader) read(ctx context.Context, h History, from, to int64) error {
	r.samples = r.samples[:0]
	for i := range r.known {
		r.known[i].T = from
	}
	err := h.SelectAll(ctx, from, to, func(ls labels.Labels, samples []telemetry.Sample) {
		of := r.place(h, ls, from)
		for _, x := range samples {
			r.samples = append(r.samples, read{x.V, of, uint32(x.T - from)})
		}
	})
	r.samples, r.sorted = byTime(r.samples, r.sorted)
	return err
}

func (r *reader) place(h History, ls labels.Labels, from int64) uint32 {
	hash := ls.Hash()
	of, ok := r.refs[hash]
	if !ok {
		of = uint32(len(r.known))
		r.refs[hash] = of
		typ, unit := h.Metadata(ls.Get(labels.MetricName))
		r.known = append(r.known, store.Committed{Ref: storage.SeriesRef(of + 1), Labels: ls, T: from, Type: typ, Unit: unit})
	}
	return of
}

// give hands over what was read.
func (r *reader) give(yield func([]store.Committed, error) bool) bool {
	for rest := r.samples; len(rest) > 0; {
		n := min(len(rest), readBatch)
		r.batch = r.batch[:0]
		for _, x := range rest[:n] {
			c := r.known[x.of]
			c.T, c.V = c.T+int64(x.t), x.v
			r.batch = append(r.batch, c)
		}
		if !yield(r.batch, nil) {
			return false
		}
		rest = rest[n:]
	}
	return true
}

// longestSlice keeps the times of a slice within two digits of radixBits.
const (
	radixBits    = 11
	longestSlice = 1 << (2 * radixBits) // ms, 70 minutes
)

// byTime sorts by time and leaves samples of one moment in their order (radix
// sort, least digit first). It returns the sorted ones and the spare memory.
func byTime(in, spare []read) (sorted, rest []read) {
	if cap(spare) < len(in) {
		spare = make([]read, len(in), cap(in))
	}
	spare = spare[:len(in)]
	for shift := 0; shift < 2*radixBits; shift += radixBits {
		var at [1 << radixBits]uint32
		for i := range in {
			at[in[i].t>>shift&(1<<radixBits-1)]++
		}
		sum := uint32(0)
		for d := range at {
			at[d], sum = sum, sum+at[d]
		}
		for i := range in {
			d := in[i].t >> shift & (1<<radixBits - 1)
			spare[at[d]] = in[i]
			at[d]++
		}
		in, spare = spare, in
	}
	return in, spare
}
