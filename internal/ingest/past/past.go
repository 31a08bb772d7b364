// Package past brings in what other tools recorded: it reads Prometheus' blocks,
// remote read and CSV, and carries series of samples to a running Norn.
//
// It exists so that models can learn at once from what is there already. The
// way to the server is Prometheus' own: the frames with chunks in them that a
// remote read with STREAMED_XOR_CHUNKS is answered with, posted to
//
//	POST /api/v1/import/history
//
// so that such an answer can be passed on as it is. It does not store, dedupe
// or learn: who is given the series does (a [Sink]).
//
// Sources ([Blocks], [RemoteRead], [CSV]) run on the calling goroutine; a
// [Handler] is safe for concurrent use and takes one import at a time.
package past

import (
	"context"
	"fmt"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"github.com/norn-aiops/norn/internal/store"
)

// Sink takes series of samples. Labels and samples may be kept by it only until
// it returns.
type Sink interface {
	// Add takes samples of one series. An error ends the import: what is wrong
	// with single samples is in the summary.
	Add(ctx context.Context, ls labels.Labels, xs []store.ImportSample) error
}

// Summary is what became of an import; its JSON names stay.
type Summary struct {
	store.ImportStats
	Series   int       `json:"series"`   // that had samples
	Entities int       `json:"entities"` // that they speak of
	Learned  int       `json:"learned"`  // models of series that were made anew from history
	Problems []Problem `json:"problems"` // at most 100
	Bad      int       `json:"bad"`      // parts of the source that could not be read: blocks, series, lines, ranges of time
	Error    string    `json:"error,omitempty"`
}

// Problem is one part of a source that could not be read, or samples that were
// refused.
type Problem struct {
	Where  string `json:"where"` // block, file and line, series, range of time
	Detail string `json:"detail"`
}

const maxProblems = 100

// Note counts a bad part and lists it while there is room.
func (s *Summary) Note(where string, err error) {
	s.Bad++
	s.list(where, err)
}

func (s *Summary) list(where string, err error) {
	if len(s.Problems) < maxProblems {
		s.Problems = append(s.Problems, Problem{where, err.Error()})
	}
}

// Progress is told how much of the work is done, 0 to 1.
type Progress func(share float64)

// sendAtOnce is how many samples of a series go to the sink together.
const sendAtOnce = 120 * 96

// sendSeries reads a series and hands it over. wrong is about the series, err
// about the sink.
func sendSeries(ctx context.Context, to Sink, s storage.Series, it chunkenc.Iterator, buf []store.ImportSample) (_ chunkenc.Iterator, _ []store.ImportSample, wrong, err error) {
	ls := s.Labels()
	it, buf = s.Iterator(it), buf[:0]
	for vt := it.Next(); vt != chunkenc.ValNone; vt = it.Next() {
		if x, ok := sampleOf(it, vt); ok {
			buf = append(buf, x)
		}
		if len(buf) >= sendAtOnce {
			if err := to.Add(ctx, ls, buf); err != nil {
				return it, buf, nil, err
			}
			buf = buf[:0]
		}
	}
	if len(buf) > 0 {
		err = to.Add(ctx, ls, buf)
	}
	if bad := it.Err(); bad != nil {
		wrong = fmt.Errorf("series %.200s: %w", ls, bad)
	}
	return it, buf, wrong, err
}

// sampleOf reads the present sample; stale markers are not history.
func sampleOf(it chunkenc.Iterator, vt chunkenc.ValueType) (x store.ImportSample, ok bool) {
	switch vt {
	case chunkenc.ValFloat:
		x.T, x.V = it.At()
		return x, !value.IsStaleNaN(x.V)
	case chunkenc.ValHistogram:
		var h *histogram.Histogram
		x.T, h = it.AtHistogram(nil)
		x.H = h
		return x, !value.IsStaleNaN(h.Sum)
	case chunkenc.ValFloatHistogram:
		x.T, x.FH = it.AtFloatHistogram(nil)
		return x, !value.IsStaleNaN(x.FH.Sum)
	}
	return x, false
}
