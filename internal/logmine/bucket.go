package logmine

import "slices"

const (
	bucketLimit = 256
	pairNeed    = 8
	pairContext = 4
	pairTries   = 8 // pairs of places that are tried for one new pattern
)

// differ is a template of the bucket that differs from the new pattern in
// one place (j < 0) or two.
type differ struct {
	t    *template
	i, j int
}

// finder looks for the template of a pattern that the cache does not know.
// Its buffers are reused.
type finder struct {
	words   []uint64
	texts   []token // the tokens in the pattern, beside words
	near    []differ
	values  []uint64
	values2 []uint64
	singles []int // places in which some template alone differs
}

// load takes the scanner's tokens in the pattern and returns the bucket's
// key: how many they are and the separators between them.
func (f *finder) load(s *scanner) uint64 {
	f.words, f.texts = f.words[:0], f.texts[:0]
	h := uint64(hashSeed)
	for _, k := range s.toks {
		if k.flags&flagTail != 0 {
			continue
		}
		f.words = append(f.words, k.hash)
		f.texts = append(f.texts, k)
		h = mix(h, uint64(k.sep)+1)
	}
	return mix(h, uint64(s.tail)<<16|uint64(len(f.words)))
}

// match returns the template of the bucket that fits the loaded pattern; nil
// if none does. It leaves the templates that differ in one or two places in
// f.near, oldest first.
func (f *finder) match(bucket []*template) *template {
	f.near = f.near[:0]
	for _, t := range bucket {
		i, j := -1, -1
		n := 0
		for k, w := range t.words {
			if w == wildWord || w == f.words[k] {
				continue
			}
			if n++; n > 2 {
				break
			}
			i, j = j, k // the last two
		}
		switch n {
		case 0:
			return t
		case 1:
			f.near = append(f.near, differ{t, j, -1})
		case 2:
			f.near = append(f.near, differ{t, i, j})
		}
	}
	return nil
}

// merge decides whether the loaded pattern and templates of its bucket are one
// message with a variable word. It returns the templates (at least one) and
// the places that become wildcards (j < 0 for one); nil when they are not.
func (f *finder) merge(s *scanner) (members []*template, i, j int) {
	if len(f.near) == 0 {
		return nil, 0, 0
	}
	f.singles = f.singles[:0]
	for _, d := range f.near {
		if d.j < 0 {
			f.singles = append(f.singles, d.i)
		}
	}
	slices.Sort(f.singles)
	for k, i := range f.singles {
		if (k == 0 || f.singles[k-1] != i) && f.onePlace(s, i) {
			for _, d := range f.near {
				if d.i == i && d.j < 0 {
					members = append(members, d.t)
				}
			}
			return members, i, -1
		}
	}
	if i, j, ok := f.twoPlaces(); ok {
		for _, d := range f.near {
			if d.within(i, j) {
				members = append(members, d.t)
			}
		}
		return members, i, j
	}
	return nil, 0, 0
}

// within reports whether d differs at most in the places i and j.
func (d differ) within(i, j int) bool {
	return (d.i == i || d.i == j) && (d.j < 0 || d.j == j)
}

// onePlace is the cardinality test of one place: enough distinct values, more
// when there is little else in the message, fewer when they look like names.
func (f *finder) onePlace(s *scanner, i int) bool {
	values, states := 1, 0
	ctx := 1 << 30
	identifiers := true
	variable := f.words[i] == varWord
	if !variable {
		text := s.line[f.texts[i].start:f.texts[i].end]
		identifiers = isIdentifier(text)
		if isState(text) {
			states++
		}
	}
	for _, d := range f.near {
		if d.i != i || d.j >= 0 {
			continue
		}
		values++
		ctx = min(ctx, context(d.t.words, i, -1))
		if d.t.words[i] == varWord {
			variable = true
			continue
		}
		text := d.t.wordText(i)
		identifiers = identifiers && isIdentifier(text)
		if isState(text) {
			states++
		}
	}
	if values < 2 {
		return false
	}
	return values >= needed(ctx, variable, identifiers, 2*states >= values)
}

