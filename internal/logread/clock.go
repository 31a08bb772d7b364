package logread

import (
	"strings"
	"time"
)

// DateOrder says what the numbers of a date like 03/04/2026 mean.
type DateOrder uint8

// Orders of a date's numbers. Unknown takes the usual one of the form: the
// month first with slashes, the day first with points and hyphens, the year
// first when all three have two digits.
const (
	OrderUnknown DateOrder = iota
	OrderMonthFirst
	OrderDayFirst
	OrderYearFirst
)

// Clock reads time stamps. The zero value takes stamps without a zone as UTC.
type Clock struct {
	Zone  *time.Location // of stamps that name none; nil is UTC
	Order DateOrder
}

// Stamp is a time stamp that was read.
type Stamp struct {
	Time   int64 // Unix nanoseconds
	Len    int   // bytes of the text
	Date   bool  // the text names a day; else Time lies on the day of the reference
	Clock  bool  // the text names a time of day
	Year   bool
	Fine   bool // it has fractions of a second
	Level  byte // the letter before a glog time stamp, 0 without
	Epoch  bool // Unix time
	Second bool // the numbers of the date can only mean the second usual order
}

// Read reads the time stamp at the beginning of s: ISO 8601 and its relatives,
// RFC 1123, RFC 3164, ctime, the Common Log Format's, glog's, numeric dates in
// any order, times without a date and Unix time in seconds to nanoseconds. What
// a stamp lacks (year, day) comes from ref (Unix ns): the year is the last one
// that does not put it more than a day behind ref. ok is false when s does not
// begin with a time stamp.
func (c Clock) Read(s string, ref int64) (st Stamp, ok bool) {
	if len(s) < 4 {
		return st, false
	}
	r := reader{s: s, zone: c.Zone, order: c.Order}
	if r.zone == nil {
		r.zone = time.UTC
	}
	if epoch, ok := r.epoch(); ok {
		return epoch, true
	}
	if !r.date() {
		return st, false
	}
	if !r.clock() && (r.needClock || !r.dated) {
		return st, false
	}
	if r.i < len(s) && isAlnum(s[r.i]) {
		return st, false
	}
	return r.finish(ref)
}

