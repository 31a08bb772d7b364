package logread

import (
	"strings"

	"github.com/norn-aiops/norn/internal/telemetry"
)

// header is what was cut from the beginning of a line. Texts share the line.
type header struct {
	stamp     Stamp
	timed     bool
	level     string
	host      string
	component string
	context   string
	rest      string // columns that nothing is known of
	body      string
}

// begins reports whether a line begins a record: it has the stream's time
// stamp where it belongs. Without a stamp in the layout every line does.
func (l *layout) begins(line string) bool {
	if l.stamp < 0 {
		return true
	}
	i := 0
	for k := 0; k <= l.stamp; k++ {
		f, ok := l.splitter.next(line, i)
		if !ok {
			return false
		}
		if k == l.stamp {
			return f.kind == kindStamp
		}
		i = f.next
	}
	return false
}

// cut takes the header off a line. ok is false when the line does not have
// it; the body is then the whole line.
func (l *layout) cut(line string) (h header, ok bool) {
	h.body = line
	i := 0
	for k := range l.columns {
		c := &l.columns[k]
		f, more := l.splitter.next(line, i)
		if !more {
			if c.loose {
				break
			}
			return header{body: line}, false
		}
		if k == l.stamp && f.kind != kindStamp {
			return header{body: line}, false
		}
		if c.loose && !c.fits(&f) {
			if c.kind == kindDash || c.kind == kindGroup || c.kind == kindLevel || c.kind == kindNumber { // a missing mark: what follows may be there
				continue
			}
			break
		}
		h.take(c, &f, line)
		i = f.next
	}
	if len(l.columns) > 0 {
		h.body = strings.TrimLeft(line[i:], " \t")
		if l.splitter.pipe {
			h.body = strings.TrimLeft(h.body, "|")
		}
		if len(h.body) > 2 && h.body[0] == '-' && h.body[1] == ' ' {
			h.body = strings.TrimLeft(h.body[2:], " ")
		}
	}
	return h, true
}

// fits reports whether a line's field is what the column holds.
func (c *column) fits(f *field) bool {
	switch c.kind {
	case kindName: // a component, with or without a colon
		return f.dotted || f.kind == kindTag
	case kindTag:
		return f.kind == kindTag
	}
	return f.kind == c.kind
}

func (h *header) take(c *column, f *field, line string) {
	text := line[f.start:f.end]
	switch c.role {
	case roleTime:
		h.stamp, h.timed = f.stamp, true
		if f.stamp.Level != 0 {
			h.level = text[:1]
		}
	case roleLevel:
		if w := strings.TrimSpace(text); len(w) > len(h.level) {
			h.level = w
		}
	case roleHost:
		h.host = text
	case roleComponent:
		h.component = text
	case roleGroup:
		h.join(&h.context, text)
	case roleNone:
		h.join(&h.rest, text)
	}
}

func (h *header) join(to *string, text string) {
	if *to == "" {
		*to = text
		return
	}
	*to += " " + text
}

// fill writes what the header says into a record.
func (h *header) fill(rec *telemetry.LogRecord) {
	if h.timed {
		rec.Time = h.stamp.Time
	}
	rec.SeverityText = h.level
	rec.Body = h.body
	put := func(to *[]telemetry.Attr, key, value string) {
		if value != "" {
			*to = append(*to, telemetry.Attr{Key: key, Value: value})
		}
	}
	put(&rec.Attributes, "log.context", h.context)
	put(&rec.Attributes, "log.header", h.rest)
	app, pid, isApp := process(h.component)
	switch {
	case isApp && h.host != "", pid != "":
		put(&rec.Resource, "host.name", h.host)
		put(&rec.Resource, "syslog.appname", app)
		put(&rec.Resource, "syslog.procid", pid)
	default:
		put(&rec.Resource, "host.name", h.host)
		put(&rec.Attributes, "log.logger", h.component)
	}
}

// process splits "sshd[4711]" and "sshd(pam_unix)[4711]".
func process(component string) (app, pid string, ok bool) {
	if component == "" {
		return "", "", false
	}
	app = component
	if i := strings.IndexByte(app, '['); i > 0 && app[len(app)-1] == ']' {
		app, pid = app[:i], app[i+1:len(app)-1]
		if strings.Trim(pid, "0123456789") != "" {
			return component, "", false
		}
	}
	if i := strings.IndexByte(app, '('); i > 0 {
		app = app[:i]
	}
	return app, pid, true
}

// Header is how the lines of a stream begin, learned from its first lines. It
// is read only and safe for concurrent use.
type Header struct{ l layout }

// LearnHeader learns the header of lines; 300 are plenty. ref (Unix ns) is
// about when they were written.
func LearnHeader(lines []string, clock Clock, ref int64) *Header {
	return &Header{learn(lines, clock, ref)}
}

// Cut takes the header off a line. ok is false when the line does not have
// it; the body is then the whole line.
func (h *Header) Cut(line string) (body string, ok bool) {
	cut, ok := h.l.cut(line)
	return cut.body, ok
}