// needed returns how many distinct values make a place a variable; a number
// that is never reached when there is no context.
func needed(ctx int, variable, identifiers, states bool) int {
	need := 5
	if identifiers {
		need = 3
	}
	switch {
	case variable && ctx >= 2:
		need = 2
	case ctx == 0:
		return 1 << 30
	case ctx == 1:
		need += 6
	case ctx == 2:
		need += 3
	}
	if states {
		need += 6
	}
	return need
}

// context counts the constant words of a pattern beside the places i and j.
func context(words []uint64, i, j int) (n int) {
	for k, w := range words {
		if k != i && k != j && w != wildWord && w != varWord {
			n++
		}
	}
	return n
}

// wordText returns the exemplar's text of the i-th token in the pattern.
func (t *template) wordText(i int) string {
	for _, p := range t.places {
		if p.flags&flagTail != 0 {
			continue
		}
		if i == 0 {
			return t.line[p.start:p.end]
		}
		i--
	}
	return ""
}

// twoPlaces is the same test for two places that vary together: at least
// eight distinct values in both and four words of context.
func (f *finder) twoPlaces() (int, int, bool) {
	if len(f.near) < pairNeed-1 {
		return 0, 0, false
	}
	tries := 0
	for a, d := range f.near {
		if tries == pairTries {
			break
		}
		if d.j < 0 || f.pairSeen(a) || context(d.t.words, d.i, d.j) < pairContext {
			continue
		}
		tries++
		f.values, f.values2 = append(f.values[:0], f.words[d.i]), append(f.values2[:0], f.words[d.j])
		for _, e := range f.near {
			if e.within(d.i, d.j) {
				f.values = append(f.values, e.t.words[d.i])
				f.values2 = append(f.values2, e.t.words[d.j])
			}
		}
		if len(f.values) >= pairNeed && distinct(f.values) >= pairNeed && distinct(f.values2) >= pairNeed {
			return d.i, d.j, true
		}
	}
	return 0, 0, false
}

// pairSeen reports whether an earlier template differs in the same two
// places. Only the latest few are looked at: it saves work, no more.
func (f *finder) pairSeen(a int) bool {
	for b := a - 1; b >= 0 && b >= a-8; b-- {
		if f.near[b].i == f.near[a].i && f.near[b].j == f.near[a].j {
			return true
		}
	}
	return false
}

// distinct counts distinct values; it sorts them.
func distinct(v []uint64) int {
	slices.Sort(v)
	n := 0
	for i := range v {
		if i == 0 || v[i] != v[i-1] {
			n++
		}
	}
	return n
}

// compact makes wildcards of the places of a full bucket that vary most: those
// with distinct words in more than a quarter of its templates, and the one
// with the most. It returns which templates became equal: pairs of loser and
// survivor (the oldest).
func compact(bucket []*template) (losers, survivors []*template) {
	if len(bucket) == 0 {
		return nil, nil
	}
	width := len(bucket[0].words)
	best, most := -1, 1
	wild := make([]bool, width)
	column := make([]uint64, 0, len(bucket))
	for p := range width {
		column = column[:0]
		for _, t := range bucket {
			column = append(column, t.words[p])
		}
		n := distinct(column)
		if n > most {
			best, most = p, n
		}
		wild[p] = n > len(bucket)/4
	}
	if best >= 0 {
		wild[best] = true
	}
	seen := make(map[uint64]*template, len(bucket))
	for _, t := range bucket {
		h := uint64(hashSeed)
		for p := range t.words {
			if wild[p] {
				t.words[p] = wildWord
			}
			h = mix(h, t.words[p]+1)
		}
		if first, ok := seen[h]; ok {
			losers, survivors = append(losers, t), append(survivors, first)
			continue
		}
		seen[h] = t
	}
	return losers, survivors
}
