package ingest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fastjson"

	"github.com/norn-aiops/norn/internal/logread"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// JSONLogs turns JSON objects, as log shippers and scripts send them, into log
// records. Nested objects are flattened to dotted keys, arrays become JSON
// text. Known keys (ECS, zap, logrus, pino, bunyan, rsyslog templates) fill the
// record's own fields; keys that describe the sender go to Resource, all others
// to Attributes. A JSONLogs is used by one goroutine at a time.
type JSONLogs struct {
	parser fastjson.Parser
	flat   []telemetry.Attr
}

// Keys that fill a record's own fields, best first.
var (
	timeKeys  = [...]string{"@timestamp", "time", "timestamp", "ts", "_time"}
	bodyKeys  = [...]string{"message", "msg", "body", "_msg", "log"}
	levelKeys = [...]string{"log.level", "level", "severity", "severity_text", "lvl", "loglevel"}
	traceKeys = [...]string{"trace.id", "trace_id", "traceId", "traceid"}
	spanKeys  = [...]string{"span.id", "span_id", "spanId", "spanid"}
)

// resourcePrefixes are the namespaces that describe the sender.
var resourcePrefixes = [...]string{
	"service.", "host.", "k8s.", "kubernetes.", "container.", "cloud.", "deployment.",
	"process.", "telemetry.sdk.", "agent.", "observer.", "faas.", "device.", "orchestrator.", "os.",
}

// resourceNames are keys without a namespace that describe the sender, and
// what they are called in the record.
var resourceNames = map[string]string{
	"service": "service.name", "app": "service.name",
	"host": "host.name", "hostname": "host.name",
	"program": "syslog.appname", "programname": "syslog.appname", "app-name": "syslog.appname",
	"procid": "syslog.procid", "msgid": "syslog.msgid", "facility": "syslog.facility",
	"environment": "deployment.environment.name", "env": "deployment.environment.name",
}

// Parse reads one JSON object. A missing time is now; a time that is there and
// cannot be understood is refused with bad_timestamp, as is a document without
// any field (empty) and text that is no object (bad_json).
func (j *JSONLogs) Parse(doc []byte, now time.Time) (telemetry.LogRecord, *Refusal) {
	rec := telemetry.LogRecord{Observed: now.UnixNano()}
	v, err := j.parser.ParseBytes(doc)
	if err != nil {
		return rec, &Refusal{"bad_json", "not a JSON object: " + shorten(Clean(err.Error()))}
	}
	obj, err := v.Object()
	if err != nil {
		return rec, &Refusal{"bad_json", "not a JSON object but " + v.Type().String()}
	}
	j.flat = j.flat[:0]
	j.flatten("", obj, 0)
	if len(j.flat) == 0 {
		return rec, &Refusal{"empty", "the object has no fields"}
	}
	return rec, j.fill(&rec, now)
}

// Fields is Parse for pairs that were read from another format, in any order.
func (j *JSONLogs) Fields(pairs []telemetry.Attr, now time.Time) (telemetry.LogRecord, *Refusal) {
	rec := telemetry.LogRecord{Observed: now.UnixNano()}
	j.flat = append(j.flat[:0], pairs...)
	return rec, j.fill(&rec, now)
}

func (j *JSONLogs) flatten(prefix string, obj *fastjson.Object, depth int) {
	obj.Visit(func(k []byte, v *fastjson.Value) {
		key := prefix + Clean(string(k))
		switch v.Type() {
		case fastjson.TypeNull:
		case fastjson.TypeObject:
			if depth < 16 {
				j.flatten(key+".", v.GetObject(), depth+1)
				return
			}
			j.flat = append(j.flat, telemetry.Attr{Key: key, Value: Clean(v.String())})
		case fastjson.TypeString:
			j.flat = append(j.flat, telemetry.Attr{Key: key, Value: Clean(string(v.GetStringBytes()))})
		default:
			j.flat = append(j.flat, telemetry.Attr{Key: key, Value: Clean(v.String())})
		}
	})
}

