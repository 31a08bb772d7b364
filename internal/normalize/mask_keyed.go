package normalize

import (
	"slices"
	"strings"
)

// secretClass says how surely a key's value is a secret.
type secretClass uint8

const (
	notSecret    secretClass = iota
	tokenSecret              // often a secret, sometimes a word or a number
	codeSecret               // a secret when it is 3 to 8 digits
	signSecret               // a secret when it looks random
	pwdSecret                // a password, or the working directory
	passwordLike             // always a secret
)

// classifyKey judges a key by how its name ends: "db.password", "apiKey",
// "X-Auth-Token", "aws_secret_access_key". Names that only contain such a word
// ("password_length", "max_tokens", "primary_key") are no secrets.
func classifyKey(key string) secretClass {
	k := lowerKey(key)
	switch {
	case k == "pwd" || k == "oldpwd":
		return pwdSecret
	case strings.HasSuffix(k, "chpasswd") || strings.HasSuffix(k, "gpasswd"): // programs
		return notSecret
	}
	for _, s := range []string{"password", "passwd", "pwd", "passphrase", "clientsecret", "secretkey", "privatekey", "secretaccesskey"} {
		if strings.HasSuffix(k, s) {
			return passwordLike
		}
	}
	for _, s := range []string{
		"token", "secret", "apikey", "accesskey", "authkey", "encryptionkey", "signingkey", "accountkey", "sharedkey", "credential", "credentials",
		"authorization", "sessionid", "sessionkey", "cookie",
	} {
		if strings.HasSuffix(k, s) {
			return tokenSecret
		}
	}
	switch k {
	case "pin", "otp", "cvv", "cvv2", "cvc", "cvc2":
		return codeSecret
	case "sig", "auth", "secretkeybase":
		return signSecret
	}
	if strings.HasSuffix(k, "signature") {
		return signSecret
	}
	return notSecret
}

// lowerKey lowers the end of a key and takes separators out of it.
func lowerKey(key string) string {
	var buf [40]byte
	n := len(buf)
	for i := len(key) - 1; i >= 0 && n > 0; i-- {
		c := key[i]
		if c == '_' || c == '-' || c == '.' || c == ' ' {
			continue
		}
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		n--
		buf[n] = c
	}
	return string(buf[n:])
}

// isHarmless reports whether a value cannot be a secret of that class.
func isHarmless(v string, class secretClass) bool {
	switch strings.ToLower(v) {
	case "", "true", "false", "null", "nil", "none", "<nil>", "undefined", "***", "****", "******", "********", "[redacted]", "<redacted>", "redacted", "xxx", "xxxx", "xxxxxxxx":
		return true
	}
	switch class {
	case codeSecret:
		return len(v) < 3 || len(v) > 8 || strings.Trim(v, "0123456789") != ""
	case signSecret:
		return len(v) < 6 || !looksRandom(v)
	case passwordLike:
		return false
	case pwdSecret:
		return v[0] == '/' || len(v) > 2 && v[1] == ':' && v[2] == '\\'
	}
	if strings.HasPrefix(v, "0x") && strings.Trim(v[2:], "0123456789abcdefABCDEF") == "" && len(v) <= 18 { // a number
		return true
	}
	if strings.Trim(v, "0123456789.,%") == "" && len(v) < 12 { // amounts
		return true
	}
	return false
}

// maskKeyed replaces the values of keys that are named like secrets, in the
// forms that logs use: key=value, key: value, "key": "value", key => value,
// --key value. After a colon and without quotes, a token's value must look
// random, since prose has colons too ("invalid token: unexpected end").
func maskKeyed(s string) (string, int) {
	var b strings.Builder
	last, n := 0, 0
	for i := 0; i < len(s); i++ {
		if c := s[i]; c != '=' && c != ':' && c != ' ' {
			continue
		}
		key, strict := keyBefore(s, i)
		if key == "" {
			continue
		}
		class := classifyKey(key)
		if class == notSecret {
			continue
		}
		from, to, quoted, ok := valueAfter(s, i)
		if !ok {
			continue
		}
		v := s[from:to]
		if strings.HasPrefix(v, "[masked") || strings.HasPrefix(v, "$") || isHarmless(v, class) {
			continue
		}
		if class == tokenSecret && !quoted && to < len(s) && s[to] == '{' { // an object is printed
			continue
		}
		if strict && class == tokenSecret && !quoted && !looksRandom(v) {
			continue
		}
		b.WriteString(s[last:from])
		b.WriteString(replacement(keyedKind))
		last, n, i = to, n+1, to-1
	}
	if n == 0 {
		return s, 0
	}
	b.WriteString(s[last:])
	return b.String(), n
}

// keyBefore returns the key that ends at the separator at i, "" when there is
// none. strict tells that the separator also occurs in prose.
func keyBefore(s string, i int) (key string, strict bool) {
	end := i
	if s[i] != ' ' {
		for end > 0 && s[end-1] == ' ' && i-end < 3 {
			end--
		}
	}
	if end > 0 && (s[end-1] == '"' || s[end-1] == '\'') && s[i] != ' ' {
		end--
		if end > 0 && s[end-1] == '\\' {
			end--
		}
	}
	start := end
	for start > 0 && isKeyByte(s[start-1]) && end-start < 64 {
		start--
	}
	key = s[start:end]
	if s[i] == ' ' {
		if !strings.HasPrefix(key, "-") { // only command-line flags are parted by a space
			return "", false
		}
		return key, true
	}
	return key, s[i] == ':'
}

func isKeyByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '.'
}

// valueAfter finds the value behind the separator at i.
func valueAfter(s string, i int) (from, to int, quoted, ok bool) {
	i++
	if i < len(s) && s[i] == '>' || i < len(s) && s[i] == '=' {
		i++
	}
	for i < len(s) && (s[i] == ' ' || s[i] == '\t') {
		i++
	}
	if i >= len(s) {
		return 0, 0, false, false
	}
	if s[i] == '\\' && i+1 < len(s) && s[i+1] == '"' { // JSON inside JSON
		end := strings.Index(s[i+2:], `\"`)
		if end < 0 {
			return i + 2, len(s), true, len(s) > i+2
		}
		return i + 2, i + 2 + end, true, end > 0
	}
	if q := s[i]; q == '"' || q == '\'' {
		for j := i + 1; j < len(s); j++ {
			if s[j] == '\\' {
				j++
			} else if s[j] == q {
				return i + 1, j, true, j > i+1
			}
		}
		return i + 1, len(s), true, len(s) > i+1
	}
	for _, w := range []string{"bearer ", "basic ", "token "} { // authorization: <scheme> <credentials>
		if foldPrefix(s[i:], w) {
			i += len(w)
			break
		}
	}
	j := i
	for j < len(s) && !strings.ContainsRune(" \t\r\n,;&\"'(){}[]<>", rune(s[j])) {
		j++
	}
	if strings.HasPrefix(s[i:], "[masked") {
		return i, i + len("[masked"), false, true
	}
	return i, j, false, j > i
}

// maskCards replaces payment card numbers: 13 to 19 digits, in one piece or in
// groups parted by single spaces or hyphens, with an issuer's prefix and a
// valid Luhn check digit (ISO/IEC 7812-1). Digits that touch letters, other
// digits, points or underscores are parts of something else.
func maskCards(s string) (string, int) {
	var b strings.Builder
	last, n := 0, 0
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			continue
		}
		end, digits := cardRun(s, i)
		if touchesBefore(s[:i]) || touchesAfter(s[end:]) || !isCard(digits) {
			i = end - 1
			continue
		}
		b.WriteString(s[last:i])
		b.WriteString(replacement(cardKind))
		last, n, i = end, n+1, end-1
	}
	if n == 0 {
		return s, 0
	}
	b.WriteString(s[last:])
	return b.String(), n
}

// cardRun reads the digits from i, with one kind of single separator between
// groups of 3 to 7, and returns the end and the digits (at most 20).
func cardRun(s string, i int) (end int, digits []byte) {
	sep := byte(0)
	group := 0
	end = i
	for j := i; j < len(s); j++ {
		c := s[j]
		if c >= '0' && c <= '9' {
			digits = append(digits, c)
			group++
			end = j + 1
			continue
		}
		if (c != ' ' && c != '-') || (sep != 0 && c != sep) || group < 3 || group > 7 || j+1 >= len(s) || s[j+1] < '0' || s[j+1] > '9' {
			break
		}
		sep, group = c, 0
	}
	return end, digits
}

// touchesBefore and touchesAfter report whether digits next to the text are a
// part of a longer word or number; a point or hyphen only joins what has
// letters or digits on its other side.
func touchesBefore(s string) bool {
	n := len(s)
	if n > 1 && (s[n-1] == '.' || s[n-1] == '-') {
		return isWordByte(s[n-2])
	}
	return n > 0 && isWordByte(s[n-1])
}

func touchesAfter(s string) bool {
	if len(s) > 1 && (s[0] == '.' || s[0] == '-') {
		return isWordByte(s[1])
	}
	return s != "" && isWordByte(s[0])
}

func isWordByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_'
}

func isCard(d []byte) bool {
	if len(d) < 13 || len(d) > 19 {
		return false
	}
	num := func(n int) int {
		v := 0
		for _, c := range d[:n] {
			v = v*10 + int(c-'0')
		}
		return v
	}
	two, four := num(2), num(4)
	ok := false
	switch {
	case d[0] == '4':
		ok = len(d) == 13 || len(d) == 16 || len(d) == 19
	case two >= 51 && two <= 55, four >= 2221 && four <= 2720:
		ok = len(d) == 16
	case two == 34, two == 37:
		ok = len(d) == 15
	case four == 6011, two == 65, two == 62, two == 35:
		ok = len(d) >= 16
	case two == 30, two == 36, two == 38, two == 39:
		ok = len(d) == 14 || len(d) == 16
	}
	return ok && luhn(d)
}

func luhn(d []byte) bool {
	sum := 0
	for i, c := range d {
		v := int(c - '0')
		if (len(d)-i)%2 == 0 {
			if v *= 2; v > 9 {
				v -= 9
			}
		}
		sum += v
	}
	return sum%10 == 0
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
