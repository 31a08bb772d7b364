package normalize

import (
	"fmt"
	"regexp"
	"strings"
	"sync/atomic"
)

// hint says which kinds of secret a text could hold, found in one cheap pass.
type hint uint16

const (
	hintBearer hint = 1 << iota
	hintJWT
	hintAWS
	hintKeyword
	hintPrivateKey
	hintCard
	hintURL
	hintVendor
	hintMarkup  // <key>value</key>, key="..." value="..."
	hintCommand // a program that takes passwords as arguments
	hintOracle
	hintProse // a password told in words
)

// pattern is one kind of secret. re's group "s" (or the whole match) is what
// gets replaced; accept may refuse a match that only looks like a secret.
type pattern struct {
	name   string
	hint   hint // 0: always tried
	re     *regexp.Regexp
	group  int
	accept func(text string, m []int) bool
	count  atomic.Uint64
}

// Masker replaces secrets in texts by "[masked:KIND]". It is safe for
// concurrent use.
type Masker struct {
	patterns []*pattern
	cards    atomic.Uint64
	keyed    atomic.Uint64
	vendor   atomic.Uint64
}

const keyedKind, cardKind, vendorKind = "keyed_value", "card_number", "vendor_token"

// NewMasker makes a masker with the built-in patterns (bearer and basic
// credentials, JSON web tokens, AWS keys, tokens of well-known vendors, private
// key blocks, passwords in URLs, on command lines and in prose, elements of markup, values of keys named like secrets, card
// numbers that pass the Luhn check) and extra regular expressions (RE2 syntax)
// by name. An extra pattern's group named "s", else its first group, else the
// whole match is replaced.
func NewMasker(extra map[string]string) (*Masker, error) {
	m := &Masker{patterns: builtinPatterns()}
	for _, name := range sortedKeys(extra) {
		re, err := regexp.Compile(extra[name])
		if err != nil {
			return nil, fmt.Errorf("cannot use mask pattern %q: %w", name, err)
		}
		g := re.SubexpIndex("s")
		if g < 0 {
			g = min(1, re.NumSubexp())
		}
		m.patterns = append(m.patterns, &pattern{name: name, re: re, group: g})
	}
	return m, nil
}

func builtinPatterns() []*pattern {
	return []*pattern{
		{name: "private_key", hint: hintPrivateKey, re: regexp.MustCompile(`-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----(?s:.*?)(?:-----END (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----|$)`)},
		{name: "jwt", hint: hintJWT, re: regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)*`)},
		{name: "bearer", hint: hintBearer, re: regexp.MustCompile(`(?i)\b(?:bearer|basic|digest|negotiate)\s+([A-Za-z0-9._~+/-]{8,}=*)`), group: 1, accept: acceptCredential},
		{name: "aws_key", hint: hintAWS, re: regexp.MustCompile(`\b(?:AKIA|ASIA|AGPA|AIDA|AROA|ANPA)[A-Z0-9]{16}\b`)},
		{name: "url_password", hint: hintURL, re: regexp.MustCompile(`[A-Za-z][A-Za-z0-9+.-]*://[^\s:/@?#\[]*:([^\s/?#]+)@`), group: 1},
		{name: "url_password", hint: hintOracle, re: regexp.MustCompile(`(?i)\bjdbc:oracle:\w+:[^/\s]+/([^@\s]+)@`), group: 1},
		{name: "markup_value", hint: hintMarkup, re: regexp.MustCompile(`<([\w.:-]+)(?:\s[^<>]*)?>([^<>]+)</`), group: 2, accept: acceptElement},
		{name: "markup_value", hint: hintMarkup, re: regexp.MustCompile(`(?i)\b(?:key|name)\s*=\s*"([^"]*)"\s+value\s*=\s*"([^"]+)"`), group: 2, accept: acceptElement},
		{name: "cli_password", hint: hintCommand, re: regexp.MustCompile(`\b(?:mysql|mariadb)[\w-]*\s(?:[^|;&\n]*?\s)?-p([^\s'"]+)`), group: 1},
		{name: "cli_password", hint: hintCommand, re: regexp.MustCompile(`\bsshpass\s+-p\s*['"]?([^\s'"]+)`), group: 1},
		{name: "cli_password", hint: hintCommand, re: regexp.MustCompile(`\bredis-cli\s(?:[^|;&\n]*?\s)?(?:-a|--pass)\s+['"]?([^\s'"]+)`), group: 1},
		{name: "cli_password", hint: hintCommand, re: regexp.MustCompile(`\bcurl\s(?:[^|;\n]*?\s)?(?:-u|--user|-U|--proxy-user)[\s=]*['"]?[^\s:'"/]+:([^\s'"]+)`), group: 1},
		{name: "password_text", hint: hintProse, re: regexp.MustCompile(`(?i)\bpass(?:word|phrase)(?: for\s+\S+:| (?:is|was))\s*['"]?([^\s'"]+)`), group: 1, accept: acceptCredential},
		{name: "password_text", hint: hintProse, re: regexp.MustCompile(`(?i)\bpass(?:word|phrase) '([^'\s]+)'`), group: 1},
	}
}

