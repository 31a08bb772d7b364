package logread

import "strings"

const (
	most      = 0.95 // share of lines that makes a column one of the header
	nearly    = 0.90
	levelFar  = 4 // columns behind the stamp in which the level may stand
	fewValues = 0.95
)

// layout says how the lines of a stream begin. The zero layout has no header.
type layout struct {
	columns  []column
	stamp    int // index of the column with the time stamp, -1 without
	splitter splitter
}

// column is one field of the header.
type column struct {
	kind  kind
	role  role
	loose bool // stays in the body where a line has something else here
}

// role is what a column's text becomes.
type role uint8

const (
	roleNone      role = iota // kept in log.header
	roleTime                  // the record's time
	roleLevel                 // severity
	roleHost                  // host.name
	roleComponent             // log.logger, or syslog.appname[procid]
	roleGroup                 // log.context: thread, request
	roleDrop                  // says nothing: dashes, a second time stamp
)

// table counts the fields of the sample by column.
type table struct {
	rows  [][]field
	lines []string
	n     float64
}

func (t *table) share(col int, is func(f *field) bool) float64 {
	n := 0
	for _, row := range t.rows {
		if col < len(row) && is(&row[col]) {
			n++
		}
	}
	return float64(n) / max(t.n, 1)
}

func (t *table) kind(col int, k kind) float64 {
	return t.share(col, func(f *field) bool { return f.kind == k })
}

// share2 is the share of lines with kind a in a column and b in the next.
func (t *table) share2(col int, a, b kind) float64 {
	n := 0
	for _, row := range t.rows {
		if col+1 < len(row) && row[col].kind == a && row[col+1].kind == b {
			n++
		}
	}
	return float64(n) / max(t.n, 1)
}

// padded is the share of lines in which more than one blank follows a column:
// it is one of a table.
func (t *table) padded(col int) float64 {
	n := 0
	for i, row := range t.rows {
		if end := 0; col < len(row) {
			end = row[col].next
			if line := t.lines[i]; end+1 < len(line) && (line[end] == '\t' || isBlank(line[end]) && isBlank(line[end+1])) {
				n++
			}
		}
	}
	return float64(n) / max(t.n, 1)
}

// same is the share of the most frequent text of a column.
func (t *table) same(col int) float64 {
	seen := map[string]int{}
	top := 0
	for i, row := range t.rows {
		if col < len(row) {
			w := t.lines[i][row[col].start:row[col].end]
			seen[w]++
			top = max(top, seen[w])
		}
	}
	return float64(top) / max(t.n, 1)
}

// learn finds the header of the sample's lines.
func learn(lines []string, clock Clock, ref int64) layout {
	l := layout{stamp: -1, splitter: splitter{clock: clock, ref: ref}}
	l.splitter.pipe = piped(lines)
	l.splitter.clock.Order = dateOrder(lines, l.splitter)
	t := l.split(lines)
	at, count := firstStamp(t)
	if !enoughStamps(t, lines, at, count) {
		return l.unstamped(t)
	}
	stamped := table{}
	for i, row := range t.rows {
		if at < len(row) && row[at].kind == kindStamp {
			stamped.rows, stamped.lines = append(stamped.rows, row), append(stamped.lines, t.lines[i])
		}
	}
	stamped.n = float64(len(stamped.rows))
	l.walk(&stamped, at)
	l.extend(&stamped)
	return l
}

// piped reports whether the columns are parted by '|': nearly all lines have
// two of them before their first blank.
func piped(lines []string) bool {
	n, all := 0, 0
	for _, line := range lines {
		if line == "" {
			continue
		}
		all++
		head, rest, _ := strings.Cut(line, "|")
		if len(head) < 64 && strings.Contains(rest[:min(len(rest), 80)], "|") && (!strings.Contains(head, " ") || isDigit(line[0])) {
			n++
		}
	}
	return all > 0 && float64(n) >= most*float64(all)
}

