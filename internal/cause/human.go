package cause

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// human writes v of a UCUM base unit as people do: two or three significant
// digits and a fitting prefix. The unit "1" is a share and becomes percent;
// "" is a bare number.
func human(v float64, unit string) string {
	switch {
	case math.IsNaN(v):
		return "unknown"
	case math.IsInf(v, 0):
		return "unbounded"
	}
	switch unit {
	case "s":
		return seconds(v)
	case "1":
		return percent(v)
	case "By":
		return scaled(v, 1024, []string{"B", "KiB", "MiB", "GiB", "TiB"})
	case "By/s":
		return scaled(v, 1024, []string{"B/s", "KiB/s", "MiB/s", "GiB/s"})
	case "":
		return strings.TrimSpace(scaled(v, 1000, []string{"", "k", "M", "G", "T"}))
	}
	name := strings.NewReplacer("{", "", "}", "").Replace(unit)
	if noun, per, ok := strings.Cut(name, "/"); ok {
		switch noun {
		case "request", "line", "message", "query", "call", "operation":
			if noun == "query" {
				noun = "querie"
			}
			return digits(v) + " " + noun + "s/" + per
		}
	}
	return digits(v) + " " + name
}

func seconds(v float64) string {
	switch a := math.Abs(v); {
	case a == 0:
		return "0 s"
	case a < .001:
		return digits(v*1e6) + " µs"
	case a < .1:
		return digits(v*1e3) + " ms"
	case a < 600:
		return digits(v) + " s"
	case a < 7200:
		return digits(v/60) + " min"
	}
	return digits(v/3600) + " h"
}

func percent(v float64) string {
	p := v * 100
	switch a := math.Abs(p); {
	case a >= 10 || a == 0:
		return strconv.FormatFloat(p, 'f', 0, 64) + " %"
	case a >= .1:
		return strconv.FormatFloat(p, 'f', 1, 64) + " %"
	}
	return digits(p) + " %"
}

func scaled(v, base float64, names []string) string {
	i := 0
	for math.Abs(v) >= base && i < len(names)-1 {
		v /= base
		i++
	}
	return digits(v) + " " + names[i]
}

// digits writes two significant digits below 10, three below 1000, and whole
// numbers above.
func digits(v float64) string {
	a := math.Abs(v)
	switch {
	case a == 0:
		return "0"
	case a >= 99.5:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case a >= 9.95:
		return trimZeros(strconv.FormatFloat(v, 'f', 1, 64))
	}
	n := 1 - int(math.Floor(math.Log10(a)))
	return trimZeros(strconv.FormatFloat(v, 'f', min(n, 9), 64))
}

func trimZeros(s string) string {
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}

// clock writes a Unix millisecond as a time of day in UTC.
func clock(ms int64) string { return time.UnixMilli(ms).UTC().Format("15:04") + " UTC" }

func upperFirst(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	if n == 0 {
		return s
	}
	return string(unicode.ToUpper(r)) + s[n:]
}

// shorten cuts a text from outside to n runes and makes it one line.
func shorten(s string, n int) string {
	s = strings.Join(strings.Fields(s), " ")
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	r := []rune(s)
	return string(r[:n-1]) + "…"
}

// listing joins names: "a", "a and b", "a, b and c".
func listing(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return fmt.Sprintf("%s and %s", strings.Join(names[:len(names)-1], ", "), names[len(names)-1])
}
