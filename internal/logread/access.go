package logread

import (
	"strconv"
	"strings"

	"github.com/norn-aiops/norn/internal/telemetry"
)

// access is one line of a web server's access log.
type access struct {
	stamp                  Stamp
	client, user, vhost    string
	request, status, bytes string
	referer, agent         string
	extra                  []string // what follows
}

// readAccess reads the Common and the Combined Log Format and what servers
// make of them: a virtual host before, quoted headers and durations behind.
func readAccess(line string, clock Clock, ref int64) (a access, ok bool) {
	open := strings.Index(line[:min(len(line), 400)], " [")
	if open < 0 {
		return a, false
	}
	if a.stamp, ok = clock.Read(line[open+2:], ref); !ok || !a.stamp.Clock || !a.stamp.Year {
		return a, false
	}
	rest := line[open+2+a.stamp.Len:]
	if rest == "" || rest[0] != ']' || !a.peer(strings.Fields(line[:open])) {
		return a, false
	}
	words, quoted := accessWords(rest[1:])
	if len(words) < 2 || !quoted[0] || quoted[1] || len(words[1]) != 3 || strings.Trim(words[1], "0123456789") != "" {
		return a, false
	}
	a.request, a.status = words[0], words[1]
	k := 2
	if k < len(words) && !quoted[k] {
		a.bytes = words[k]
		k++
	}
	if k < len(words) && quoted[k] {
		a.referer = words[k]
		k++
	}
	if k < len(words) && quoted[k] {
		a.agent = words[k]
		k++
	}
	a.extra = words[k:]
	return a, true
}

// peer reads what stands before the time.
func (a *access) peer(w []string) bool {
	if len(w) == 0 {
		return false
	}
	if len(w) >= 4 && isServer(w[0]) && isServer(w[1]) && w[2] == "-" {
		a.vhost, w = w[0], w[1:]
	}
	a.client = w[0]
	if n := len(w); n >= 3 && w[n-1] != "-" {
		a.user = w[n-1]
	}
	return isServer(a.client)
}

func isServer(w string) bool {
	return strings.ContainsAny(w, ".:") || strings.ContainsAny(w, "0123456789") || w == "localhost" || w == "-"
}

// accessWords splits at blanks outside of quotes. At most 24 words are given.
func accessWords(s string) (words []string, quoted []bool) {
	for i := 0; i < len(s) && len(words) < 24; {
		if isBlank(s[i]) {
			i++
			continue
		}
		if s[i] != '"' {
			j := i
			for j < len(s) && !isBlank(s[j]) {
				j++
			}
			words, quoted = append(words, s[i:j]), append(quoted, false)
			i = j
			continue
		}
		j := i + 1
		for j < len(s) && s[j] != '"' {
			if s[j] == '\\' {
				j++
			}
			j++
		}
		j = min(j, len(s))
		words, quoted = append(words, s[i+1:j]), append(quoted, true)
		i = j + 1
	}
	return words, quoted
}

// fill writes the line into a record.
func (a *access) fill(rec *telemetry.LogRecord) {
	rec.Time = a.stamp.Time
	rec.Body = strings.TrimRight(`"`+a.request+`" `+a.status+" "+a.bytes, " ")
	w := web{status: a.status, client: a.client, agent: a.agent, referer: a.referer, user: a.user, server: a.vhost}
	w.request(a.request)
	if a.bytes != "-" {
		w.bytes = a.bytes
	}
	for i, x := range a.extra {
		key, value, pair := strings.Cut(x, "=")
		switch {
		case pair && (key == "rt" || key == "request_time" || key == "duration"):
			w.duration = seconds(value, 1)
		case !pair && i == len(a.extra)-1 && w.duration == "" && isNumber(x):
			unit := 1e-6 // Apache's %D
			if strings.Contains(x, ".") {
				unit = 1 // nginx' $request_time
			}
			w.duration = seconds(x, unit)
		}
	}
	w.fill(rec)
}

// web is what is known of a request.
type web struct {
	method, path, query, version    string
	status, bytes, duration, client string
	agent, referer, user, server    string
}

// request reads "GET /path?query HTTP/1.1".
func (w *web) request(line string) {
	method, rest, ok := strings.Cut(line, " ")
	if !ok || !isMethod(method) {
		return
	}
	w.method = method
	target, proto, _ := strings.Cut(rest, " ")
	if v, ok := strings.CutPrefix(proto, "HTTP/"); ok {
		w.version = v
	}
	w.path, w.query, _ = strings.Cut(target, "?")
}

func isMethod(s string) bool {
	switch s {
	case "GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "CONNECT", "TRACE", "PROPFIND", "REPORT", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "SEARCH", "PURGE":
		return true
	}
	return false
}

// fill adds the typed fields under the names of OpenTelemetry's semantic
// conventions, and the severity that the status means when there is none.
func (w *web) fill(rec *telemetry.LogRecord) {
	put := func(key, value string) {
		if value == "" || value == "-" || telemetry.Get(rec.Attributes, key) != "" {
			return
		}
		rec.Attributes = append(rec.Attributes, telemetry.Attr{Key: key, Value: value})
	}
	put("client.address", w.client)
	put("http.request.header.referer", w.referer)
	put("http.request.method", w.method)
	put("http.response.body.size", digitsOnly(w.bytes))
	put("http.response.status_code", w.status)
	put("http.server.request.duration", w.duration)
	put("network.protocol.version", w.version)
	put("server.address", w.server)
	put("url.path", w.path)
	put("url.query", w.query)
	put("url.template", PathTemplate(w.path))
	put("user.name", w.user)
	put("user_agent.original", w.agent)
	if rec.SeverityText == "" && rec.Severity == 0 {
		rec.SeverityText = "info"
		if w.status >= "500" {
			rec.SeverityText = "error"
		}
	}
}

func digitsOnly(s string) string {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return ""
	}
	return s
}

// seconds writes a duration in seconds. A unit in the text wins over the
// given one (in seconds). What is no number gives "".
func seconds(s string, unit float64) string {
	s = strings.TrimSpace(s)
	end := 0
	for end < len(s) && (isDigit(s[end]) || s[end] == '.' || s[end] == '-' && end == 0) {
		end++
	}
	v, err := strconv.ParseFloat(s[:end], 64)
	if err != nil || v < 0 {
		return ""
	}
	switch strings.TrimSpace(s[end:]) {
	case "":
	case "s", "sec", "secs", "seconds":
		unit = 1
	case "ms", "msec", "millis", "milliseconds":
		unit = 1e-3
	case "us", "µs", "μs", "usec", "microseconds":
		unit = 1e-6
	case "ns":
		unit = 1e-9
	case "m", "min":
		unit = 60
	default:
		return ""
	}
	return strconv.FormatFloat(v*unit, 'g', 9, 64)
}