// reader is a cursor over one time stamp.
type reader struct {
	s     string
	i     int
	zone  *time.Location
	order DateOrder

	year, month, day  int
	hour, min, sec    int
	nsec              int
	dated, clocked    bool
	needClock, second bool
	level             byte
	joined            bool // date and time are one run of digits
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
func isLetter(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}
func isAlnum(c byte) bool { return isDigit(c) || isLetter(c) || c >= 0x80 }
func isBlank(c byte) bool { return c == ' ' || c == '\t' }

func (r *reader) at(k int) byte {
	if r.i+k < len(r.s) {
		return r.s[r.i+k]
	}
	return 0
}

// digitsAt counts the digits from the cursor + k on.
func (r *reader) digitsAt(k int) int {
	n := 0
	for isDigit(r.at(k + n)) {
		n++
	}
	return n
}

// number reads n digits.
func (r *reader) number(n int) int {
	v := 0
	for range n {
		v = v*10 + int(r.s[r.i]-'0')
		r.i++
	}
	return v
}

// epoch reads Unix time: 10, 13, 16 or 19 digits between the years 2000 and
// 2100, seconds perhaps with a fraction.
func (r *reader) epoch() (st Stamp, ok bool) {
	n := r.digitsAt(0)
	unit := int64(0)
	switch n {
	case 10:
		unit = 1e9
	case 13:
		unit = 1e6
	case 16:
		unit = 1e3
	case 19:
		unit = 1
	default:
		return st, false
	}
	v := int64(0)
	for k := range n {
		v = v*10 + int64(r.s[k]-'0')
	}
	const from, to = 946_684_800, 4_102_444_800
	if v < 0 || v/(1e9/unit) < from || v/(1e9/unit) >= to {
		return st, false
	}
	r.i = n
	st = Stamp{Time: v * unit, Date: true, Clock: true, Year: true, Epoch: true, Fine: n > 10}
	if n == 10 && r.at(0) == '.' && isDigit(r.at(1)) {
		r.fraction()
		st.Time, st.Fine = st.Time+int64(r.nsec), true
	}
	if r.i < len(r.s) && (isAlnum(r.s[r.i]) || r.s[r.i] == '.' || r.s[r.i] == '-') {
		return Stamp{}, false
	}
	st.Len = r.i
	return st, true
}

// date reads the part before the time of day. It returns false when there is
// neither a date nor a time of day.
func (r *reader) date() bool {
	r.weekday()
	c := r.at(0)
	if isLetter(c) {
		if m, n := monthName(r.s[r.i:]); n > 0 {
			r.month, r.i = m, r.i+n
			return r.afterMonth()
		}
		return r.glog()
	}
	if !isDigit(c) {
		return false
	}
	switch n := r.digitsAt(0); n {
	case 1, 2:
		return r.shortDate(n)
	case 4:
		return r.longDate()
	case 6:
		return r.compact(2)
	case 8, 14:
		return r.compact(4)
	}
	return false
}

// weekday skips "Mon, ", "Monday ".
func (r *reader) weekday() {
	n := 0
	for isLetter(r.at(n)) && n < 10 {
		n++
	}
	if n < 3 || !isDay(r.s[r.i:r.i+n]) {
		return
	}
	k := n
	if r.at(k) == ',' {
		k++
	}
	if !isBlank(r.at(k)) {
		return
	}
	for isBlank(r.at(k)) {
		k++
	}
	r.i += k
}

func isDay(w string) bool {
	if len(w) < 3 {
		return false
	}
	switch strings.ToLower(w[:3]) {
	case "mon", "tue", "wed", "thu", "fri", "sat", "sun":
	default:
		return false
	}
	if len(w) == 3 {
		return true
	}
	switch strings.ToLower(w) {
	case "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday":
		return true
	}
	return false
}

// monthName reads a month's name, short or whole.
func monthName(s string) (month, n int) {
	for n < len(s) && n < 10 && isLetter(s[n]) {
		n++
	}
	if n < 3 {
		return 0, 0
	}
	const names = "january february march april may june july august september october november december"
	low := strings.ToLower(s[:n])
	k := 0
	for name := range strings.SplitSeq(names, " ") {
		k++
		if low == name || low == name[:3] {
			return k, n
		}
	}
	if low == "sept" {
		return 9, n
	}
	return 0, 0
}

// afterMonth reads " 2", " 02, 2026" behind a month's name.
func (r *reader) afterMonth() bool {
	for isBlank(r.at(0)) || r.at(0) == '-' && isDigit(r.at(1)) || r.at(0) == '/' && isDigit(r.at(1)) {
		r.i++
	}
	n := r.digitsAt(0)
	if n < 1 || n > 2 {
		return false
	}
	r.day, r.dated, r.needClock = r.number(n), true, true
	k := 0
	if r.at(0) == ',' {
		k++
	}
	for isBlank(r.at(k)) || r.at(k) == '-' || r.at(k) == '/' {
		k++
	}
	if k > 0 && r.digitsAt(k) == 4 && r.at(k+4) != ':' {
		r.i += k
		r.year = r.number(4)
	}
	return true
}

// glog reads "E0102 " of glog and klog.
func (r *reader) glog() bool {
	switch r.at(0) {
	case 'I', 'W', 'E', 'F', 'D', 'C':
	default:
		return false
	}
	n := 0
	for isDigit(r.at(1 + n)) {
		n++
	}
	if n != 4 && n != 8 || !isBlank(r.at(1+n)) || r.digitsAt(2+n) != 2 || r.at(4+n) != ':' {
		return false
	}
	r.level = r.s[r.i]
	r.i++
	if n == 8 {
		r.year = r.number(4)
	}
	r.month, r.day = r.number(2), r.number(2)
	r.dated, r.needClock = true, true
	return true
}

// longDate reads 2026-11-24, 2026/11/24, 2026.11.24 and 2026-Nov-24.
func (r *reader) longDate() bool {
	sep := r.at(4)
	if sep != '-' && sep != '/' && sep != '.' {
		return false
	}
	n := r.digitsAt(5)
	if n == 0 {
		m, k := monthName(r.s[r.i+5:])
		if k == 0 || r.at(5+k) != sep || r.digitsAt(6+k) == 0 {
			return false
		}
		r.year = r.number(4)
		r.month, r.i = m, r.i+k+2
		r.day = r.number(min(2, r.digitsAt(0)))
		r.dated = true
		return true
	}
	if n > 2 || r.at(5+n) != sep {
		return false
	}
	d := r.digitsAt(6 + n)
	if d < 1 || d > 2 {
		return false
	}
	r.year = r.number(4)
	r.i++
	r.month = r.number(n)
	r.i++
	r.day = r.number(d)
	r.dated = true
	return true
}

// compact reads 20261124, 261124 and 20261124150405. Six digits need a time of
// day behind a blank.
func (r *reader) compact(yearDigits int) bool {
	all := r.digitsAt(0)
	y := r.number(yearDigits)
	r.month, r.day = r.number(2), r.number(2)
	if r.month < 1 || r.month > 12 || r.day < 1 || r.day > 31 {
		return false
	}
	if yearDigits == 2 {
		y += 2000
		if !isBlank(r.at(0)) {
			return false
		}
	}
	if y < 1970 || y > 2100 {
		return false
	}
	r.year, r.dated, r.needClock = y, true, true
	r.joined = all == 14
	return true
}

// shortDate reads dates that begin with one or two digits, and times of day
// without a date.
func (r *reader) shortDate(n int) bool {
	sep := r.at(n)
	switch {
	case sep == ':' && r.digitsAt(n+1) == 2:
		return true // a time of day
	case sep == ' ' || sep == '-' || sep == '/' || sep == '.':
	default:
		return false
	}
	if m, k := monthName(r.s[r.i+n+1:]); k > 0 {
		return r.dayMonth(n, m, k)
	}
	d := r.digitsAt(n + 1)
	if sep == ' ' || d < 1 || d > 2 {
		return false
	}
	a := r.number(n)
	r.i++
	b := r.number(d)
	r.dated, r.needClock = true, true
	if y := r.digitsAt(1); r.at(0) == sep && (y == 2 || y == 4) {
		r.i++
		c := r.number(y)
		return r.order3(a, b, c, y, sep)
	}
	if n != 2 || d != 2 || !isBlank(r.at(0)) {
		return false
	}
	r.month, r.day = a, b
	if a > 12 && b <= 12 {
		r.month, r.day = b, a
	}
	return true
}

// dayMonth reads 24/Nov/2026, 24-Nov-26 and 24 Nov 2026.
func (r *reader) dayMonth(n, month, k int) bool {
	sep := r.at(n)
	y := r.digitsAt(n + 2 + k)
	if r.at(n+1+k) != sep || y != 4 && y != 2 {
		if sep != ' ' || y != 0 && r.at(n+1+k) != ' ' {
			return false
		}
		y = 0
	}
	if y == 2 && r.at(n+4+k) == ':' { // "24 Nov 15:04:05"
		y = 0
	}
	r.day = r.number(n)
	r.month, r.i = month, r.i+1+k
	if y > 0 {
		r.i++
		r.year = r.number(y)
		if y == 2 {
			r.year += 2000
		}
	}
	r.dated, r.needClock = true, true
	return true
}

// order3 decides what three numbers mean; the last has y digits.
func (r *reader) order3(a, b, c, y int, sep byte) bool {
	order := r.order
	if y == 2 && order != OrderDayFirst && order != OrderMonthFirst {
		order = OrderYearFirst
	}
	if order == OrderYearFirst && y == 4 || order == OrderUnknown {
		order = OrderDayFirst
		if sep == '/' {
			order = OrderMonthFirst
		}
	}
	if y == 2 && order != OrderYearFirst {
		c += 2000
	}
	switch order {
	case OrderYearFirst:
		r.year, r.month, r.day = a+2000, b, c
		if b > 12 && c <= 12 { // no such month: the day comes first
			r.year, r.month, r.day, r.second = c+2000, a, b, true
		}
	case OrderMonthFirst:
		r.month, r.day, r.year = a, b, c
	default:
		r.day, r.month, r.year = a, b, c
	}
	if r.month > 12 && r.day <= 12 {
		r.month, r.day, r.second = r.day, r.month, true
	}
	return true
}
