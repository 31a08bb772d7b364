package logmine

// word scans a word whose first byte is at start; from is where its run of
// word bytes begins (one later for "<5"). It emits the word, as what it is,
// and returns where to go on.
func (s *scanner) word(start, from int) int {
	line := s.line
	end, seen := wordEnd(line, from)
	kv := s.gap.lone()
	if kv && s.gap.after && !s.prevVar && isKeyBefore(line, start, end) {
		s.emit(s.gap.end, s.gap.end, kindSoft, flagKV, varWord) // "k= k2=v": k is empty
		s.gap.blank, s.gap.after = true, true
		kv = false
	}
	if s.prevVar && s.gap.n == 0 && s.gap.blank && len(s.toks) > 0 {
		if flag := unit(line[start:end]); flag != 0 && classes[line[max(s.toks[len(s.toks)-1].end-1, 0)]]&isDigit != 0 {
			s.extend(start, end, flag)
			return end
		}
	}
	kind, flags, end := s.classify(start, end, seen, kv)
	if kv {
		flags |= flagKV
		if kind == kindWord {
			kind = kindSoft
		}
		end = takeBracket(line, end)
	}
	if kind != kindWord {
		s.emit(start, end, kind, flags, varWord)
		return end
	}
	s.emit(start, end, kindWord, 0, hashText(line[start:end]))
	s.intro, s.message = introduces(line[start:end])
	return end
}

// wordEnd returns where the word ends whose bytes begin at from, and the
// classes of all its bytes together.
func wordEnd(line string, from int) (end int, seen uint16) {
	i := from
	for i < len(line) {
		cl := classes[line[i]]
		if cl&endsRun == 0 {
			seen |= cl
			i++
			continue
		}
		if cl&isDot != 0 {
			if i+1 < len(line) && line[i+1] != '.' && classes[line[i+1]]&(isBlank|isSeparator) == 0 {
				seen |= cl
				i++
				continue
			}
			if line[from] == '/' && i > from+1 && i+1 < len(line) && classes[line[i+1]]&isBlank != 0 {
				return i + 1, seen | cl
			}
			break
		}
		if line[i] == '\'' && i > from && classes[line[i-1]]&isAlpha != 0 && i+1 < len(line) && classes[line[i+1]]&isAlpha != 0 {
			i++
			continue
		}
		break
	}
	if i == from { // never stand still
		i++
	}
	return i, seen
}

// classify says what the word in [start, end) is. A variable may reach
// further than the word: end comes back. kv tells that it is a value.
func (s *scanner) classify(start, end int, seen uint16, kv bool) (kind, flags uint8, to int) {
	line := s.line
	w := line[start:end]
	if !kv && seen&isDigit != 0 && isKeyBefore(line, start, end) {
		return kindWord, 0, end
	}
	if end < len(line) && line[end] == ':' {
		if k, e := s.colon(start, end, seen); k != kindWord {
			return k, 0, e
		}
	}
	if seen&isDot != 0 && isHost(w) {
		return kindHard, 0, end
	}
	if seen&isDigit != 0 {
		if k := numeric(w, seen); k != kindWord {
			return k, 0, end
		}
	}
	switch {
	case seen&isSlash != 0 && isPath(w), seen&isAt != 0 && innerAt(w):
		return kindHard, 0, end
	case len(w) == 3 && isDayOrMonth(w) && dateFollows(line, end):
		return kindHard, flagDate, end
	case len(w) >= 4 && len(w) <= 5 && isLiteral(w):
		return kindHard, 0, end
	case len(w) >= 8 && seen&^(isHexLetter|isUpper) == 0:
		return kindHard, 0, end
	case s.intro && s.gap.n == 0 && s.gap.blank && !isFunctionWord(w):
		return kindSoft, 0, end
	}
	return kindWord, 0, end
}