// dateOrder looks for a date that can only mean the less usual order.
func dateOrder(lines []string, p splitter) DateOrder {
	for _, line := range lines {
		i := 0
		for range 4 {
			f, ok := p.next(line, i)
			if !ok {
				break
			}
			if f.kind == kindStamp && f.stamp.Second {
				if strings.Contains(line[f.start:f.end], "/") && f.stamp.Year && isDigit(line[f.start]) && !twoDigitYear(line[f.start:f.end]) {
					return OrderDayFirst
				}
				return otherOrder(line[f.start:f.end])
			}
			i = f.next
		}
	}
	return OrderUnknown
}

func twoDigitYear(s string) bool {
	return len(s) > 8 && (s[2] == '/' || s[2] == '.' || s[2] == '-') && s[5] == s[2] && !isDigit(s[8])
}

func otherOrder(s string) DateOrder {
	if twoDigitYear(s) && s[2] == '.' {
		return OrderDayFirst
	}
	return OrderMonthFirst
}

// split cuts the beginnings of the lines that do not look like continuations.
func (l *layout) split(lines []string) *table {
	t := &table{}
	for _, line := range lines {
		if strings.TrimSpace(line) == "" || continues(line) {
			continue
		}
		var row []field
		for i := 0; len(row) < maxFields; {
			f, ok := l.splitter.next(line, i)
			if !ok {
				break
			}
			row = append(row, f)
			i = f.next
		}
		t.rows, t.lines = append(t.rows, row), append(t.lines, line)
	}
	t.n = float64(len(t.rows))
	return t
}

// firstStamp returns the column in which most lines have their first time
// stamp with a time of day, and how many have.
func firstStamp(t *table) (col, count int) {
	var n [maxFields]int
	for _, row := range t.rows {
		for k := range row {
			if row[k].kind == kindStamp && row[k].stamp.Clock {
				n[k]++
				break
			}
		}
	}
	for k := range n {
		if n[k] > count {
			col, count = k, n[k]
		}
	}
	return col, count
}

// enoughStamps reports whether so many lines have a time stamp in the column
// that the others are strays or parts of longer records.
func enoughStamps(t *table, lines []string, at, count int) bool {
	if count == 0 || at > 8 {
		return false
	}
	if float64(count) >= 0.5*t.n {
		return true
	}
	return count >= 2 && at <= 3 && float64(len(lines)-len(t.rows)) >= 0.5*float64(len(lines))
}

// walk takes the columns from the left up to the last that is a time stamp, a
// number or a dash in nearly all lines; a column of prose ends it.
func (l *layout) walk(t *table, at int) {
	end := at + 1
	for k := at + 1; k < 10; k++ {
		if t.kind(k, kindWord) > 0.5 {
			break
		}
		fixed := t.share(k, func(f *field) bool {
			return f.kind == kindStamp || f.kind == kindNumber || f.kind == kindDash
		})
		if fixed >= most {
			end = k + 1
		}
	}
	for k := range end {
		l.add(t, k, false)
	}
	l.chooseStamp(t, at)
}

// add makes column k a part of the header, as what most lines have there.
func (l *layout) add(t *table, k int, loose bool) *column {
	best, top := kindWord, -1.0
	for c := range kinds {
		if s := t.kind(k, c); s > top {
			best, top = c, s
		}
	}
	c := column{kind: best, loose: loose}
	switch best {
	case kindDash:
		c.role = roleDrop
	case kindLevel:
		c.role = roleLevel
	case kindStamp:
		c.role = roleDrop
	}
	l.columns = append(l.columns, c)
	return &l.columns[len(l.columns)-1]
}

// chooseStamp takes the finest of the time stamps in the header.
func (l *layout) chooseStamp(t *table, at int) {
	l.stamp = at
	for k := range l.columns {
		if k != at && l.columns[k].kind == kindStamp && t.share(k, func(f *field) bool { return f.stamp.Fine && f.stamp.Date && f.stamp.Clock }) > 0.5 &&
			t.share(l.stamp, func(f *field) bool { return f.stamp.Fine }) < 0.5 {
			l.stamp = k
		}
	}
	l.columns[l.stamp].role = roleTime
}

