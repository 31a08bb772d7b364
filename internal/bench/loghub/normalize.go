package loghub

import (
	"regexp"
	"strings"
)

// The literature's hand-made templates are not consistent about how much of a
// token is a wildcard, so both sides of a comparison pass through the rules of
// Khan et al., "Guidelines for Assessing the Accuracy of Log Message Template
// Identification Techniques" (ICSE 2022).
var (
	pathToken  = regexp.MustCompile(`^(/[^/]+)+/?$`)
	wildToken  = regexp.MustCompile(`^[^\s/]*<\*>[^\s/]*$`)
	pathSplit  = regexp.MustCompile(`[\s,!;:=|"'\[\](){}]`)
	tokenSplit = regexp.MustCompile(`[\s,!;:=|"'\[\](){}.\-+@#$%&]`)
	digitsOnly = regexp.MustCompile(`^\d+$`)
	joined     = regexp.MustCompile(`<\*>(?:[ ]?[.:/@#,]?<\*>)+`)
)

// Normalize writes a template in the one way in which templates are compared:
// blanks joined, tokens that are paths, numbers, truth values or hold a
// wildcard become wildcards, neighbouring wildcards become one.
func Normalize(template string) string {
	t := strings.Join(strings.Fields(template), " ")
	t = replaceTokens(t, pathSplit, func(tok string) string {
		if pathToken.MatchString(tok) {
			return "<*>"
		}
		return tok
	})
	t = replaceTokens(t, tokenSplit, func(tok string) string {
		switch low := strings.ToLower(tok); {
		case low == "true", low == "false", low == "null", low == "root",
			digitsOnly.MatchString(tok), tok != "<*>/<*>" && wildToken.MatchString(tok):
			return "<*>"
		}
		return tok
	})
	for {
		next := joined.ReplaceAllStringFunc(t, func(m string) string {
			if strings.Contains(m, " ") || strings.Contains(m, ",") {
				return m
			}
			return "<*>"
		})
		next = strings.NewReplacer(`#<*>#`, `<*>`, ` #<*> `, ` <*> `, ` "<*>" `, ` <*> `, ` '<*>' `, ` <*> `).Replace(next)
		if next == t {
			return t
		}
		t = next
	}
}

// replaceTokens passes the stretches between delimiters through f.
func replaceTokens(s string, delimiter *regexp.Regexp, f func(string) string) string {
	var b strings.Builder
	pos := 0
	for _, loc := range delimiter.FindAllStringIndex(s, -1) {
		b.WriteString(f(s[pos:loc[0]]))
		b.WriteString(s[loc[0]:loc[1]])
		pos = loc[1]
	}
	b.WriteString(f(s[pos:]))
	return b.String()
}