// colon looks at a word that a colon follows: a URL, a Windows path, a group
// of hexadecimal numbers, a host with a port.
func (s *scanner) colon(start, end int, seen uint16) (kind uint8, to int) {
	line := s.line
	rest := line[end+1:]
	switch {
	case len(rest) > 2 && rest[0] == '/' && rest[1] == '/' && classes[line[start]]&isAlpha != 0:
		return kindHard, locatorEnd(line, end+3)
	case end == start+1 && classes[line[start]]&isAlpha != 0 && len(rest) > 1 && rest[0] == '\\':
		return kindHard, locatorEnd(line, end+1)
	case end-start <= 4 && seen&^(isHexLetter|isUpper|isDigit) == 0:
		if e := hexGroups(line, start); e > 0 {
			return kindHard, e
		}
	case seen&isDot != 0 && seen&(isSlash|isAt) == 0 && portFollows(rest):
		if dots := countByte(line[start:end], '.'); dots >= 2 || seen&isUpper == 0 {
			return kindSoft, end
		}
	}
	return kindWord, end
}

// locatorEnd returns where a URL or path ends: before a blank, quote, bracket
// or comma, and without punctuation of the sentence.
func locatorEnd(line string, i int) int {
	from := i
scan:
	for ; i < len(line); i++ {
		switch c := line[i]; c {
		case '"', '\'', '(', ')', '[', ']', '{', '}', '<', '>', ',', ';', '|':
			break scan
		default:
			if classes[c]&isBlank != 0 {
				break scan
			}
		}
	}
	for i > from && (line[i-1] == '.' || line[i-1] == ':') {
		i--
	}
	return i
}

// hexGroups returns the end of a MAC or IPv6 address that starts at i: groups
// of up to four hexadecimal digits, at least three colons, at least one digit.
// 0 if there is none.
func hexGroups(line string, i int) int {
	colons, width, digit := 0, 0, false
	for ; i < len(line); i++ {
		cl := classes[line[i]]
		switch {
		case line[i] == ':':
			colons++
			width = 0
			continue
		case cl&(isDigit|isHexLetter) != 0:
			digit = digit || cl&isDigit != 0
			width++
			if width > 4 {
				return 0
			}
			continue
		}
		break
	}
	if i < len(line) && !endsWord(line, i) && line[i] != '.' && line[i] != '/' && line[i] != '%' {
		return 0
	}
	for i > 0 && line[i-1] == ':' { // a colon of the sentence
		colons--
		i--
	}
	if colons < 3 || !digit {
		return 0
	}
	return i
}

// portFollows reports whether s, the text behind a colon, starts with two to
// five digits that end there.
func portFollows(s string) bool {
	n := 0
	for n < len(s) && classes[s[n]]&isDigit != 0 {
		n++
	}
	return n >= 2 && n <= 5 && (n == len(s) || (s[n] != ':' && (endsWord(s, n) || s[n] == '.')))
}

// isKeyBefore reports whether the word in [start, end) is the key of a pair:
// it starts with a letter, has at most 20 bytes, and a single '=' follows,
// perhaps behind blanks.
func isKeyBefore(line string, start, end int) bool {
	if end-start > 20 || end >= len(line) || classes[line[start]]&isAlpha == 0 {
		return false
	}
	for end < len(line) && classes[line[end]]&isBlank != 0 {
		end++
	}
	return end < len(line) && line[end] == '=' && (end+1 >= len(line) || (line[end+1] != '=' && line[end+1] != '>'))
}

// takeBracket returns the end of the value that ends at end with a bracket
// that follows it directly, if that holds neither blanks nor brackets and is
// short.
func takeBracket(line string, end int) int {
	if end >= len(line) {
		return end
	}
	var want byte
	switch line[end] {
	case '{':
		want = '}'
	case '[':
		want = ']'
	case '(':
		want = ')'
	default:
		return end
	}
	for j := end + 1; j < len(line) && j < end+80; j++ {
		switch c := line[j]; {
		case c == want:
			return j + 1
		case classes[c]&isBlank != 0, c == '{', c == '[', c == '(', c == '}', c == ']', c == ')':
			return end
		}
	}
	return end
}
