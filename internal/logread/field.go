package logread

import "strings"

// kind is what a field at the beginning of a line looks like.
type kind uint8

const (
	kindWord   kind = iota // prose
	kindStamp              // a time stamp, perhaps in brackets
	kindLevel              // the name of a log level, perhaps in brackets or before a colon
	kindNumber             // digits and what joins them
	kindDash               // "-", "---", "|", ":"
	kindGroup              // something in brackets
	kindTag                // a word that ends with a colon
	kindName               // a host, a dotted name, capitals: no prose
	kinds
)

const (
	maxFields = 14
	maxGroup  = 300 // bytes of a group in brackets
)

// field is one column of a line's beginning.
type field struct {
	kind       kind
	start, end int // of the text, without brackets, colon and comma
	next       int // where the next field may begin
	stamp      Stamp
	dotted     bool // a name of letters and points
}

// splitter cuts lines into fields.
type splitter struct {
	clock Clock
	ref   int64
	pipe  bool // columns are parted by '|'
}

// next reads the field at or behind i. ok is false at the end of the line.
func (p *splitter) next(line string, i int) (f field, ok bool) {
	for i < len(line) && (isBlank(line[i]) || p.pipe && line[i] == '|') {
		i++
	}
	if i >= len(line) {
		return f, false
	}
	c := line[i]
	if isDigit(c) || isLetter(c) {
		if st, ok := p.clock.Read(line[i:], p.ref); ok && endsField(line, i+st.Len) {
			return field{kind: kindStamp, start: i, end: i + st.Len, next: skipMarks(line, i+st.Len), stamp: st}, true
		}
	}
	if c == '[' || c == '(' || c == '<' {
		if f, ok := p.group(line, i); ok {
			return f, true
		}
	}
	return p.token(line, i), true
}

// endsField reports whether a field may end before line[i].
func endsField(line string, i int) bool {
	if i >= len(line) || isBlank(line[i]) {
		return true
	}
	switch line[i] {
	case ',', ';', ']', '|', ')', '"':
		return true
	case ':':
		return i+1 >= len(line) || isBlank(line[i+1])
	}
	return false
}

// skipMarks skips one comma, colon or semicolon behind a field.
func skipMarks(line string, i int) int {
	if i < len(line) && (line[i] == ',' || line[i] == ':' || line[i] == ';') {
		return i + 1
	}
	return i
}

// group reads a balanced group in brackets that begins at i.
func (p *splitter) group(line string, i int) (f field, ok bool) {
	open, shut := line[i], byte(']')
	switch open {
	case '(':
		shut = ')'
	case '<':
		shut = '>'
	}
	depth, end := 0, -1
	for k := i; k < len(line) && k < i+maxGroup; k++ {
		if line[k] == open {
			depth++
		} else if line[k] == shut {
			if depth--; depth == 0 {
				end = k
				break
			}
		}
	}
	if end < 0 || open == '<' && strings.ContainsAny(line[i:end], " \t") {
		return f, false
	}
	f = field{kind: kindGroup, start: i + 1, end: end, next: skipMarks(line, end+1)}
	inside := strings.TrimSpace(line[i+1 : end])
	if isLevel(inside) && len(inside) > 1 || len(inside) == 1 && isLevel(inside) && open == '[' {
		f.kind = kindLevel
		return f, true
	}
	if st, ok := p.clock.Read(inside, p.ref); ok && open == '[' && st.Clock && !st.Epoch && endsField(inside, st.Len) {
		f.kind, f.stamp = kindStamp, st
		if rest := i + 1 + strings.Index(line[i+1:], inside) + st.Len; st.Len < len(inside)-1 { // more fields in the brackets
			f.end, f.next = rest, skipMarks(line, rest)
		}
	}
	return f, true
}

// token reads a field that ends with a blank.
func (p *splitter) token(line string, i int) field {
	end := i
	for end < len(line) && !isBlank(line[end]) && !(p.pipe && line[end] == '|') {
		end++
	}
	f := field{start: i, end: end, next: end}
	w := line[i:end]
	if strings.Trim(w, "-|:=*") == "" && len(w) <= 4 {
		f.kind = kindDash
		return f
	}
	bare := strings.TrimRight(w, ":,;")
	if head, _, ok := strings.Cut(w, ":"); ok && len(head) > 2 && len(head) < len(bare) && isLevel(head) && strings.ToUpper(head) == head {
		f.kind, f.end, f.next = kindLevel, i+len(head), i+len(head)+1 // "ERROR:text"
		return f
	}
	shut := strings.HasSuffix(bare, "]") && !strings.Contains(bare, "[") // of brackets around several fields
	if shut {
		bare = bare[:len(bare)-1]
	}
	if isLevel(bare) {
		f.kind, f.end = kindLevel, i+len(bare)
		return f
	}
	if isNumber(bare) {
		f.kind, f.end = kindNumber, i+len(bare)
		return f
	}
	if last := w[len(w)-1]; last == ':' && len(bare) > 0 && !strings.ContainsAny(bare, "=\"'") {
		f.kind, f.end = kindTag, i+len(bare)
		return f
	}
	if shut {
		if f.kind, f.end = kindGroup, i+len(bare); strings.Contains(bare, ":") { // "file.go:12]"
			f.kind = kindTag
		}
		return f
	}
	f.kind, f.dotted = nameOrWord(bare)
	return f
}

// isNumber reports whether w is digits, perhaps with signs between them, or a
// hexadecimal number.
func isNumber(w string) bool {
	digits := 0
	for k := range len(w) {
		switch c := w[k]; {
		case isDigit(c):
			digits++
		case c == '.' || c == '-' || c == '#' || c == ',' || c == ':' || c == '*':
		default:
			return len(w) > 2 && w[0] == '0' && w[1]|0x20 == 'x'
		}
	}
	return digits > 0 && strings.Count(w, ".") <= 1
}

// nameOrWord tells names (points, digits, capitals, joining signs) from words
// of prose.
func nameOrWord(w string) (k kind, dotted bool) {
	var lower, upper, digits, points, joins, other int
	for i := range len(w) {
		switch c := w[i]; {
		case c >= 'a' && c <= 'z' || c >= 0x80:
			lower++
		case c >= 'A' && c <= 'Z':
			upper++
		case isDigit(c):
			digits++
		case c == '.':
			points++
		case c == '_' || c == '-' || c == '/' || c == '$' || c == '@' || c == '#' || c == ':':
			joins++
		default:
			other++
		}
	}
	if other > 0 && digits+points+joins == 0 {
		return kindWord, false
	}
	if points > 0 && lower > 0 && digits == 0 && other == 0 && w[len(w)-1] != '.' && !strings.Contains(w, "/") {
		return kindName, true
	}
	if digits > 0 || joins > 0 || upper > 1 && lower == 0 || points > 0 && w[len(w)-1] != '.' {
		return kindName, points > 0 && lower > 0 && other == 0 && !strings.Contains(w, "/")
	}
	return kindWord, false
}
