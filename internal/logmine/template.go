package logmine

import (
	"strings"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/norn-aiops/norn/internal/telemetry"
)

const (
	exemplarMin  = 2  // lines after which a soft variable that never varied is shown
	pairMin      = 5  // the same for the value of key=value
	trackAlways  = 64 // the first lines of a template whose values are compared
	trackEvery   = 16 // after those, one in so many
	maxAffix     = 255
	wildcardText = "<*>"
)

// place is a token of a template's exemplar line, packed.
type place struct {
	start, end uint16
	kind       uint8
	flags      uint8
}

// slotStat tells what is constant in the values of one token.
type slotStat struct {
	prefix, suffix uint8 // bytes that all values share with the exemplar's
	varies         bool
}

// template is one message of a service. Its service's lock guards it.
type template struct {
	id       uint64
	slot     uint32
	bucket   uint64
	line     string   // exemplar: the first line
	words    []uint64 // of the tokens in the pattern; wildWord, varWord
	places   []place  // all tokens of the exemplar
	stats    []slotStat
	versions []Version
	dirty    bool      // its text may have changed
	into     *template // merged into; nil while it lives
	count    uint64
	tracked  uint64 // lines whose values were compared
	used     uint64 // the service's line number when last used
	first    int64  // Unix nanoseconds
	last     int64
	severity telemetry.Severity // highest

	params   []param // numbers that vary and measure something
	paramsAt uint64  // tracked lines from which they are looked for again
	measured int     // lines of this window whose numbers were read

	window uint64 // lines since the last flush
	active int64  // Unix ms of the last flush that saw a line
	rated  bool   // has a rate series
	labels labels.Labels
}

// bytes estimates the memory that the template holds.
func (t *template) bytes() int {
	return 360 + len(t.line) + 8*len(t.words) + 9*len(t.places) + t.versionBytes()
}

// live follows merges to the template that carries t's lines now, and
// shortens the way.
func (t *template) live() *template {
	for t.into != nil {
		if t.into.into != nil {
			t.into = t.into.into
		}
		t = t.into
	}
	return t
}

// newTemplate makes a template of the scanner's line.
func newTemplate(s *scanner, words []uint64) *template {
	t := &template{line: strings.Clone(s.line), dirty: true, words: append([]uint64(nil), words...)}
	t.places = make([]place, len(s.toks))
	for i, k := range s.toks {
		t.places[i] = place{start: uint16(k.start), end: uint16(k.end), kind: k.kind, flags: k.flags}
	}
	return t
}

// track compares the scanner's line with the exemplar, token by token, and
// notes which values vary. Both have the same tokens in the pattern; tails may
// differ in number.
func (t *template) track(s *scanner) {
	t.tracked++
	if t.tracked == exemplarMin || t.tracked == pairMin { // constants are shown from now on
		t.dirty = true
	}
	if t.tracked == 1 {
		return // the exemplar itself
	}
	if t.stats == nil {
		t.startStats()
	}
	a, b := 0, 0
	for a < len(t.places) && b < len(s.toks) {
		na, nb := tails(t.places, a), tailsOf(s.toks, b)
		if na != nb {
			t.dirty = t.dirty || t.places[a].flags&flagRunVaries == 0
			t.places[a].flags |= flagRunVaries
			t.compare(a, s, b)
		} else {
			for k := range na {
				t.compare(a+k, s, b+k)
			}
		}
		a, b = a+na, b+nb
	}
}

// startStats makes the statistics of a template of which one line is known.
func (t *template) startStats() {
	t.stats = make([]slotStat, len(t.places))
	for i, p := range t.places {
		n := uint8(min(int(p.end-p.start), maxAffix))
		t.stats[i] = slotStat{prefix: n, suffix: n}
	}
}

// tails counts the tokens of the run that starts at i: itself and its tails.
func tails(ps []place, i int) int {
	n := 1
	for i+n < len(ps) && ps[i+n].flags&flagTail != 0 {
		n++
	}
	return n
}

func tailsOf(ts []token, i int) int {
	n := 1
	for i+n < len(ts) && ts[i+n].flags&flagTail != 0 {
		n++
	}
	return n
}

func (t *template) compare(i int, s *scanner, k int) {
	p, st := t.places[i], &t.stats[i]
	if st.varies && st.prefix == 0 && st.suffix == 0 {
		return
	}
	mine, his := t.line[p.start:p.end], s.line[s.toks[k].start:s.toks[k].end]
	if mine == his {
		return
	}
	t.dirty = true
	st.varies = true
	n := min(int(st.prefix), len(his))
	j := 0
	for j < n && mine[j] == his[j] {
		j++
	}
	st.prefix = uint8(j)
	n = min(int(st.suffix), len(his))
	for j = 0; j < n && mine[len(mine)-1-j] == his[len(his)-1-j]; {
		j++
	}
	st.suffix = uint8(j)
}

// text writes the template with "<*>" for what varies.
func (t *template) text() string {
	b := writer{t: t}
	t.write(&b)
	return joinClock(b.String())
}

