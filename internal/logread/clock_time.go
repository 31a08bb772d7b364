package logread

import (
	"strings"
	"time"
)

// clock reads the time of day behind the date, with what may stand between
// them. The cursor does not move when there is none.
func (r *reader) clock() bool {
	from := r.i
	if r.dated && !r.joined {
		switch c := r.at(0); {
		case c == 'T' || c == 't' || c == '-' || c == ':' || c == '_' || c == '|':
			r.i++
		case c == ',' || isBlank(c):
			for r.at(0) == ',' || isBlank(r.at(0)) {
				r.i++
			}
		default:
			return false
		}
	}
	if !r.timeOfDay() {
		r.i = from
		return false
	}
	r.clocked = true
	r.halfDay()
	r.zoneOf()
	r.lateYear()
	return true
}

// timeOfDay reads 15:04:05, 15.04.05, 150405 and fractions of the second.
func (r *reader) timeOfDay() bool {
	n := r.digitsAt(0)
	switch n {
	case 6, 9:
		r.hour, r.min, r.sec = r.number(2), r.number(2), r.number(2)
		if n == 9 {
			r.nsec = r.number(3) * 1e6
		}
	case 1, 2:
		if !r.parted(n) {
			return false
		}
	default:
		return false
	}
	if r.hour > 23 || r.min > 59 || r.sec > 60 {
		return false
	}
	c := r.at(0)
	if (c == '.' || c == ',' || c == ':') && isDigit(r.at(1)) && r.digitsAt(1) <= 9 {
		r.fraction()
	}
	return true
}

// parted reads hours, minutes and seconds with ':' or '.' between them. With
// ':' the seconds may be missing.
func (r *reader) parted(n int) bool {
	sep := r.at(n)
	if sep != ':' && (sep != '.' || !r.dated) || r.digitsAt(n+1) != 2 {
		return false
	}
	if r.at(n+3) != sep || r.digitsAt(n+4) != 2 {
		if sep != ':' || !r.dated {
			return false
		}
		r.hour = r.number(n)
		r.i++
		r.min = r.number(2)
		return true
	}
	r.hour = r.number(n)
	r.i++
	r.min = r.number(2)
	r.i++
	r.sec = r.number(2)
	return true
}

// fraction reads a separator and the digits of a fraction of the second.
func (r *reader) fraction() {
	r.i++
	scale := int(1e8)
	for isDigit(r.at(0)) {
		r.nsec += int(r.s[r.i]-'0') * scale
		scale /= 10
		r.i++
	}
}

// halfDay reads AM and PM.
func (r *reader) halfDay() {
	k := 0
	if isBlank(r.at(0)) {
		k++
	}
	if r.at(k+1)|0x20 != 'm' || isAlnum(r.at(k+2)) || r.hour > 12 {
		return
	}
	switch r.at(k) | 0x20 {
	case 'a':
		r.hour %= 12
	case 'p':
		r.hour = r.hour%12 + 12
	default:
		return
	}
	r.i += k + 2
}

// zoneOf reads Z, UTC, +01:00, -0700, +02 and a few names.
func (r *reader) zoneOf() {
	k := 0
	if isBlank(r.at(0)) {
		k++
	}
	switch c := r.at(k); {
	case c == '+' || c == '-':
		r.offset(k, c)
	case c >= 'A' && c <= 'Z':
		n := 0
		for r.at(k+n) >= 'A' && r.at(k+n) <= 'Z' {
			n++
		}
		if isAlnum(r.at(k + n)) {
			return
		}
		if off, ok := zoneName(r.s[r.i+k : r.i+k+n]); ok && (n > 1 || k == 0) {
			r.zone, r.i = time.FixedZone("", off), r.i+k+n
		}
	}
}