func (j *JSONLogs) fill(rec *telemetry.LogRecord, now time.Time) *Refusal {
	rec.Time = now.UnixNano()
	if text, ok := j.take(timeKeys[:]); ok {
		t, err := ParseTime(text)
		rec.Time = t.UnixNano()
		if err != nil {
			st, ok := logread.Clock{}.Read(text, now.UnixNano())
			if !ok || !st.Date || !st.Clock {
				return &Refusal{"bad_timestamp", err.Error()}
			}
			rec.Time = st.Time
		}
	}
	rec.Body, _ = j.take(bodyKeys[:])
	rec.SeverityText, _ = j.take(levelKeys[:])
	rec.Severity = ParseSeverity(rec.SeverityText)
	rec.TraceID = j.takeHex(traceKeys[:], 32)
	rec.SpanID = j.takeHex(spanKeys[:], 16)
	for _, a := range j.flat {
		switch name, ok := resourceNames[a.Key]; {
		case a.Key == "":
		case ok:
			rec.Resource = append(rec.Resource, telemetry.Attr{Key: name, Value: a.Value})
		case slices.ContainsFunc(resourcePrefixes[:], func(p string) bool { return strings.HasPrefix(a.Key, p) }):
			rec.Resource = append(rec.Resource, a)
		default:
			rec.Attributes = append(rec.Attributes, a)
		}
	}
	rec.Resource = SortAttrs(rec.Resource)
	rec.Attributes = SortAttrs(rec.Attributes)
	return nil
}

// take removes the first of keys that the document has and returns its value.
func (j *JSONLogs) take(keys []string) (string, bool) {
	for _, key := range keys {
		for i := range j.flat {
			if j.flat[i].Key == key {
				v := j.flat[i].Value
				j.flat[i].Key = ""
				return v, true
			}
		}
	}
	return "", false
}

// takeHex is take for identifiers of n hexadecimal digits; anything else stays
// an attribute.
func (j *JSONLogs) takeHex(keys []string, n int) string {
	for _, key := range keys {
		for i := range j.flat {
			if j.flat[i].Key != key || len(j.flat[i].Value) != n {
				continue
			}
			v := strings.ToLower(j.flat[i].Value)
			if strings.Trim(v, "0123456789abcdef") == "" {
				j.flat[i].Key = ""
				return v
			}
		}
	}
	return ""
}

// timeLayouts are tried in order; those without a zone are UTC.
var timeLayouts = [...]string{
	time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z0700", "2006-01-02 15:04:05.999999999Z07:00",
	"2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999", "2006-01-02 15:04:05,999", "2006-01-02",
}

// ParseTime reads RFC 3339 (also with a blank for the T and without a zone,
// which is UTC) and Unix time in seconds, milliseconds, microseconds or
// nanoseconds, told apart by size; seconds may have a fraction. The result lies
// between the years 1970 and 2261.
func ParseTime(s string) (time.Time, error) {
	s = strings.TrimSpace(s)
	if t, ok := parseUnix(s); ok {
		return t, nil
	}
	for _, layout := range timeLayouts {
		if t, err := time.Parse(layout, s); err == nil {
			if t.Unix() < 0 || t.Year() > 2261 {
				break
			}
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("time %q is neither RFC 3339 nor Unix time", shorten(s))
}

func parseUnix(s string) (time.Time, bool) {
	if s == "" || strings.Trim(s, "0123456789.eE+") != "" {
		return time.Time{}, false
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		switch {
		case n < 0:
			return time.Time{}, false
		case n < 1e11: // seconds until the year 5138
			return unixInRange(n, 0)
		case n < 1e14:
			return unixInRange(n/1e3, n%1e3*1e6)
		case n < 1e17:
			return unixInRange(n/1e6, n%1e6*1e3)
		}
		return time.Unix(0, n).UTC(), true
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || f < 0 || f >= 1e14 {
		return time.Time{}, false
	}
	if f >= 1e11 {
		f /= 1e3
	}
	sec := int64(f)
	return unixInRange(sec, int64((f-float64(sec))*1e9))
}

func unixInRange(sec, nsec int64) (time.Time, bool) {
	const last = 9_214_646_400 // 2262-01-01, where nanoseconds overflow
	return time.Unix(sec, nsec).UTC(), sec < last
}

// severities are the names of levels in lower case.
var severities = map[string]telemetry.Severity{
	"trace": 1, "trc": 1, "verbose": 1, "finest": 1, "finer": 2,
	"debug": 5, "dbg": 5, "fine": 5, "d": 5,
	"info": 9, "information": 9, "informational": 9, "inf": 9, "i": 9, "config": 9,
	"notice": 10,
	"warn":   13, "warning": 13, "wrn": 13, "w": 13,
	"error": 17, "err": 17, "e": 17, "severe": 17, "failure": 17,
	"critical": 18, "crit": 18, "dpanic": 18,
	"alert": 19,
	"panic": 21, "fatal": 21, "f": 21, "emerg": 21, "emergency": 21,
	// pino and bunyan
	"10": 1, "20": 5, "30": 9, "40": 13, "50": 17, "60": 21,
}

// ParseSeverity reads the name of a log level in any case ("warn", "ERR",
// "Critical") or one of pino's numbers (10 to 60). What it does not know is
// SeverityUnknown.
func ParseSeverity(s string) telemetry.Severity {
	return severities[strings.ToLower(strings.TrimSpace(s))]
}
