package normalize

import (
	"strconv"
	"strings"

	"github.com/norn-aiops/norn/internal/telemetry"
)

// severityWord reads a severity as senders write it: words of any logging
// library, syslog keywords, single letters. ok is false for other words.
func severityWord(w string) (s telemetry.Severity, ok bool) {
	if len(w) == 0 || len(w) > 13 {
		return 0, false
	}
	var buf [13]byte
	for i := 0; i < len(w); i++ {
		c := w[i]
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		buf[i] = c
	}
	switch string(buf[:len(w)]) {
	case "trace", "finest", "finer", "verbose", "t", "trc", "v", "silly":
		return telemetry.SeverityTrace, true
	case "debug", "fine", "d", "dbg", "dbug":
		return telemetry.SeverityDebug, true
	case "info", "information", "informational", "i", "inf", "log", "config", "audit", "success", "ok":
		return telemetry.SeverityInfo, true
	case "notice", "n", "note":
		return telemetry.SeverityInfo + 1, true
	case "warn", "warning", "w", "wrn", "warnings":
		return telemetry.SeverityWarn, true
	case "error", "err", "e", "eror", "severe", "failure", "fail":
		return telemetry.SeverityError, true
	case "critical", "crit", "c":
		return telemetry.SeverityError + 1, true
	case "alert", "a":
		return telemetry.SeverityError + 2, true
	case "fatal", "f", "ftl", "emergency", "emerg", "panic", "dpanic":
		return telemetry.SeverityFatal, true
	}
	return 0, false
}

// severityOf unifies a record's severity: its number when it is one of the
// OpenTelemetry data model (1 to 24), else its text (a word, or a bare number
// as in bunyan and pino: 10 trace to 60 fatal), else a level word at the start
// of the body. Unknown stays unknown.
func severityOf(number telemetry.Severity, text, body string) telemetry.Severity {
	if number >= 1 && number <= 24 {
		return number
	}
	if s, ok := severityWord(strings.Trim(strings.TrimSpace(text), "[]<>():")); ok {
		return s
	}
	if n, err := strconv.Atoi(text); err == nil && n >= 10 && n <= 60 && n%10 == 0 {
		return telemetry.Severity((n/10-1)*4 + 1)
	}
	return severityOfBody(body)
}

// headBytes is how much of a line is searched for its level.
const headBytes = 160

// severityOfBody finds the level that a line carries at its start: klog's
// "E0102 15:04:05", "level=error", "\"level\":\"error\"", "[WARN]", "ERROR ...".
// A word in the middle of prose does not count: words must be in capitals, in
// brackets or behind a level key, among the first few words.
func severityOfBody(body string) telemetry.Severity {
	if len(body) > 5 && isDigits(body[1:5]) && (body[5] == ' ' || isDigits(body[5:6])) {
		switch body[0] {
		case 'I', 'W', 'E', 'F':
			s, _ := severityWord(body[:1])
			return s
		}
	}
	head := body[:min(len(body), headBytes)]
	if s, ok := severityOfKey(head); ok {
		return s
	}
	words := 0
	for i := 0; i < len(head) && words < 8; {
		if !isWordByte(head[i]) {
			i++
			continue
		}
		j := i
		for j < len(head) && isWordByte(head[j]) {
			j++
		}
		w := head[i:j]
		if j == len(head) && len(head) < len(body) {
			break // cut off
		}
		if isLevelSpot(head, i, j) {
			if s, ok := severityWord(w); ok && len(w) > 1 {
				return s
			}
		}
		if w[0] < '0' || w[0] > '9' {
			words++
		}
		i = j
	}
	return telemetry.SeverityUnknown
}

// isLevelSpot reports whether the word head[i:j] stands like a level: in
// capitals, in brackets, or first on the line before a colon.
func isLevelSpot(head string, i, j int) bool {
	w := head[i:j]
	if strings.ToUpper(w) == w && !hasDigit(w) {
		return true
	}
	if i > 0 && j < len(head) && (head[i-1] == '[' && head[j] == ']' || head[i-1] == '<' && head[j] == '>') {
		return true
	}
	return i == 0 && j < len(head) && head[j] == ':'
}

// severityOfKey finds level=..., severity: ..., "level":"...", lvl=....
func severityOfKey(head string) (telemetry.Severity, bool) {
	for _, key := range []string{"level", "lvl", "severity", "loglevel"} {
		i := strings.Index(head, key)
		if i < 0 || i > 0 && isWordByte(head[i-1]) {
			continue
		}
		rest := strings.TrimLeft(head[i+len(key):], `"'`)
		if rest == "" || rest[0] != '=' && rest[0] != ':' {
			continue
		}
		rest = strings.TrimLeft(rest[1:], ` "'`)
		end := 0
		for end < len(rest) && isWordByte(rest[end]) {
			end++
		}
		if s, ok := severityWord(rest[:end]); ok {
			return s, true
		}
		if n, err := strconv.Atoi(rest[:end]); err == nil && n >= 10 && n <= 60 && n%10 == 0 {
			return telemetry.Severity((n/10-1)*4 + 1), true
		}
	}
	return 0, false
}
