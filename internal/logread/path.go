package logread

import "strings"

// PathTemplate writes "{id}" for the segments of a URL's path that name one
// thing rather than a kind of thing: numbers, UUIDs, hashes, long words with
// digits, names with an '@' or '%'. The query and the fragment are dropped;
// what is longer than 12 segments ends with "...".
func PathTemplate(path string) string {
	if i := strings.IndexAny(path, "?#;"); i >= 0 {
		path = path[:i]
	}
	if i := strings.Index(path, "://"); i >= 0 {
		_, rest, _ := strings.Cut(path[i+3:], "/")
		path = "/" + rest
	}
	var b strings.Builder
	n := 0
	for segment := range strings.SplitSeq(path, "/") {
		if n > 0 {
			b.WriteByte('/')
		}
		if n++; n > 13 {
			b.WriteString("...")
			break
		}
		b.WriteString(segmentTemplate(segment))
	}
	return b.String()
}

// segmentTemplate keeps the extension of a file whose name is an identity.
func segmentTemplate(s string) string {
	name, ext := s, ""
	if strings.Contains(s, "@") {
		return "{id}"
	}
	if i := strings.LastIndexByte(s, '.'); i > 0 && len(s)-i <= 6 && strings.Trim(s[i+1:], "0123456789") != "" {
		name, ext = s[:i], s[i:]
	}
	if isIdentity(name) {
		return "{id}" + ext
	}
	return s
}

func isIdentity(s string) bool {
	digits, hex, letters, joins := 0, 0, 0, 0
	for i := range len(s) {
		switch c := s[i]; {
		case isDigit(c):
			digits++
			hex++
		case c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F':
			hex++
			letters++
		case isLetter(c):
			letters++
		case c == '@' || c == '%':
			return true
		case c == '-' || c == '_' || c == '.':
			joins++
		}
	}
	switch {
	case s == "" || digits == 0:
		return false
	case letters == 0, hex+joins == len(s) && hex >= 8:
		return true
	case len(s) >= 2 && (s[0] == 'v' || s[0] == 'V') && digits <= 2 && letters == 1:
		return false // a version of an API
	}
	return digits >= 3 && len(s) >= 8 || digits*2 >= len(s) && len(s) > 3
}
