package normalize

import (
	"strings"

	"github.com/norn-aiops/norn/internal/telemetry"
)

// Span makes a span uniform in place: identifiers in lower case, times (an end
// before the start becomes the start), entity, instance, kind, valid and
// masked texts. now is in Unix nanoseconds. When ok is false the span must be
// refused for reason.
func (n *LogNormalizer) Span(s *telemetry.Span, now int64) (ok bool, reason string) {
	s.TraceID, s.SpanID, s.ParentID = cleanID(s.TraceID), cleanID(s.SpanID), cleanID(s.ParentID)
	if s.TraceID == "" || s.SpanID == "" {
		return false, ReasonNoID
	}
	if s.ParentID == s.SpanID {
		s.ParentID = ""
	}
	if s.Start <= 0 {
		s.Start = s.End
	}
	if s.Start <= 0 {
		return false, ReasonNoTime
	}
	s.End = max(s.End, s.Start)
	if reason := n.checkTime(s.End, now, n.cfg.MaxAge); reason != "" {
		return false, reason
	}
	n.skew.observe(s.Sender, now-s.End, now)
	res := n.resolve(s.Resource)
	s.Resource = res.clean
	if s.Entity.IsZero() {
		s.Entity, s.Instance = res.entity, res.instance
		if s.Entity.IsZero() && s.Sender != "" {
			s.Entity = telemetry.Entity{Kind: telemetry.KindHost, Name: cleanHost(s.Sender)}
		}
	}
	switch k := telemetry.SpanKind(strings.ToLower(string(s.Kind))); k {
	case telemetry.SpanServer, telemetry.SpanClient, telemetry.SpanProducer, telemetry.SpanConsumer:
		s.Kind = k
	default:
		s.Kind = telemetry.SpanInternal
	}
	s.Name, s.StatusMessage = n.clean(s.Name), n.clean(s.StatusMessage)
	if !n.cfg.NoMask {
		s.Name, _ = n.mask.Mask(s.Name)
		s.StatusMessage, _ = n.mask.Mask(s.StatusMessage)
	}
	n.cleanAttrs(s.Attributes)
	return true, ""
}

// cleanID lowers an identifier; one of zeros only is none.
func cleanID(id string) string {
	if strings.Trim(id, "0") == "" {
		return ""
	}
	return strings.ToLower(id)
}