// acceptElement takes the value of an element or attribute that is named like
// a secret.
func acceptElement(text string, m []int) bool {
	class := classifyKey(text[m[2]:m[3]])
	return class != notSecret && !isHarmless(text[m[4]:m[5]], class)
}

// acceptCredential refuses plain words after "bearer" or "basic".
func acceptCredential(text string, m []int) bool { return looksRandom(text[m[2]:m[3]]) }

// looksRandom reports whether a value is more like a token than like a word of
// prose: it mixes letters and digits, or is long and mixes cases.
func looksRandom(s string) bool {
	var digits, upper, lower, other int
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			digits++
		case c >= 'A' && c <= 'Z':
			upper++
		case c >= 'a' && c <= 'z':
			lower++
		default:
			other++
		}
	}
	letters := upper + lower
	switch {
	case len(s) >= 6 && digits > 0 && letters > 0:
		return true
	case len(s) >= 16 && upper > 1 && lower > 1:
		return true
	}
	return len(s) >= 32 && letters > 0 && other == 0
}

// Mask returns the text with its secrets replaced, and whether any was. A text
// without a hint of a secret costs one pass over its bytes and no allocation.
func (m *Masker) Mask(text string) (masked string, changed bool) {
	h := scanHints(text)
	for _, p := range m.patterns {
		if p.hint != 0 && h&p.hint == 0 {
			continue
		}
		if t, n := p.apply(text); n > 0 {
			p.count.Add(uint64(n))
			text, changed = t, true
		}
	}
	if h&hintVendor != 0 {
		if t, n := maskVendors(text); n > 0 {
			m.vendor.Add(uint64(n))
			text, changed = t, true
		}
	}
	if h&hintKeyword != 0 {
		if t, n := maskKeyed(text); n > 0 {
			m.keyed.Add(uint64(n))
			text, changed = t, true
		}
	}
	if h&hintCard != 0 {
		if t, n := maskCards(text); n > 0 {
			m.cards.Add(uint64(n))
			text, changed = t, true
		}
	}
	return text, changed
}

// MaskValue masks the value of an attribute: as a whole when the key is named
// like a secret, else like any text.
func (m *Masker) MaskValue(key, value string) (masked string, changed bool) {
	if value == "" {
		return value, false
	}
	if k := classifyKey(key); k != notSecret && !strings.HasPrefix(value, "[masked:") && !isHarmless(value, k) {
		m.keyed.Add(1)
		return replacement(keyedKind), true
	}
	return m.Mask(value)
}

// Counts returns how many secrets were replaced, by kind. Kinds that were
// never met are there with 0.
func (m *Masker) Counts() map[string]uint64 {
	out := map[string]uint64{keyedKind: m.keyed.Load(), cardKind: m.cards.Load(), vendorKind: m.vendor.Load()}
	for _, p := range m.patterns {
		out[p.name] += p.count.Load()
	}
	return out
}

func replacement(kind string) string { return "[masked:" + kind + "]" }

func (p *pattern) apply(text string) (string, int) {
	var b strings.Builder
	last, n := 0, 0
	for _, m := range p.re.FindAllStringSubmatchIndex(text, -1) {
		from, to := m[2*p.group], m[2*p.group+1]
		if from < 0 || from == to || p.accept != nil && !p.accept(text, m) || strings.HasPrefix(text[from:to], "[masked:") {
			continue
		}
		b.WriteString(text[last:from])
		b.WriteString(replacement(p.name))
		last, n = to, n+1
	}
	if n == 0 {
		return text, 0
	}
	b.WriteString(text[last:])
	return b.String(), n
}

