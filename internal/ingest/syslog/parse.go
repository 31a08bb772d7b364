package syslog

import (
	"bytes"
	"strconv"
	"strings"
	"time"

	sl "github.com/leodido/go-syslog/v4"
	"github.com/leodido/go-syslog/v4/rfc5424"

	"github.com/norn-aiops/norn/internal/ingest"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// Facility and severity keywords by number (RFC 5424, 6.2.1).
var (
	facilities = [...]string{
		"kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
		"ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
	}
	severityNames = [...]string{"emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"}
	// The mapping of the OpenTelemetry log data model, appendix B.
	severityNumbers = [...]telemetry.Severity{21, 19, 18, 17, 13, 10, 9, 5}
)

// parser turns lines into records; it belongs to one connection.
type parser struct {
	strict sl.Machine
	loc    *time.Location
}

func newParser(s *Server) *parser {
	return &parser{strict: rfc5424.NewParser(), loc: s.opts.Location}
}

// fields are the parts of a line before they become attributes.
type fields struct {
	host, app, proc, msgID string
}

// parse reads a line by RFC 5424 when it says that it is one ("<PRI>1 "), else
// by RFC 3164. ok is false when it is neither; the record then has the raw line
// as its body and now as its time.
func (p *parser) parse(line []byte, now time.Time) (rec telemetry.LogRecord, ok bool) {
	pri, rest, hasPri := priority(line)
	if hasPri && bytes.HasPrefix(rest, []byte("1 ")) {
		if rec, ok = p.rfc5424(line, pri, now); ok {
			return rec, true
		}
	} else if rec, ok = p.rfc3164(rest, pri, now); ok {
		return rec, true
	}
	return p.raw(line, now), false
}

// raw keeps the line as it came; the priority is used when it can be read.
func (p *parser) raw(line []byte, now time.Time) telemetry.LogRecord {
	pri, _, _ := priority(line)
	return record(pri, now, now, string(line), fields{}, nil)
}

// priority reads "<N>"; without one, RFC 3164 4.3.3 says user.notice (13).
func priority(line []byte) (pri int, rest []byte, ok bool) {
	end := bytes.IndexByte(line, '>')
	if end < 2 || end > 4 || line[0] != '<' {
		return 13, line, false
	}
	n, err := strconv.ParseUint(string(line[1:end]), 10, 8)
	if err != nil || n > 191 {
		return 13, line, false
	}
	return int(n), line[end+1:], true
}

func record(pri int, at, now time.Time, body string, f fields, attrs []telemetry.Attr) telemetry.LogRecord {
	rec := telemetry.LogRecord{
		Time:         at.UnixNano(),
		Observed:     now.UnixNano(),
		Severity:     severityNumbers[pri&7],
		SeverityText: severityNames[pri&7],
		Body:         ingest.Clean(body),
		Attributes:   ingest.SortAttrs(attrs),
		Source:       protocol,
	}
	// In the order of the keys.
	for _, a := range []telemetry.Attr{
		{Key: "host.name", Value: f.host}, {Key: "syslog.appname", Value: f.app}, {Key: "syslog.facility", Value: facilities[pri>>3]},
		{Key: "syslog.msgid", Value: f.msgID}, {Key: "syslog.procid", Value: f.proc},
	} {
		if a.Value != "" {
			rec.Resource = append(rec.Resource, telemetry.Attr{Key: a.Key, Value: ingest.Clean(a.Value)})
		}
	}
	return rec
}

func (p *parser) rfc5424(line []byte, pri int, now time.Time) (telemetry.LogRecord, bool) {
	m, err := p.strict.Parse(line)
	if err != nil {
		return telemetry.LogRecord{}, false
	}
	msg, ok := m.(*rfc5424.SyslogMessage)
	if !ok || !msg.Valid() {
		return telemetry.LogRecord{}, false
	}
	at := now
	if msg.Timestamp != nil {
		if at = *msg.Timestamp; at.Year() < 1970 || at.Year() > 2261 {
			return telemetry.LogRecord{}, false
		}
	}
	var attrs []telemetry.Attr
	if msg.StructuredData != nil {
		for id, params := range *msg.StructuredData {
			for name, value := range params {
				attrs = append(attrs, telemetry.Attr{Key: ingest.Clean(id + "." + name), Value: ingest.Clean(value)})
			}
		}
	}
	body := strings.TrimPrefix(text(msg.Message), "\ufeff")
	return record(pri, at, now, body, fields{text(msg.Hostname), text(msg.Appname), text(msg.ProcID), text(msg.MsgID)}, attrs), true
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// rfc3164 reads "TIMESTAMP [HOST] TAG[PID]: MESSAGE". The timestamp is the
// RFC's "Jan _2 15:04:05", with a fraction or a year when given, or RFC 3339, as
// rsyslog's own forwarding format has it.
func (p *parser) rfc3164(b []byte, pri int, now time.Time) (telemetry.LogRecord, bool) {
	s := strings.TrimLeft(string(b), " ")
	at, s, ok := p.timestamp(s, now)
	if !ok {
		return telemetry.LogRecord{}, false
	}
	var f fields
	if word, rest, found := strings.Cut(s, " "); found && isHost(word) {
		f.host, s = word, rest
	}
	s = strings.TrimLeft(s, " ")
	f.app, f.proc, s = tag(s)
	return record(pri, at, now, s, f, nil), true
}

// timestamp reads the time at the beginning of s and returns what follows the
// blank behind it.
func (p *parser) timestamp(s string, now time.Time) (time.Time, string, bool) {
	if word, rest, ok := strings.Cut(s, " "); ok && len(word) >= len("2006-01-02T15:04:05Z") && word[4] == '-' {
		t, err := time.Parse(time.RFC3339Nano, word)
		if err != nil || t.Year() < 1970 || t.Year() > 2261 {
			return time.Time{}, "", false
		}
		return t, rest, true
	}
	for _, layout := range []string{"Jan _2 2006 15:04:05", "Jan _2 15:04:05"} {
		n := len(layout)
		if len(s) < n {
			continue
		}
		end := n
		if end < len(s) && s[end] == '.' { // a fraction
			for end++; end < len(s) && s[end] >= '0' && s[end] <= '9' && end < n+10; end++ {
			}
		}
		if end < len(s) && s[end] != ' ' && s[end] != ':' {
			continue
		}
		// The year 2000 lets the 29th of February pass; yearOf corrects it.
		stamp, read := s[:end], layout
		if n == len("Jan _2 15:04:05") {
			stamp, read = "2000 "+stamp, "2006 "+layout
		}
		t, err := time.ParseInLocation(read, stamp, p.loc)
		if err != nil {
			continue
		}
		if read != layout {
			t = nearest(t, now, p.loc)
		} else if t.Year() < 1970 || t.Year() > 2261 {
			return time.Time{}, "", false
		}
		return t, strings.TrimLeft(s[end:], ": "), true
	}
	return time.Time{}, "", false
}

// nearest puts t into the year that brings it closest to now.
func nearest(t, now time.Time, loc *time.Location) time.Time {
	year := now.In(loc).Year()
	var best time.Time
	for y := year - 1; y <= year+1; y++ {
		c := time.Date(y, t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), loc)
		if c.Day() != t.Day() {
			continue // no 29th of February in that year
		}
		if best.IsZero() || c.Sub(now).Abs() < best.Sub(now).Abs() {
			best = c
		}
	}
	if best.IsZero() {
		return now
	}
	return best
}

// isHost tells a host name or address from a tag, which ends with a colon or
// has a process id. An address may hold colons, but not at its end.
func isHost(word string) bool {
	return word != "" && !strings.HasSuffix(word, ":") && !strings.ContainsAny(word, "[]()\"'=,")
}

// tag reads "app[pid]: " or "app: "; without a colon there is no tag.
func tag(s string) (app, proc, rest string) {
	end := strings.IndexAny(s, "[: ")
	if end <= 0 || end > 64 {
		return "", "", s
	}
	app, rest = s[:end], s[end:]
	if rest[0] == '[' {
		p, after, ok := strings.Cut(rest[1:], "]")
		if !ok || len(p) > 128 || strings.ContainsAny(p, " \t") {
			return "", "", s
		}
		proc, rest = p, after
	}
	if !strings.HasPrefix(rest, ":") {
		if proc == "" {
			return "", "", s
		}
		return app, proc, strings.TrimPrefix(rest, " ")
	}
	return app, proc, strings.TrimPrefix(rest[1:], " ")
}
