package logmine

// Classes of bytes, one bit each. A byte may be in several.
const (
	isDigit uint16 = 1 << iota
	isHexLetter
	isLetter // other letters, and every byte of a multi-byte rune
	isUpper
	isBlank
	isSeparator
	isDot
	isSlash // forward and backward
	isAt

	isAlpha = isHexLetter | isLetter
	isAlnum = isAlpha | isDigit
	endsRun = isBlank | isSeparator | isDot // where the quick scan of a word stops
)

// separators stand between tokens and are part of a pattern; every other
// byte that is neither blank nor alphanumeric belongs to words.
const separators = "=:,;()[]{}\"'|<>!?"

// classes maps a byte to its classes. Read only.
var classes = buildClasses()

func buildClasses() (t [256]uint16) {
	for c := range 256 {
		switch {
		case c >= '0' && c <= '9':
			t[c] = isDigit
		case c >= 'a' && c <= 'f':
			t[c] = isHexLetter
		case c >= 'A' && c <= 'F':
			t[c] = isHexLetter | isUpper
		case c >= 'A' && c <= 'Z':
			t[c] = isLetter | isUpper
		case c >= 'a' && c <= 'z', c >= 0x80:
			t[c] = isLetter
		case c == ' ', c == '\t', c == '\r', c == '\n':
			t[c] = isBlank
		}
	}
	for i := range len(separators) {
		t[separators[i]] |= isSeparator
	}
	t['.'] |= isDot
	t['/'] |= isSlash
	t['\\'] |= isSlash
	t['@'] |= isAt
	return t
}

// isSoftGap reports whether a separator lets the variables on its two sides
// be one list: a date, host:port, a list of numbers.
func isSoftGap(c byte) bool {
	switch c {
	case ',', ':', ';', '.', '|', '-':
		return true
	}
	return false
}

func isAlnumAt(s string, i int) bool {
	return i >= 0 && i < len(s) && classes[s[i]]&isAlnum != 0
}

// endsWord reports whether position i of s is past the end, a blank or a
// separator.
func endsWord(s string, i int) bool {
	return i >= len(s) || classes[s[i]]&(isBlank|isSeparator) != 0
}
