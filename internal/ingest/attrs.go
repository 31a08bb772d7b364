package ingest

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/norn-aiops/norn/internal/telemetry"
)

// onceFlag is true for its first asker only.
type onceFlag struct{ done atomic.Bool }

func (f *onceFlag) first() bool { return f.done.CompareAndSwap(false, true) }

// SortAttrs sorts attributes by key and keeps the last value of each key, as
// [telemetry.Attr] slices must be. It works in place.
func SortAttrs(attrs []telemetry.Attr) []telemetry.Attr {
	slices.SortStableFunc(attrs, func(a, b telemetry.Attr) int { return strings.Compare(a.Key, b.Key) })
	out := attrs[:0]
	for i := range attrs {
		if i+1 < len(attrs) && attrs[i+1].Key == attrs[i].Key {
			continue
		}
		out = append(out, attrs[i])
	}
	return out
}

// CheckRecord applies the limits on lines and attributes to one log record.
// A nil answer means that it may be handed over.
func (l Limits) CheckRecord(rec *telemetry.LogRecord) *Refusal {
	if len(rec.Body) > l.Line {
		return &Refusal{"line_too_long", fmt.Sprintf("line has %d bytes, the limit is %d", len(rec.Body), l.Line)}
	}
	return l.CheckAttrs(rec.Resource, rec.Attributes)
}

// CheckAttrs applies the limits on the number and size of attributes.
func (l Limits) CheckAttrs(sets ...[]telemetry.Attr) *Refusal {
	for _, attrs := range sets {
		if len(attrs) > l.Labels {
			return &Refusal{"too_many_labels", fmt.Sprintf("%d attributes, the limit is %d", len(attrs), l.Labels)}
		}
		for i := range attrs {
			if len(attrs[i].Key)+len(attrs[i].Value) > l.LabelBytes {
				return &Refusal{"label_too_long", fmt.Sprintf("attribute %q is longer than %d bytes", shorten(attrs[i].Key), l.LabelBytes)}
			}
		}
	}
	return nil
}

// Clean makes text valid UTF-8: each run of bad bytes becomes one U+FFFD.
func Clean(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// PeerHost takes the port off a network address.
func PeerHost(addr string) string {
	if host, _, err := net.SplitHostPort(addr); err == nil {
		return host
	}
	return addr
}
