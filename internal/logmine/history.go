package logmine

import "strings"

// Version is the text that a template had from some time on.
type Version struct {
	Text string `json:"text"`
	From int64  `json:"from_unix_nano"`
}

// maxVersions bounds what is remembered of a template's texts: the first and
// the latest.
const maxVersions = 8

// note remembers the template's text if it has changed: a word of it turned
// out to vary, or another template was merged into it.
func (s *service) note(t *template) {
	if !t.dirty {
		return
	}
	t.dirty = false
	text := t.text()
	n := len(t.versions)
	if n > 0 && t.versions[n-1].Text == text {
		return
	}
	from := t.last
	if n == 0 {
		from = t.first
	}
	if n == maxVersions {
		s.account(-len(t.versions[1].Text))
		t.versions = append(t.versions[:1], t.versions[2:]...)
	}
	t.versions = append(t.versions, Version{strings.Clone(text), from})
	s.account(len(text))
}

// versionBytes is what the remembered texts hold.
func (t *template) versionBytes() (n int) {
	for i := range t.versions {
		n += len(t.versions[i].Text)
	}
	return n
}

// Parameter is one place of a template that varies.
type Parameter struct {
	Type    string `json:"type"` // number, size, duration, address, host, time, id, hex, path, url, mail, bool, text, word
	Name    string `json:"name,omitempty"`
	Example string `json:"example"` // of the first line
}

// writer writes a template's text, and collects what varies.
type writer struct {
	strings.Builder
	t      *template
	params []Parameter
}

// wildcard writes what stands for tokens from i up to j.
func (w *writer) wildcard(i, j int) {
	t := w.t
	value := t.line[t.places[i].start:t.places[j-1].end]
	p := Parameter{Type: t.typeOf(i, j, value), Name: t.keyOf(i), Example: value}
	w.params = append(w.params, p)
	w.WriteString(wildcardText)
}

// parameters lists what varies, in order.
func (t *template) parameters() []Parameter {
	w := writer{t: t}
	t.write(&w)
	return w.params
}

// keyOf is the key of a key=value pair whose value token i is.
func (t *template) keyOf(i int) string {
	if t.places[i].flags&flagKV == 0 {
		return ""
	}
	end := strings.LastIndexByte(t.line[:t.places[i].start], '=')
	if end < 0 {
		return ""
	}
	head := strings.TrimRight(t.line[:end], " ")
	from := strings.LastIndexAny(head, " ,;&?([{") + 1
	return head[from:]
}

// typeOf says what kind of value the tokens from i up to j hold, by the first
// line.
func (t *template) typeOf(i, j int, value string) string {
	p := t.places[i]
	if p.flags&flagDate != 0 {
		return "time"
	}
	for k := i + 1; k < len(t.places) && k <= j; k++ { // the unit behind a number
		if t.places[k].flags&flagTime != 0 {
			return "duration"
		}
		if t.places[k].flags&flagSize != 0 {
			return "size"
		}
	}
	return typeOfValue(value)
}

func typeOfValue(v string) string {
	var digits, hex, letters, dots, colons, slashes, blanks, dashes int
	for k := range len(v) {
		switch c := v[k]; {
		case classes[c]&isDigit != 0:
			digits++
			hex++
		case classes[c]&isAlpha != 0:
			letters++
			if classes[c]&isHexLetter != 0 {
				hex++
			}
		case c == '.':
			dots++
		case c == ':':
			colons++
		case c == '/' || c == '\\':
			slashes++
		case c == ' ':
			blanks++
		case c == '-':
			dashes++
		}
	}
	switch {
	case isLiteral(v):
		return "bool"
	case strings.Contains(v, "://"):
		return "url"
	case innerAt(v) && blanks == 0:
		return "mail"
	case dots == 3 && letters == 0 && digits >= 4 && slashes == 0, colons >= 3 && hex > 0 && hex == digits+letters && blanks == 0:
		return "address"
	case slashes > 0 && blanks == 0 && letters > 0:
		return "path"
	case letters == 0 && digits > 0 && colons == 2, letters <= 1 && dashes == 2 && digits >= 8:
		return "time"
	case letters == 0 && digits > 0 && blanks == 0:
		return "number"
	case strings.HasPrefix(v, "0x"), hex == len(v) && digits > 0 && len(v) >= 8:
		return "hex"
	case endsInUnit(v) != "":
		return endsInUnit(v)
	case isHost(v):
		return "host"
	case blanks > 0:
		return "text"
	case digits > 0:
		return "id"
	}
	return "word"
}

// endsInUnit names what a number with a unit right behind it measures.
func endsInUnit(v string) string {
	k := 0
	for k < len(v) && (classes[v[k]]&isDigit != 0 || v[k] == '.') {
		k++
	}
	if k == 0 || k == len(v) {
		return ""
	}
	switch unit(v[k:]) {
	case flagTime:
		return "duration"
	case flagSize:
		return "size"
	}
	return ""
}
