package logmine

import "strings"

const (
	// maxLine bounds the bytes of a line that take part in its pattern.
	maxLine = 2048
	// maxTokens bounds the tokens of a line that take part in its pattern.
	maxTokens = 192
)

// Kinds of token.
const (
	kindWord uint8 = iota
	kindSoft       // a variable that may turn out to be constant
	kindHard       // a variable for certain: an address, a path, a number
)

// Flags of a token.
const (
	flagTail  uint8 = 1 << iota // joined to the token before; not in the pattern
	flagParen                   // in parentheses that hold variables only; always a tail
	flagKV                      // the value of key=value
	flagDate                    // name of a month or day in a date
	flagTime                    // unit of time after a number; always a tail
	flagSize                    // unit of size after a number; always a tail
	flagRunVaries
)

// token is a stretch of a line. hash and sep matter only for tokens that are
// in the pattern (no flagTail).
type token struct {
	hash       uint64
	sep        uint32 // hash of the separators before it
	start, end int32
	kind       uint8
	flags      uint8
}

// gap is what stands between two tokens.
type gap struct {
	sep   uint32 // hash of its separators, blanks left out
	n     int    // separators
	end   int    // index behind the last separator
	last  byte   // last separator
	blank bool   // a blank stands in it
	after bool   // a blank follows the last separator
	hard  bool   // holds a byte that keeps variables apart
}

// lone reports whether the gap is one '=' with or without blanks: the word
// that follows is a value.
func (g *gap) lone() bool { return g.n == 1 && g.last == '=' }

// scanner cuts one line at a time into tokens and computes its pattern's key
// in the same pass. Its buffers are reused: nothing is allocated once they
// have grown. It is not safe for concurrent use.
type scanner struct {
	line string
	toks []token
	key  uint64 // hash of the pattern: two lines with equal keys are one pattern
	tail uint32 // separators after the last token

	gap     gap
	prevVar bool // the last token in the pattern is a variable
	intro   bool // the last token is "user", "host"...: a name follows
	message bool // the last token is the key of a message: look into its value
	quote   int  // where the quotation that is being looked into ends, -1

	paren struct {
		open    bool
		key     uint64
		gap     gap
		prevVar bool
		first   int // index of the first token inside
	}
}

// run scans the line.
func (s *scanner) run(line string) {
	line = cut(line)
	s.line, s.toks, s.key = line, s.toks[:0], hashSeed
	s.gap, s.prevVar, s.intro, s.message, s.quote = gap{}, false, false, false, -1
	s.paren.open = false
	for i := 0; i < len(line) && len(s.toks) < maxTokens; {
		c := line[i]
		switch cl := classes[c]; {
		case cl&isAlnum != 0:
			i = s.word(i, i)
		case cl&isBlank != 0:
			s.gap.blank, s.gap.after = true, true
			i++
		case cl&isSeparator != 0:
			i = s.separator(i, c)
		default:
			i = s.punctuation(i, c)
		}
	}
	if s.gap.lone() && len(s.toks) > 0 && !s.prevVar && len(s.toks) < maxTokens {
		s.emit(s.gap.end, s.gap.end, kindSoft, flagKV, varWord)
	}
	s.tail = s.gap.sep
	s.key = mix(s.key, uint64(s.tail)*31+1)
}

// cut shortens a long line, at a blank if one is near.
func cut(line string) string {
	if len(line) <= maxLine {
		return line
	}
	line = line[:maxLine]
	if i := strings.LastIndexByte(line[maxLine-256:], ' '); i >= 0 {
		return line[:maxLine-256+i]
	}
	return line
}

// separate puts one separator, which ends before end, into the gap.
func (s *scanner) separate(c byte, end int) {
	g := &s.gap
	g.end = end
	g.sep = g.sep*131 + uint32(c)
	g.n++
	g.last, g.after = c, false
	if !isSoftGap(c) {
		g.hard = true
		s.paren.open = false
	}
}

// separator handles a separator at i and returns where to go on.
func (s *scanner) separator(i int, c byte) int {
	switch c {
	case '"', '\'':
		return s.quotation(i, c)
	case '<':
		if i+1 < len(s.line) && classes[s.line[i+1]]&isDigit != 0 && (i == 0 || s.gap.after) {
			return s.word(i, i+1)
		}
	case '(':
		before := s.gap
		s.separate(c, i+1)
		p := &s.paren
		p.open, p.key, p.gap, p.prevVar, p.first = true, s.key, before, s.prevVar, len(s.toks)
		return i + 1
	case ')':
		if s.closeParen() {
			return i + 1
		}
	}
	switch c {
	case ',', ';', ')', ']', '}':
		if s.gap.lone() && !s.prevVar && len(s.toks) > 0 {
			s.emit(s.gap.end, s.gap.end, kindSoft, flagKV, varWord)
		}
	}
	s.separate(c, i+1)
	return i + 1
}

