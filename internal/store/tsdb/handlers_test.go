package tsdb_test

import (
	"bytes"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/golang/snappy"
	remoteapi "github.com/prometheus/client_golang/exp/api/remote"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"github.com/prometheus/prometheus/storage/remote"

	"github.com/norn-aiops/norn/internal/store"
	"github.com/norn-aiops/norn/internal/store/tsdb"
)

// Prometheus's own receivers take the store for a storage: a series beyond a
// limit is the sender's error, never one to try again for ever. The receiver of
// 2.0 keeps its good neighbours, and the tap sees them; that of 1.0 gives up the
// whole request at the first error, so whoever mounts it has to keep such
// errors from it.
func TestRemoteWriteAnswersLimits(t *testing.T) {
	var seen []store.Committed
	d := open(t, t.TempDir(), tsdb.Options{MaxLabels: 5, OnCommit: func(b []store.Committed) { seen = append(seen, b...) }})
	defer d.Close()
	h := remote.NewWriteHandler(promslog.NewNopLogger(), nil, d,
		remoteapi.MessageTypes{remoteapi.WriteV1MessageType, remoteapi.WriteV2MessageType}, false, true)
	now := time.Now().UnixMilli()

	var v1 prompb.WriteRequest
	for i := range 3 {
		ls := []prompb.Label{{Name: "__name__", Value: fmt.Sprint("v1_", i)}}
		for k := 0; i == 1 && k < 9; k++ {
			ls = append(ls, prompb.Label{Name: fmt.Sprint("l", k), Value: "x"})
		}
		v1.Timeseries = append(v1.Timeseries, prompb.TimeSeries{Labels: ls, Samples: []prompb.Sample{{Timestamp: now, Value: 1}}})
	}
	body, err := v1.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	post := func(body []byte, contentType, version string) (int, string) {
		r := httptest.NewRequest("POST", "/api/v1/write", bytes.NewReader(snappy.Encode(nil, body)))
		r.Header.Set("Content-Type", contentType)
		r.Header.Set("Content-Encoding", "snappy")
		r.Header.Set("X-Prometheus-Remote-Write-Version", version)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code, w.Body.String()
	}
	code, text := post(body, "application/x-protobuf", "0.1.0")
	if code != 400 || !strings.Contains(text, "10 labels") {
		t.Errorf("remote write 1.0: %d %s, want 400 and the limit's name", code, text)
	}
	v1.Timeseries = append(v1.Timeseries[:1], v1.Timeseries[2])
	if body, err = v1.Marshal(); err != nil {
		t.Fatal(err)
	}
	seen = nil
	if code, text = post(body, "application/x-protobuf", "0.1.0"); code != 204 || len(seen) != 2 {
		t.Errorf("remote write 1.0: %d %s, and the tap saw %d samples, want 204 and 2", code, text, len(seen))
	}

	seen = nil
	symbols := writev2.NewSymbolTable()
	var v2 writev2.Request
	for i := range 3 {
		ls := []string{"__name__", fmt.Sprint("v2_", i)}
		for k := 0; i == 1 && k < 9; k++ {
			ls = append(ls, fmt.Sprint("l", k), "x")
		}
		var refs []uint32
		for _, s := range ls {
			refs = append(refs, symbols.Symbolize(s))
		}
		v2.Timeseries = append(v2.Timeseries, writev2.TimeSeries{
			LabelsRefs: refs, Samples: []writev2.Sample{{Timestamp: now, Value: 1}},
			Metadata: writev2.Metadata{Type: writev2.Metadata_METRIC_TYPE_COUNTER, UnitRef: symbols.Symbolize("seconds")},
		})
	}
	v2.Symbols = symbols.Symbols()
	if body, err = v2.Marshal(); err != nil {
		t.Fatal(err)
	}
	code, text = post(body, "application/x-protobuf;proto=io.prometheus.write.v2.Request", "2.0.0")
	if code != 400 || !strings.Contains(text, "10 labels") {
		t.Errorf("remote write 2.0: %d %s, want 400 and the limit's name", code, text)
	}
	if len(seen) != 2 || seen[0].Type != "counter" || seen[0].Unit != "seconds" {
		t.Errorf("remote write 2.0: the tap saw %+v, want two counters in seconds", seen)
	}
}
