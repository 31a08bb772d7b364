package logmine

// numeric says what a word with digits is. A word such as "Slf4jLogger" (one
// digit well inside letters) stays a word. A variable is soft when it looks
// like a name with a number ("ssh2", "node17") and hard otherwise.
func numeric(w string, seen uint16) uint8 {
	letters, digits, run, longest, other, hex := 0, 0, 0, 0, 0, 0
	at := 0
	for i := range len(w) {
		cl := classes[w[i]]
		if cl&isDigit != 0 {
			digits++
			run++
			longest = max(longest, run)
			at = i
			hex++
			continue
		}
		run = 0
		switch {
		case cl&isAlpha != 0:
			letters++
			if cl&isHexLetter != 0 {
				hex++
			}
		case w[i] == '-':
			hex++
		default:
			other++
		}
	}
	if digits == 1 && letters >= 5 && other == 0 && letters+digits == len(w) && at >= 2 && len(w)-1-at >= 2 {
		return kindWord
	}
	isHex := hex == len(w) || (len(w) > 2 && w[0] == '0' && (w[1] == 'x' || w[1] == 'X'))
	if letters >= 2 && classes[w[0]]&isDigit == 0 && seen&(isSlash|isAt) == 0 && !isHex && longest < 5 {
		return kindSoft
	}
	return kindHard
}

// isHost reports whether w is a host name: labels of letters, digits, '_' and
// '-' with dots between, ending in a well-known top-level domain, and not a
// Java-like package name.
func isHost(w string) bool {
	first, last := -1, -1
	for i := range len(w) {
		switch c := w[i]; {
		case c == '.':
			if first < 0 {
				first = i
			}
			last = i
		case classes[c]&isAlnum == 0 && c != '_' && c != '-', c >= 0x80:
			return false
		}
	}
	if first <= 0 || !isTopLevel(w[last+1:]) {
		return false
	}
	switch w[:first] {
	case "com", "org", "net", "edu", "io", "cn", "java", "javax":
		return false
	}
	return true
}

func isTopLevel(s string) bool {
	switch s {
	case "com", "org", "net", "edu", "gov", "mil", "info", "biz", "arpa", "io",
		"cn", "de", "uk", "fr", "jp", "kr", "ru", "br", "nl", "it", "eu", "tw", "hk", "us", "ca", "au", "pl", "ch", "se",
		"local", "localdomain", "internal", "lan":
		return true
	}
	return false
}

// isPath reports whether w, which holds a slash, is a path: it starts with a
// slash and goes on, starts with "./", or holds two slashes.
func isPath(w string) bool {
	if (w[0] == '/' || w[0] == '\\') && len(w) > 1 {
		return true
	}
	if len(w) > 2 && w[0] == '.' && w[1] == '/' {
		return true
	}
	return countByte(w, '/')+countByte(w, '\\') >= 2
}

// innerAt reports whether w has an '@' inside.
func innerAt(w string) bool {
	for i := 1; i < len(w)-1; i++ {
		if w[i] == '@' {
			return true
		}
	}
	return false
}

func countByte(s string, c byte) (n int) {
	for i := range len(s) {
		if s[i] == c {
			n++
		}
	}
	return n
}

// isLiteral reports whether w is a truth value or the absence of a value.
func isLiteral(w string) bool {
	switch w {
	case "true", "True", "TRUE", "false", "False", "FALSE", "null", "Null", "NULL", "None":
		return true
	}
	return false
}

func isDayOrMonth(w string) bool {
	switch w {
	case "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun",
		"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec":
		return true
	}
	return false
}

// dateFollows reports whether a digit or the name of a day or month stands
// next, behind blanks and a comma.
func dateFollows(line string, i int) bool {
	for i < len(line) && (line[i] == ' ' || line[i] == ',') {
		i++
	}
	if i >= len(line) {
		return false
	}
	if classes[line[i]]&isDigit != 0 {
		return true
	}
	return i+3 <= len(line) && isDayOrMonth(line[i:i+3]) && !isAlnumAt(line, i+3)
}

// introduces reports whether a name follows the word w, and whether w is the
// key of a message.
func introduces(w string) (name, message bool) {
	switch w {
	case "user", "User", "username", "host", "Host", "hostname":
		return true, false
	case "msg", "message", "Message":
		return false, true
	}
	return false, false
}

// isFunctionWord reports whether w is a small word of the language that is
// hardly a name.
func isFunctionWord(w string) bool {
	switch w {
	case "is", "was", "has", "not", "in", "at", "for", "from", "to", "with", "and", "or", "of", "on", "by":
		return true
	}
	return false
}

// unit returns flagTime or flagSize for a unit that may follow a number, 0
// for other words.
func unit(w string) uint8 {
	if len(w) > 12 {
		return 0
	}
	switch w {
	case "ns", "us", "µs", "ms", "s", "sec", "secs", "second", "seconds", "min", "mins", "minute", "minutes",
		"hr", "hrs", "hour", "hours", "day", "days", "millis", "milliseconds", "microseconds", "nanoseconds":
		return flagTime
	case "B", "KB", "kB", "MB", "GB", "TB", "KiB", "MiB", "GiB", "TiB", "byte", "bytes", "%", "Hz", "kHz", "MHz", "GHz":
		return flagSize
	}
	return 0
}

// isIdentifier reports whether w looks like a name out of a program: inner
// punctuation or a capital behind a small letter.
func isIdentifier(w string) bool {
	for i := 1; i < len(w); i++ {
		c := w[i]
		if i < len(w)-1 && (c == '.' || c == '_' || c == '-' || c == '/') {
			return true
		}
		if classes[c]&isUpper != 0 && classes[w[i-1]]&isAlpha != 0 && classes[w[i-1]]&isUpper == 0 {
			return true
		}
	}
	return false
}

// isState reports whether w names a state or an event: words in its place
// are different messages rather than values of one.
func isState(w string) bool {
	n := len(w)
	if n >= 5 && (w[n-2:] == "ed" || w[n-3:] == "ing") {
		return true
	}
	switch w {
	case "up", "down", "on", "off", "start", "stop", "begin", "end", "open", "close", "ok", "error", "fail", "failure", "success",
		"UP", "DOWN", "ON", "OFF", "START", "STOP", "OK", "ERROR", "FAIL", "Up", "Down", "Start", "Stop", "Error":
		return true
	}
	return false
}
