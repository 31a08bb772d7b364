package vlogs

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/VictoriaMetrics/VictoriaLogs/lib/logstorage"
	"github.com/cespare/xxhash/v2"

	"github.com/norn-aiops/norn/internal/telemetry"
)

// The storage's own limits, with room for the fields that the engine adds.
const (
	maxRowBytes  = 2<<20 - 1024
	maxFields    = 1900
	maxNameBytes = 128
)

// builder collects the fields of one row, each name once.
type builder struct {
	fields  []logstorage.Field
	clipped bool // something did not fit
}

func (b *builder) put(name, value string) {
	if value != "" {
		b.fields = append(b.fields, logstorage.Field{Name: name, Value: value})
	}
}

// reserved names are Norn's or the storage's; an attribute of that name is
// stored with a prefix.
func reserved(name string) bool {
	switch name {
	case "", "_msg", "_time", "_stream", "_stream_id", seqField, "service", "instance", "entity", "severity",
		"severity_number", "severity_text", "template", "trace_id", "span_id", "source":
		return true
	}
	return false
}

// attrs adds attributes and resource attributes under their own keys. Both
// are sorted. Where both have a key, the resource's goes under "resource.KEY"
// unless the values are equal.
func (b *builder) attrs(own, resource []telemetry.Attr) {
	base := len(b.fields)
	for i := range own {
		b.attr(base, own[i].Key, own[i].Value, "attribute.")
	}
	j := 0
	for i := range resource {
		r := &resource[i]
		for j < len(own) && own[j].Key < r.Key {
			j++
		}
		if j < len(own) && own[j].Key == r.Key {
			if own[j].Value != r.Value {
				b.attr(base, "resource."+r.Key, r.Value, "")
			}
			continue
		}
		b.attr(base, r.Key, r.Value, "resource.")
	}
}

func (b *builder) attr(base int, key, value, prefix string) {
	if value == "" {
		return
	}
	if len(b.fields) >= maxFields {
		b.clipped = true
		return
	}
	if reserved(key) {
		key = prefix + key
	}
	long := len(key) > maxNameBytes
	if long {
		// The end of the name becomes its hash, so that long names stay apart.
		h := strconv.FormatUint(xxhash.Sum64String(key), 16)
		key = clip(key, maxNameBytes-len(h)-1) + "~" + h
	}
	// A made-up name may meet an attribute that is called just so.
	if long || strings.HasPrefix(key, "resource.") || strings.HasPrefix(key, "attribute.") {
		for b.has(base, key) {
			if len(key) == maxNameBytes {
				b.clipped = true
				return
			}
			key += "_"
		}
	}
	b.fields = append(b.fields, logstorage.Field{Name: key, Value: value})
}

func (b *builder) has(base int, key string) bool {
	for i := base; i < len(b.fields); i++ {
		if b.fields[i].Name == key {
			return true
		}
	}
	return false
}

// fit shortens the longest values until the storage takes the row.
func (b *builder) fit() {
	over := logstorage.EstimatedJSONRowLen(b.fields) - maxRowBytes
	for over > 0 {
		b.clipped = true
		longest := 0
		for i := range b.fields {
			if len(b.fields[i].Value) > len(b.fields[longest].Value) {
				longest = i
			}
		}
		f := &b.fields[longest]
		// Not below 1 KiB at once: several long values share the loss.
		f.Value = clip(f.Value, max(len(f.Value)-over, min(1024, len(f.Value)/2)))
		over = logstorage.EstimatedJSONRowLen(b.fields) - maxRowBytes
	}
}

// clip cuts s to at most n bytes, not inside a character.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// logRow turns a record into a row.
func logRow(rec *telemetry.LogRecord) (r row, clipped bool) {
	b := builder{fields: make([]logstorage.Field, 0, 12+len(rec.Attributes)+len(rec.Resource))}
	b.put("service", rec.Entity.Name)
	b.put("instance", rec.Instance.Name)
	if rec.Entity.Kind != telemetry.KindService {
		b.put("entity", rec.Entity.String())
	}
	b.put("severity", rec.Severity.String())
	b.put("severity_number", strconv.Itoa(int(rec.Severity)))
	if !strings.EqualFold(rec.SeverityText, rec.Severity.String()) {
		b.put("severity_text", rec.SeverityText)
	}
	if rec.Template != 0 {
		b.put("template", strconv.FormatUint(rec.Template, 10))
	}
	b.put("trace_id", rec.TraceID)
	b.put("span_id", rec.SpanID)
	b.put("source", rec.Source)
	b.put("_msg", rec.Body)
	b.attrs(rec.Attributes, rec.Resource)
	b.fit()
	r = row{time: rec.Time, fields: b.fields}
	if rec.Retryable {
		r.id = rec.Hash
	}
	return r, b.clipped
}