func (r *reader) offset(k int, sign byte) {
	n := r.digitsAt(k + 1)
	hours, minutes, end := 0, 0, 0
	two := func(at int) int { return int(r.at(at)-'0')*10 + int(r.at(at+1)-'0') }
	switch {
	case n == 4:
		hours, minutes, end = two(k+1), two(k+3), k+5
	case n == 2 && r.at(k+3) == ':' && r.digitsAt(k+4) == 2:
		hours, minutes, end = two(k+1), two(k+4), k+6
	case n == 2:
		hours, end = two(k+1), k+3
	default:
		return
	}
	if hours > 14 || minutes > 59 {
		return
	}
	off := hours*3600 + minutes*60
	if sign == '-' {
		off = -off
	}
	r.zone, r.i = time.FixedZone("", off), r.i+end
}

// zoneName gives the offset in seconds of the names that logs use and that
// mean one zone nearly everywhere.
func zoneName(s string) (seconds int, ok bool) {
	const hour = 3600
	switch s {
	case "Z", "UTC", "GMT", "WET":
		return 0, true
	case "CET", "MEZ", "WEST":
		return hour, true
	case "CEST", "MESZ", "EET":
		return 2 * hour, true
	case "EEST", "MSK":
		return 3 * hour, true
	case "JST", "KST":
		return 9 * hour, true
	case "AEST":
		return 10 * hour, true
	case "EDT":
		return -4 * hour, true
	case "EST", "CDT":
		return -5 * hour, true
	case "CST", "MDT":
		return -6 * hour, true
	case "MST", "PDT":
		return -7 * hour, true
	case "PST":
		return -8 * hour, true
	}
	return 0, false
}

// lateYear reads the year that ctime puts behind the time of day.
func (r *reader) lateYear() {
	if r.year != 0 || !r.dated || !isBlank(r.at(0)) || r.digitsAt(1) != 4 || isAlnum(r.at(5)) {
		return
	}
	from := r.i
	r.i++
	if y := r.number(4); y >= 1970 && y <= 2100 {
		r.year = y
		return
	}
	r.i = from
}

// finish puts the parts together.
func (r *reader) finish(ref int64) (st Stamp, ok bool) {
	st = Stamp{Len: r.i, Date: r.dated, Clock: r.clocked, Year: r.year != 0, Fine: r.nsec != 0, Level: r.level, Second: r.second}
	if r.dated && (r.month < 1 || r.month > 12 || r.day < 1 || r.day > 31 || r.year != 0 && (r.year < 1970 || r.year > 2261)) {
		return st, false
	}
	at := time.Unix(0, ref).In(r.zone)
	const day = 24 * time.Hour
	var t time.Time
	switch {
	case !r.dated:
		t = time.Date(at.Year(), at.Month(), at.Day(), r.hour, r.min, r.sec, r.nsec, r.zone)
		if t.Sub(at) > time.Hour {
			t = t.Add(-day)
		}
	case r.year != 0:
		t = time.Date(r.year, time.Month(r.month), r.day, r.hour, r.min, r.sec, r.nsec, r.zone)
	default:
		y := at.Year() + 1
		for {
			t = time.Date(y, time.Month(r.month), r.day, r.hour, r.min, r.sec, r.nsec, r.zone)
			if t.Day() == r.day && t.Sub(at) <= day || y < at.Year()-8 {
				break
			}
			y--
		}
	}
	if r.dated && t.Day() != r.day && r.sec < 60 {
		return st, false // no such day
	}
	st.Time = t.UnixNano()
	return st, true
}

// isLevel reports whether w is the name of a log level. Single letters count
// only in capitals.
func isLevel(w string) bool {
	if len(w) == 1 {
		switch w[0] {
		case 'V', 'D', 'I', 'W', 'E', 'F', 'T', 'N', 'C':
			return true
		}
		return false
	}
	if len(w) > 13 || len(w) < 3 || !isLetter(w[0]) {
		return false
	}
	switch strings.ToLower(w) {
	case "trace", "finest", "finer", "fine", "verbose", "trc", "debug", "dbg", "debug1", "debug2", "debug3", "debug4", "debug5",
		"info", "inf", "information", "informational", "log", "config", "notice", "note", "hint", "statement", "detail",
		"warn", "warning", "wrn", "error", "err", "severe", "failure", "critical", "crit", "alert", "fatal", "ftl",
		"emergency", "emerg", "panic", "dpanic", "system", "audit":
		return true
	}
	return false
}
