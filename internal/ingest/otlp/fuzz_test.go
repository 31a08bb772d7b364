package otlp

import (
	"context"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/norn-aiops/norn/internal/telemetry"
	"github.com/prometheus/prometheus/storage"
)

type sinkhole struct{ storage.Appendable }

func (sinkhole) AppenderV2(context.Context) storage.AppenderV2 { return sinkAppender{} }

type sinkAppender struct{ nowhere }

func (sinkAppender) Commit() error   { return nil }
func (sinkAppender) Rollback() error { return nil }

func fuzzReceiver(f *testing.F) *Receiver {
	r, err := New(Options{HTTPAddr: "127.0.0.1:0", Sink: &recorder{}, Metrics: sinkhole{}, Cumulate: toCumulative})
	if err != nil {
		f.Fatal(err)
	}
	return r
}

func fine(t *testing.T, err error) {
	if c := status.Code(err); c != codes.OK && c != codes.InvalidArgument {
		t.Errorf("a request of ours to answer for: %v", err)
	}
}

func FuzzMetrics(f *testing.F) {
	for _, make := range []func() pmetricotlp.ExportRequest{
		func() pmetricotlp.ExportRequest {
			return pmetricotlp.NewExportRequestFromMetrics(allTypes(time.Unix(1e9, 0)))
		},
		func() pmetricotlp.ExportRequest {
			md, _, _ := badNeighbours(time.Unix(1e9, 0))
			return pmetricotlp.NewExportRequestFromMetrics(md)
		},
	} {
		b, _ := make().MarshalProto()
		f.Add(b, false)
		b, _ = make().MarshalJSON()
		f.Add(b, true)
	}
	// Two points centuries apart once made millions of target_info samples.
	md := allTypes(time.Unix(1e9, 0))
	md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Gauge().DataPoints().At(0).SetTimestamp(1 << 63)
	b, _ := pmetricotlp.NewExportRequestFromMetrics(md).MarshalProto()
	f.Add(b, false)
	r := fuzzReceiver(f)
	f.Fuzz(func(t *testing.T, b []byte, js bool) {
		req := pmetricotlp.NewExportRequest()
		decode := req.UnmarshalProto
		if js {
			decode = req.UnmarshalJSON
		}
		if decode(b) == nil {
			fine(t, r.consumeMetrics(context.Background(), req.Metrics()))
		}
	})
}

func FuzzLogs(f *testing.F) {
	f.Add([]byte(`{"resourceLogs":[{"resource":{"attributes":[{"key":"a","value":{"kvlistValue":{"values":[{"key":"b","value":{"bytesValue":"AAE="}}]}}}]},"scopeLogs":[{"logRecords":[{"timeUnixNano":"1","severityNumber":17,"body":{"arrayValue":{"values":[{"intValue":"1"}]}}}]}]}]}`), true)
	f.Add([]byte{0x0a, 0x02, 0x12, 0x00}, false)
	r := fuzzReceiver(f)
	f.Fuzz(func(t *testing.T, b []byte, js bool) {
		req := plogotlp.NewExportRequest()
		decode := req.UnmarshalProto
		if js {
			decode = req.UnmarshalJSON
		}
		if decode(b) != nil {
			return
		}
		var bad refused
		for _, rec := range r.logRecords(req.Logs(), "", time.Unix(1, 0), &bad) {
			checkAttrs(t, rec.Resource)
			checkAttrs(t, rec.Attributes)
			if rec.Time <= 0 || rec.Severity < 0 || rec.Severity > 24 {
				t.Errorf("record %+v", rec)
			}
		}
	})
}

func FuzzTraces(f *testing.F) {
	b, _ := ptraceotlp.NewExportRequestFromTraces(oneSpan()).MarshalProto()
	f.Add(b, false)
	b, _ = ptraceotlp.NewExportRequestFromTraces(oneSpan()).MarshalJSON()
	f.Add(b, true)
	r := fuzzReceiver(f)
	f.Fuzz(func(t *testing.T, b []byte, js bool) {
		req := ptraceotlp.NewExportRequest()
		decode := req.UnmarshalProto
		if js {
			decode = req.UnmarshalJSON
		}
		if decode(b) != nil {
			return
		}
		var bad refused
		for _, s := range r.spans(req.Traces(), "", &bad) {
			checkAttrs(t, s.Attributes)
			if len(s.TraceID) != 32 || len(s.SpanID) != 16 || s.End < s.Start {
				t.Errorf("span %+v", s)
			}
		}
	})
}

func checkAttrs(t *testing.T, attrs []telemetry.Attr) {
	for i := 1; i < len(attrs); i++ {
		if attrs[i-1].Key >= attrs[i].Key {
			t.Errorf("attributes are not sorted and unique: %q", attrs)
		}
	}
}