func (t *template) write(b *writer) {
	pos, w := 0, 0 // end of what is written; index into words
	for i := 0; i < len(t.places); {
		n := tails(t.places, i)
		head := t.places[i]
		if head.flags&flagTail != 0 { // a parenthesis before the first token
			pos = t.writeTails(b, pos, i, n)
			i += n
			continue
		}
		b.WriteString(t.line[pos:head.start])
		wild := w < len(t.words) && t.words[w] == wildWord
		w++
		switch {
		case wild:
			b.wildcard(i, i+1)
			pos = t.runEnd(i, n)
		case head.kind == kindWord:
			b.WriteString(t.line[head.start:head.end])
			pos = t.writeTails(b, int(head.end), i+1, n-1)
		case t.oneWildcard(i, n):
			b.wildcard(i, i+n)
			pos = t.runEnd(i, n)
		default:
			pos = t.writeRun(b, i, n)
		}
		i += n
	}
	b.WriteString(t.line[pos:])
}

// joinClock shows three variables with colons between, a time of day mostly,
// as one.
func joinClock(text string) string {
	const clock = wildcardText + ":" + wildcardText + ":" + wildcardText
	for strings.Contains(text, clock) {
		text = strings.ReplaceAll(text, clock, wildcardText)
	}
	return text
}

// oneWildcard reports whether the whole run is shown as one wildcard: a date,
// or a list whose length varies.
func (t *template) oneWildcard(i, n int) bool {
	if t.places[i].flags&flagRunVaries != 0 {
		return true
	}
	for k := i; k < i+n; k++ {
		if t.places[k].flags&flagDate != 0 {
			return true
		}
	}
	return false
}

// runEnd returns the end in the exemplar of the run of n tokens at i, without
// a parenthesis at its end.
func (t *template) runEnd(i, n int) int {
	for n > 1 && t.places[i+n-1].flags&flagParen != 0 {
		n--
	}
	return int(t.places[i+n-1].end)
}

// writeRun writes the tokens of a run of variables one by one.
func (t *template) writeRun(b *writer, i, n int) int {
	alone := n == 1
	t.writeVariable(b, i, alone)
	return t.writeTails(b, int(t.places[i].end), i+1, n-1)
}

// writeTails writes n tokens from i on, with what stands before each.
func (t *template) writeTails(b *writer, pos, i, n int) int {
	for k := i; k < i+n; k++ {
		p := t.places[k]
		if p.flags&flagSize != 0 && !t.spelled(k) {
			pos = int(p.end)
			continue
		}
		b.WriteString(t.line[pos:p.start])
		t.writeVariable(b, k, false)
		pos = int(p.end)
	}
	return pos
}

func (t *template) writeVariable(b *writer, i int, alone bool) {
	p := t.places[i]
	value := t.line[p.start:p.end]
	var st slotStat
	if t.stats != nil {
		st = t.stats[i]
	}
	enough := uint64(exemplarMin)
	if p.flags&flagKV != 0 {
		enough = pairMin
	}
	switch {
	case p.flags&(flagTime|flagSize) != 0 && !st.varies, value == "" && !st.varies:
		b.WriteString(value)
	case p.kind == kindSoft && !st.varies && t.tracked >= enough && value != "" && !t.portBehind(i):
		b.WriteString(value)
	case st.varies && alone:
		b.WriteString(constantPrefix(value, int(st.prefix)))
		b.wildcard(i, i+1)
	default:
		b.wildcard(i, i+1)
	}
}

// spelled reports whether token i is a unit of size that is written as a word
// and always the same: then it is shown, as units of time are. Abbreviated
// ones belong to the number, whose formatter chose them.
func (t *template) spelled(i int) bool {
	value := t.line[t.places[i].start:t.places[i].end]
	return (value == "bytes" || value == "byte") && (t.stats == nil || !t.stats[i].varies)
}

// portBehind reports whether ":digits" follows token i.
func (t *template) portBehind(i int) bool {
	end := int(t.places[i].end)
	return end+1 < len(t.line) && t.line[end] == ':' && classes[t.line[end+1]]&isDigit != 0
}

// constantPrefix returns the first n bytes of value, cut behind their last
// joining sign, when they say what the number behind them is ("core." in
// "core.2275"); "" otherwise.
func constantPrefix(value string, n int) string {
	n = min(n, len(value))
	for n > 0 {
		switch value[n-1] {
		case '.', '@', '#', '-', '+':
		default:
			n--
			continue
		}
		break
	}
	prefix, rest := value[:n], value[n:]
	letters := 0
	for i := range len(prefix) {
		cl := classes[prefix[i]]
		if cl&(isDigit|isSlash) != 0 {
			return ""
		}
		if cl&isAlpha != 0 {
			letters++
		}
	}
	if letters == 0 {
		return ""
	}
	for i := range len(rest) {
		if classes[rest[i]]&(isDigit|isHexLetter) == 0 {
			return ""
		}
	}
	return prefix
}