// extend takes what often follows: a level, dashes, groups, host and component.
func (l *layout) extend(t *table) {
	hasLevel := false
	for _, c := range l.columns {
		hasLevel = hasLevel || c.role == roleLevel
	}
	if !hasLevel {
		l.findLevel(t)
	}
	l.marks(t)
	l.component(t)
	l.marks(t)
}

// findLevel takes the columns up to a level that stands near.
func (l *layout) findLevel(t *table) {
	for k := len(l.columns); k < len(l.columns)+levelFar; k++ {
		if t.kind(k, kindLevel) >= nearly {
			for j := len(l.columns); j <= k; j++ {
				l.name(t, j, l.add(t, j, false))
			}
			return
		}
		if t.kind(k, kindWord) > 0.5 && t.same(k) < fewValues {
			return
		}
	}
}

// name gives a column between stamp and level its role.
func (l *layout) name(t *table, k int, c *column) {
	switch {
	case c.kind == kindTag || t.share(k, func(f *field) bool { return f.dotted }) > 0.5:
		c.role = roleComponent
	case c.kind == kindGroup:
		c.role = roleGroup
	case (c.kind == kindName || c.kind == kindWord) && t.same(k) >= 0.5 && !l.has(roleHost):
		c.role = roleHost
	}
}

func (l *layout) has(r role) bool {
	for _, c := range l.columns {
		if c.role == r {
			return true
		}
	}
	return false
}

// marks takes dashes and groups in brackets, and numbers that lead to them.
func (l *layout) marks(t *table) {
	for k := len(l.columns); k < maxFields; k++ {
		switch {
		case t.kind(k, kindDash) >= nearly:
			l.add(t, k, true)
		case t.kind(k, kindGroup) >= nearly:
			l.add(t, k, true).role = roleGroup
		case t.kind(k, kindLevel) >= nearly && (!l.has(roleLevel) || t.kind(k+1, kindDash) >= nearly):
			l.add(t, k, true)
		case t.kind(k, kindNumber) >= 0.1 && t.kind(k, kindDash)+t.share2(k, kindNumber, kindDash) >= nearly:
			c := l.add(t, k, true) // a number that only some lines have before the dash
			c.kind, c.role = kindNumber, roleNone
			c = l.add(t, k, true)
			c.kind, c.role = kindDash, roleDrop
			return
		case t.kind(k, kindNumber) >= most && t.kind(k+1, kindDash)+t.kind(k+1, kindGroup) >= nearly && l.has(roleLevel):
			l.add(t, k, false)
		default:
			return
		}
	}
}

// component takes the name of what speaks: "host app[12]:", "pkg.Class:" or a
// dotted name.
func (l *layout) component(t *table) {
	k := len(l.columns)
	tag := func(col int) float64 { return t.kind(col, kindTag) }
	dotted := func(col int) float64 { return t.share(col, func(f *field) bool { return f.dotted }) }
	switch {
	case tag(k) >= nearly:
		l.add(t, k, true).role = roleComponent
	case tag(k) < 0.3 && tag(k+1) >= 0.7 && (t.kind(k, kindName) >= nearly || t.same(k) >= fewValues) && k > 0 && l.columns[k-1].kind == kindStamp:
		c := l.add(t, k, false)
		c.role = roleHost
		c = l.add(t, k+1, true)
		c.kind, c.role = kindTag, roleComponent
	case l.has(roleLevel) && t.kind(k, kindWord) < 0.5 && t.padded(k) >= nearly:
		l.add(t, k, false).role = roleComponent
	case tag(k)+dotted(k) >= nearly:
		c := l.add(t, k, true)
		c.kind, c.role = kindName, roleComponent
		if tag(k+1) >= nearly { // "logger method:"
			l.add(t, k+1, true)
		}
	}
}

// unstamped is the header of lines without time stamps: a level at the
// beginning, if nearly all have one.
func (l layout) unstamped(t *table) layout {
	for k := range 2 {
		if t.n > 0 && t.kind(k, kindLevel) >= nearly && (k == 0 || t.kind(0, kindWord) < 0.5) {
			for j := range k + 1 {
				l.add(t, j, false)
			}
			l.marks(t)
			l.component(t)
			l.marks(t)
			return l
		}
	}
	return l
}
