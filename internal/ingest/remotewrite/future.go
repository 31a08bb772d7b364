package remotewrite

import (
	"slices"

	"github.com/gogo/protobuf/proto"
	"github.com/golang/snappy"
	"github.com/prometheus/prometheus/prompb"

	"github.com/norn-aiops/norn/internal/ingest"
)

// withoutFuture rewrites a 1.0 body without the samples, histograms and
// exemplars that lie too far in the future. ok is false when there are none or
// the body cannot be decoded.
func (h *Handler) withoutFuture(body []byte) (fixed []byte, dropped int, ok bool) {
	raw, err := snappy.Decode(nil, body)
	if err != nil {
		return nil, 0, false
	}
	var req prompb.WriteRequest
	if err := proto.Unmarshal(raw, &req); err != nil {
		return nil, 0, false
	}
	// A second less than the guard's limit: the clock goes on.
	limit := h.opts.Now().Add(ingest.MaxAhead).UnixMilli() - 1000
	for i := range req.Timeseries {
		ts := &req.Timeseries[i]
		before := len(ts.Samples) + len(ts.Histograms)
		ts.Samples = slices.DeleteFunc(ts.Samples, func(s prompb.Sample) bool { return s.Timestamp > limit })
		ts.Histograms = slices.DeleteFunc(ts.Histograms, func(s prompb.Histogram) bool { return s.Timestamp > limit })
		ts.Exemplars = slices.DeleteFunc(ts.Exemplars, func(e prompb.Exemplar) bool { return e.Timestamp > limit })
		dropped += before - len(ts.Samples) - len(ts.Histograms)
	}
	if dropped == 0 {
		return nil, 0, false
	}
	raw, err = proto.Marshal(&req)
	if err != nil {
		return nil, 0, false
	}
	return snappy.Encode(nil, raw), dropped, true
}
