package logread

import "strings"

// trail says what kind of record of several lines is being read; it decides
// which lines without a header of their own still belong to it.
type trail uint8

const (
	trailNone   trail = iota
	trailPython       // behind "Traceback (most recent call last):"
	trailGo           // behind "panic:" or "goroutine 1 [running]:"
)

// continues reports whether a line can only be a part of the record before
// it: it is indented, or a line that stack traces of Java, .NET, Python, Go,
// Ruby, PHP, Rust or JavaScript consist of, or closes a bracket.
func continues(line string) bool {
	if line == "" || isBlank(line[0]) {
		return true
	}
	switch line[0] {
	case '}', ']', ')':
		return len(line) <= 3
	case '.':
		return strings.HasPrefix(line, "... ") && strings.HasSuffix(line, " more")
	case '#':
		return len(line) > 2 && isDigit(line[1]) && strings.ContainsAny(line[:min(len(line), 4)], " ") // PHP, gdb
	case '-':
		return strings.HasPrefix(line, "--- End of ") || strings.HasPrefix(line, "---> ")
	}
	for _, p := range [...]string{
		"at ", "Caused by: ", "Suppressed: ", "Wrapped by: ", "[CIRCULAR REFERENCE", "Traceback (most recent call last)",
		"During handling of the above exception", "The above exception was the direct cause", "goroutine ", "created by ",
		"stack backtrace:", "Stack trace:", "note: run with `RUST_BACKTRACE",
	} {
		if strings.HasPrefix(line, p) {
			return true
		}
	}
	return false
}

// opens tells which trail a line begins or goes on with.
func opens(line string, was trail) trail {
	switch {
	case strings.Contains(line, "Traceback (most recent call last)"), strings.HasPrefix(line, "During handling of the above exception"),
		strings.HasPrefix(line, "The above exception was the direct cause"):
		return trailPython
	case strings.HasPrefix(line, "panic: "), strings.HasPrefix(line, "fatal error: "), strings.HasPrefix(line, "goroutine "),
		strings.HasPrefix(line, "runtime: goroutine stack exceeds"):
		return trailGo
	}
	return was
}

// follows reports whether a line without a header belongs to the trail, and
// whether the trail goes on behind it.
func (t trail) follows(line string) (yes bool, next trail) {
	switch t {
	case trailPython:
		if line == "" || isBlank(line[0]) {
			return true, trailPython
		}
		return true, trailNone // "ValueError: ..." ends it
	case trailGo:
		switch {
		case line == "", isBlank(line[0]), strings.HasPrefix(line, "goroutine "), strings.HasPrefix(line, "created by "),
			strings.HasPrefix(line, "[signal "), strings.HasPrefix(line, "exit status "), isGoCall(line):
			return true, trailGo
		}
	}
	return false, trailNone
}

// isGoCall reports whether a line is a call in a Go stack: a dotted name and
// its arguments.
func isGoCall(line string) bool {
	open := strings.IndexByte(line, '(')
	return open > 0 && strings.HasSuffix(line, ")") && strings.Contains(line[:strings.LastIndexByte(line, '(')], ".") && !strings.Contains(line[:open], " ")
}

// braces follows the brackets of a JSON text over several lines.
type braces struct {
	depth    int
	inString bool
	escaped  bool
}

// add counts the brackets of a line, outside of strings.
func (b *braces) add(line string) {
	for i := range len(line) {
		c := line[i]
		switch {
		case b.escaped:
			b.escaped = false
		case b.inString:
			b.escaped = c == '\\'
			b.inString = c != '"'
		case c == '"':
			b.inString = true
		case c == '{' || c == '[':
			b.depth++
		case c == '}' || c == ']':
			b.depth--
		}
	}
	b.inString, b.escaped = false, false // JSON's strings end with their line
}

// record is the record that is being put together.
type record struct {
	text       strings.Builder // the first line and, with line ends, the others
	head       int             // bytes of the first line
	begin, end int64           // offsets in the stream
	lines      int
	blanks     int // empty lines that belong to it if something follows
	open       bool
	cut        bool // lines were left out, or a line was cut
	trail      trail
	braces     braces
}

func (r *record) start(line string, begin, end int64) {
	r.text.Reset()
	r.text.WriteString(line)
	r.head, r.begin, r.end, r.lines, r.blanks, r.open, r.cut = len(line), begin, end, 1, 0, true, false
	r.trail = opens(line, trailNone)
	r.braces = braces{}
}

func (r *record) append(line string, end int64) {
	for ; r.blanks > 0; r.blanks-- {
		r.text.WriteByte('\n')
	}
	r.text.WriteByte('\n')
	r.text.WriteString(line)
	r.end = end
	r.lines++
}