// closeParen drops a parenthesis that held variables only (or nothing, after
// a blank) from the pattern, by going back to the key before it.
func (s *scanner) closeParen() bool {
	p := &s.paren
	if !p.open {
		return false
	}
	p.open = false
	if p.first == len(s.toks) && (!p.gap.after || s.gap.n != p.gap.n+1) {
		return false
	}
	for k := p.first; k < len(s.toks); k++ {
		s.toks[k].flags |= flagTail | flagParen
	}
	s.key, s.gap, s.prevVar = p.key, p.gap, p.prevVar
	return true
}

// punctuation handles a byte that is neither alphanumeric, blank nor always a
// separator: it starts a word or, in a few places, separates.
func (s *scanner) punctuation(i int, c byte) int {
	switch c {
	case '.':
		if i+1 >= len(s.line) || s.line[i+1] == '.' || endsWord(s.line, i+1) {
			return s.dots(i)
		}
	case '-':
		j := i
		for j < len(s.line) && s.line[j] == '-' {
			j++
		}
		if endsWord(s.line, j) {
			s.separate('-', j)
			return j
		}
	case '@':
		if isAlnumAt(s.line, i+1) {
			s.separate('@', i+1)
			return i + 1
		}
	}
	return s.word(i, i)
}

// dots puts a run of dots into the gap as one separator.
func (s *scanner) dots(i int) int {
	for i < len(s.line) && s.line[i] == '.' {
		i++
	}
	s.separate('.', i)
	return i
}

// emit adds a token with the gap before it, and folds it into the key unless
// it joins the variable before it.
func (s *scanner) emit(start, end int, kind, flags uint8, hash uint64) {
	s.intro, s.message = false, false
	isVar := kind != kindWord
	t := token{hash: hash, start: int32(start), end: int32(end), kind: kind, flags: flags}
	if isVar && s.prevVar && !s.gap.hard {
		t.flags |= flagTail
	} else {
		t.sep = s.gap.sep
		s.key = mix(s.key, hash) ^ uint64(t.sep)*31
		s.prevVar = isVar
		if !isVar {
			s.paren.open = false
		}
	}
	s.toks = append(s.toks, t)
	s.gap = gap{}
}

// extend adds a unit to the variable before it.
func (s *scanner) extend(start, end int, flag uint8) {
	s.toks = append(s.toks, token{start: int32(start), end: int32(end), kind: kindSoft, flags: flagTail | flag})
	s.gap = gap{}
}

// quotation handles a quote character at i: the whole quotation is one
// variable, or it is a separator and the inside is scanned.
func (s *scanner) quotation(i int, q byte) int {
	if i == s.quote || (q == '\'' && isAlnumAt(s.line, i-1)) {
		s.separate(q, i+1)
		return i + 1
	}
	end, blank, digit := s.closing(i, q)
	if end < 0 {
		s.separate(q, i+1)
		return i + 1
	}
	lone := s.gap.lone()
	inside := s.line[i+1 : end]
	isKey := q == '"' && end+1 < len(s.line) && s.line[end+1] == ':'
	var flags uint8
	if lone {
		flags = flagKV
	}
	message := s.message
	s.separate(q, i+1)
	if m := httpMethod(inside); m > 0 {
		s.emit(i+1, i+1+m, kindWord, 0, hashText(inside[:m]))
		s.gap.blank, s.gap.after = true, true
		s.emit(i+2+m, end, kindHard, 0, varWord)
		s.separate(q, end+1)
		return end + 1
	}
	if isKey || (message && blank) || (blank && !digit && !lone) {
		s.quote, s.message = end, false
		return i + 1
	}
	s.emit(i+1, end, kindSoft, flags, varWord)
	s.separate(q, end+1)
	return end + 1
}

// closing finds the end of the quotation that opens at i, within 200 bytes;
// -1 if there is none.
func (s *scanner) closing(i int, q byte) (end int, blank, digit bool) {
	stop := min(len(s.line), i+201)
	for j := i + 1; j < stop; j++ {
		c := s.line[j]
		switch {
		case c == '\\' && q == '"' && j+1 < stop && s.line[j+1] == '"':
			j++
		case c == q && (q == '"' || !isAlnumAt(s.line, j+1)):
			return j, blank, digit
		case classes[c]&isBlank != 0:
			blank = true
		case classes[c]&isDigit != 0:
			digit = true
		}
	}
	return -1, blank, digit
}

// httpMethod returns the length of an HTTP method that starts s and is
// followed by a blank; 0 if there is none.
func httpMethod(s string) int {
	for i := 0; i < len(s) && i < 8; i++ {
		if s[i] == ' ' {
			switch s[:i] {
			case "GET", "PUT", "POST", "HEAD", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE":
				return i
			}
			return 0
		}
	}
	return 0
}
