package otlp

import (
	"context"
	"fmt"
	"slices"
	"time"

	"go.opentelemetry.io/collector/client"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/norn-aiops/norn/internal/ingest"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// attrsFrom copies a map into sorted, unique, valid UTF-8 attributes. Arrays and
// maps become JSON text.
func attrsFrom(m pcommon.Map, extra ...telemetry.Attr) []telemetry.Attr {
	if m.Len()+len(extra) == 0 {
		return nil
	}
	out := make([]telemetry.Attr, 0, m.Len()+len(extra))
	out = append(out, extra...)
	for k, v := range m.All() {
		out = append(out, telemetry.Attr{Key: ingest.Clean(k), Value: ingest.Clean(v.AsString())})
	}
	return slices.Clip(ingest.SortAttrs(out))
}

func sender(ctx context.Context) string {
	if addr := client.FromContext(ctx).Addr; addr != nil {
		return ingest.PeerHost(addr.String())
	}
	return ""
}

func scopeAttrs(s pcommon.InstrumentationScope) []telemetry.Attr {
	if s.Name() == "" {
		return nil
	}
	return []telemetry.Attr{{Key: "otel.scope.name", Value: ingest.Clean(s.Name())}}
}

// refused collects refusals of one batch.
type refused struct {
	n      int
	detail string
}

func (b *refused) add(c *ingest.Counters, r *ingest.Refusal) {
	c.Reject(protocol, r.Code, 1)
	b.note(1, r.Detail)
}

func (b *refused) note(n int, detail string) {
	b.n += n
	if b.detail == "" {
		b.detail = detail
	}
}

// tooMany is the first thing that each consumer asks.
func (r *Receiver) tooMany(ctx context.Context, n int) error {
	reached(ctx)
	if n <= r.limits.Batch {
		return nil
	}
	r.opts.Counters.Reject(protocol, "batch_too_large", n)
	return status.Errorf(codes.InvalidArgument, "%d items in one request, the limit is %d", n, r.limits.Batch)
}

func (r *Receiver) consumeLogs(ctx context.Context, ld plog.Logs) error {
	total := ld.LogRecordCount()
	if err := r.tooMany(ctx, total); err != nil {
		return err
	}
	var bad refused
	recs := r.logRecords(ld, sender(ctx), r.opts.Now(), &bad)
	if len(recs) > 0 {
		res, err := r.opts.Sink.Logs(ctx, recs)
		if err != nil {
			r.opts.Counters.Items(protocol, ingest.OutcomeFailed, len(recs))
			return retryable(fmt.Errorf("store log records: %w", err))
		}
		r.opts.Counters.Result(protocol, res)
		for _, rej := range res.Rejected {
			bad.note(1, rej.Detail)
		}
	}
	return answer(ctx, bad.n, total, bad.detail)
}

func (r *Receiver) logRecords(ld plog.Logs, from string, now time.Time, bad *refused) []telemetry.LogRecord {
	recs := make([]telemetry.LogRecord, 0, ld.LogRecordCount())
	for _, rl := range ld.ResourceLogs().All() {
		resource := attrsFrom(rl.Resource().Attributes())
		for _, sl := range rl.ScopeLogs().All() {
			scope := scopeAttrs(sl.Scope())
			for _, lr := range sl.LogRecords().All() {
				rec := logRecord(lr, scope, now)
				rec.Resource, rec.Sender = resource, from
				if ref := r.limits.CheckRecord(&rec); ref != nil {
					bad.add(r.opts.Counters, ref)
					continue
				}
				recs = append(recs, rec)
			}
		}
	}
	return recs
}

func logRecord(lr plog.LogRecord, scope []telemetry.Attr, now time.Time) telemetry.LogRecord {
	rec := telemetry.LogRecord{
		Time:         int64(lr.Timestamp()),
		Observed:     int64(lr.ObservedTimestamp()),
		Severity:     telemetry.Severity(min(max(lr.SeverityNumber(), 0), 24)),
		SeverityText: ingest.Clean(lr.SeverityText()),
		Body:         ingest.Clean(lr.Body().AsString()),
		Source:       protocol,
		Retryable:    true,
	}
	if rec.Observed <= 0 {
		rec.Observed = now.UnixNano()
	}
	if rec.Time <= 0 {
		rec.Time = rec.Observed
	}
	if name := lr.EventName(); name != "" {
		scope = append(slices.Clip(scope), telemetry.Attr{Key: "event.name", Value: ingest.Clean(name)})
	}
	rec.Attributes = attrsFrom(lr.Attributes(), scope...)
	if !lr.TraceID().IsEmpty() {
		rec.TraceID = lr.TraceID().String()
	}
	if !lr.SpanID().IsEmpty() {
		rec.SpanID = lr.SpanID().String()
	}
	return rec
}

func (r *Receiver) consumeTraces(ctx context.Context, td ptrace.Traces) error {
	total := td.SpanCount()
	if err := r.tooMany(ctx, total); err != nil {
		return err
	}
	var bad refused
	spans := r.spans(td, sender(ctx), &bad)
	if len(spans) > 0 {
		res, err := r.opts.Sink.Spans(ctx, spans)
		if err != nil {
			r.opts.Counters.Items(protocol, ingest.OutcomeFailed, len(spans))
			return retryable(fmt.Errorf("store spans: %w", err))
		}
		r.opts.Counters.Result(protocol, res)
		for _, rej := range res.Rejected {
			bad.note(1, rej.Detail)
		}
	}
	return answer(ctx, bad.n, total, bad.detail)
}

func (r *Receiver) spans(td ptrace.Traces, from string, bad *refused) []telemetry.Span {
	spans := make([]telemetry.Span, 0, td.SpanCount())
	for _, rs := range td.ResourceSpans().All() {
		resource := attrsFrom(rs.Resource().Attributes())
		for _, ss := range rs.ScopeSpans().All() {
			scope := scopeAttrs(ss.Scope())
			for _, sp := range ss.Spans().All() {
				s := span(sp, scope)
				s.Resource, s.Sender = resource, from
				if ref := r.checkSpan(&s); ref != nil {
					bad.add(r.opts.Counters, ref)
					continue
				}
				spans = append(spans, s)
			}
		}
	}
	return spans
}

func (r *Receiver) checkSpan(s *telemetry.Span) *ingest.Refusal {
	switch {
	case s.TraceID == "" || s.SpanID == "":
		return &ingest.Refusal{Code: "no_trace_id", Detail: fmt.Sprintf("span %q has no trace id or no span id", s.Name)}
	case s.Start <= 0:
		return &ingest.Refusal{Code: "bad_timestamp", Detail: fmt.Sprintf("span %q has no valid start time", s.Name)}
	case len(s.Name) > r.limits.LabelBytes:
		return &ingest.Refusal{Code: "label_too_long", Detail: fmt.Sprintf("span name is longer than %d bytes", r.limits.LabelBytes)}
	case len(s.StatusMessage) > r.limits.Line:
		return &ingest.Refusal{Code: "line_too_long", Detail: fmt.Sprintf("status message of span %q is longer than %d bytes", s.Name, r.limits.Line)}
	}
	return r.limits.CheckAttrs(s.Resource, s.Attributes)
}

func span(sp ptrace.Span, scope []telemetry.Attr) telemetry.Span {
	s := telemetry.Span{
		Name:          ingest.Clean(sp.Name()),
		Kind:          spanKind(sp.Kind()),
		Start:         int64(sp.StartTimestamp()),
		End:           max(int64(sp.EndTimestamp()), int64(sp.StartTimestamp())),
		Error:         sp.Status().Code() == ptrace.StatusCodeError,
		StatusMessage: ingest.Clean(sp.Status().Message()),
	}
	if !sp.TraceID().IsEmpty() {
		s.TraceID = sp.TraceID().String()
	}
	if !sp.SpanID().IsEmpty() {
		s.SpanID = sp.SpanID().String()
	}
	if !sp.ParentSpanID().IsEmpty() {
		s.ParentID = sp.ParentSpanID().String()
	}
	s.Attributes = attrsFrom(sp.Attributes(), append(slices.Clip(scope), exception(sp)...)...)
	return s
}

// exception gives the attributes of a span's first exception event: they say
// why it failed. The span's own attributes of the same name win.
func exception(sp ptrace.Span) []telemetry.Attr {
	var out []telemetry.Attr
	for _, ev := range sp.Events().All() {
		if ev.Name() != "exception" {
			continue
		}
		for _, key := range []string{"exception.type", "exception.message"} {
			if v, ok := ev.Attributes().Get(key); ok {
				out = append(out, telemetry.Attr{Key: key, Value: ingest.Clean(v.AsString())})
			}
		}
		return out
	}
	return nil
}

func spanKind(k ptrace.SpanKind) telemetry.SpanKind {
	switch k {
	case ptrace.SpanKindServer:
		return telemetry.SpanServer
	case ptrace.SpanKindClient:
		return telemetry.SpanClient
	case ptrace.SpanKindProducer:
		return telemetry.SpanProducer
	case ptrace.SpanKindConsumer:
		return telemetry.SpanConsumer
	}
	return telemetry.SpanInternal
}