// scanHints looks at each byte once.
func scanHints(s string) hint {
	var h hint
	digits := 0
	markup := false
	for i := 0; i < len(s); i++ {
		c := s[i]
		if vendorFirst[c] && vendorStarts(s, i) {
			if _, to := vendorAt(s[i:]); to > 0 {
				h |= hintVendor
			}
		}
		if c >= '0' && c <= '9' {
			if digits++; digits == 13 {
				h |= hintCard
			}
			continue
		}
		if c != ' ' && c != '-' {
			digits = 0
		}
		switch c {
		case '<':
			markup = markup || i+1 < len(s) && s[i+1] == '/'
		case '=':
			markup = markup || i >= 5 && foldPrefix(s[i-5:], "value")
		case ':':
			h |= hintColon(s, i, h)
		case 'b', 'B', 'd', 'D', 'n', 'N':
			if foldPrefix(s[i:], "bearer") || foldPrefix(s[i:], "basic ") || foldPrefix(s[i:], "digest ") || foldPrefix(s[i:], "negotiate ") {
				h |= hintBearer
			}
		case 'e':
			if strings.HasPrefix(s[i:], "eyJ") {
				h |= hintJWT
			}
		case 'A':
			h |= hintA(s[i:])
		case '-':
			if strings.HasPrefix(s[i:], "-----BEGIN ") {
				h |= hintPrivateKey
			}
		case 'm', 'r', 'j':
			if i == 0 || !isWordByte(s[i-1]) {
				h |= hintProgram(s[i:])
			}
		case 'k', 'K', 'p', 'P', 's', 'S', 't', 'T', 'c', 'C', 'a', 'o', 'O':
			h |= hintWord(s[i:])
		}
	}
	if markup && h&hintKeyword != 0 {
		h |= hintMarkup
	}
	return h
}

// hintColon looks at the colon at i, when h is known already.
func hintColon(s string, i int, h hint) hint {
	if i >= 8 && h&hintVendor == 0 {
		if _, to := telegramAt(s, i); to > 0 {
			return hintVendor
		}
	}
	if i+2 < len(s) && s[i+1] == '/' && s[i+2] == '/' && h&hintURL == 0 && strings.IndexByte(s[i:], '@') > 0 {
		return hintURL
	}
	return 0
}

func hintA(s string) hint {
	switch {
	case len(s) >= 20 && (s[1] == 'K' || s[1] == 'S' || s[1] == 'G' || s[1] == 'I' || s[1] == 'R' || s[1] == 'N'):
		return hintAWS | hintWord(s)
	}
	return hintWord(s)
}

// hintWord recognises the parts of key names that classifyKey accepts, and
// programs. The second letter decides first: most words end there.
func hintWord(s string) hint {
	if len(s) < 4 {
		return 0
	}
	switch b := s[1] | 0x20; s[0] | 0x20 {
	case 'k':
		if b == 'e' && foldPrefix(s, "key") {
			return hintKeyword
		}
	case 'p':
		return hintP(s, b)
	case 's':
		switch {
		case b == 'e' && (foldPrefix(s, "secret") || foldPrefix(s, "session")), b == 'i' && (foldPrefix(s, "sig=") || foldPrefix(s, "signature")):
			return hintKeyword
		case b == 's':
			return hintProgram(s)
		}
	case 't':
		if b == 'o' && foldPrefix(s, "token") {
			return hintKeyword
		}
	case 'c':
		switch {
		case b == 'r' && foldPrefix(s, "credential"), b == 'o' && foldPrefix(s, "cookie"), b == 'v' && (foldPrefix(s, "cvv") || foldPrefix(s, "cvc")):
			return hintKeyword
		case b == 'u':
			return hintProgram(s)
		}
	case 'a':
		switch {
		case b != 'u':
		case foldPrefix(s, "authorization"):
			return hintKeyword | hintBearer
		case foldPrefix(s, "auth="):
			return hintKeyword
		}
	case 'o':
		if b == 't' && foldPrefix(s, "otp=") {
			return hintKeyword
		}
	}
	return 0
}

// hintP is hintWord for words with p, whose second letter is b.
func hintP(s string, b byte) hint {
	switch b {
	case 'a':
		if !foldPrefix(s, "passw") && !foldPrefix(s, "passphrase") {
			return 0
		}
		for _, t := range [...]string{"password is", "password was", "password for", "password '", "passphrase "} {
			if foldPrefix(s, t) {
				return hintKeyword | hintProse
			}
		}
		return hintKeyword
	case 'w':
		if foldPrefix(s, "pwd") {
			return hintKeyword
		}
	case 'i':
		if foldPrefix(s, "pin=") {
			return hintKeyword
		}
	}
	return 0
}

// hintProgram recognises programs that take passwords as arguments.
func hintProgram(s string) hint {
	switch {
	case strings.HasPrefix(s, "mysql"), strings.HasPrefix(s, "mariadb"), strings.HasPrefix(s, "redis-cli"), strings.HasPrefix(s, "sshpass"), strings.HasPrefix(s, "curl "):
		return hintCommand
	case strings.HasPrefix(s, "jdbc:oracle"):
		return hintOracle
	}
	return 0
}

// foldPrefix reports whether s begins with the lower-case prefix, in any case.
func foldPrefix(s, prefix string) bool {
	if len(s) < len(prefix) {
		return false
	}
	for i := 0; i < len(prefix); i++ {
		c := s[i]
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != prefix[i] {
			return false
		}
	}
	return true
}
