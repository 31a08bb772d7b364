package logread

import (
	"encoding/csv"
	"slices"
	"strings"

	"github.com/norn-aiops/norn/internal/telemetry"
)

// readLogfmt reads key=value pairs parted by blanks, values perhaps quoted. ok
// is false when something else stands between them or there are fewer than two.
func readLogfmt(line string) (attrs []telemetry.Attr, ok bool) {
	for i := 0; i < len(line); {
		if isBlank(line[i]) {
			i++
			continue
		}
		j := i
		for j < len(line) && isKeyByte(line[j]) {
			j++
		}
		if j == i || j >= len(line) || line[j] != '=' || !isLetter(line[i]) && line[i] != '_' && line[i] != '@' {
			return nil, false
		}
		key := line[i:j]
		value, next := logfmtValue(line, j+1)
		attrs = append(attrs, telemetry.Attr{Key: key, Value: value})
		if i = next; i < len(line) && !isBlank(line[i]) {
			return nil, false
		}
	}
	return attrs, len(attrs) >= 2
}

func isKeyByte(c byte) bool {
	return isAlnum(c) || c == '_' || c == '.' || c == '-' || c == '@' || c == '/' || c == ':'
}

func logfmtValue(line string, i int) (value string, next int) {
	if i >= len(line) || line[i] != '"' {
		j := i
		for j < len(line) && !isBlank(line[j]) {
			j++
		}
		return line[i:j], j
	}
	var b strings.Builder
	for j := i + 1; j < len(line); j++ {
		switch c := line[j]; {
		case c == '"':
			return b.String(), j + 1
		case c == '\\' && j+1 < len(line):
			j++
			switch line[j] {
			case 'n':
				b.WriteByte('\n')
			case 't':
				b.WriteByte('\t')
			default:
				b.WriteByte(line[j])
			}
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), len(line)
}

// sheet is the head of a table: CSV with a header line, or W3C fields.
type sheet struct {
	comma rune // 0: blanks, as in W3C logs
	names []string
}

// csvSheet finds out whether lines are CSV with a header line: names without
// blanks around, none twice, at least one of them known from logs, and as many
// columns in nearly all lines.
func csvSheet(lines []string) (sheet, bool) {
	if len(lines) < 2 {
		return sheet{}, false
	}
	for _, comma := range []rune{',', ';', '\t', '|'} {
		s := sheet{comma: comma}
		names, ok := s.cells(lines[0])
		if !ok || len(names) < 3 || !s.head(names) {
			continue
		}
		same := 0
		for _, line := range lines[1:] {
			if cells, ok := s.cells(line); ok && len(cells) == len(names) {
				same++
			}
		}
		if float64(same) >= nearly*float64(len(lines)-1) {
			return s, true
		}
	}
	return sheet{}, false
}

func (s *sheet) head(names []string) bool {
	known := false
	for i, name := range names {
		name = strings.ToLower(strings.ReplaceAll(strings.TrimSpace(name), " ", "_"))
		if name == "" || len(name) > 64 || !isLetter(name[0]) && name[0] != '_' && name[0] != '@' || slices.Contains(s.names, name) {
			return false
		}
		for k := range len(name) {
			if !isKeyByte(name[k]) && name[k] != '(' && name[k] != ')' {
				return false
			}
		}
		switch name {
		case "time", "timestamp", "ts", "date", "datetime", "@timestamp", "_time", "level", "severity", "message", "msg", "content", "status":
			known = true
		}
		names[i] = name
		s.names = append(s.names, name)
	}
	return known
}

// cells cuts a line into its cells.
func (s *sheet) cells(line string) ([]string, bool) {
	if s.comma == 0 {
		sep := " "
		if strings.Contains(line, "\t") {
			sep = "\t"
		}
		return strings.Split(line, sep), true
	}
	r := csv.NewReader(strings.NewReader(line))
	r.Comma, r.LazyQuotes, r.FieldsPerRecord = s.comma, true, -1
	cells, err := r.Read()
	return cells, err == nil
}

// row gives a line's cells by name. Empty cells and "-" are left out; a date
// and a time of day in columns of their own become one.
func (s *sheet) row(line string) (attrs []telemetry.Attr, ok bool) {
	cells, ok := s.cells(line)
	if !ok || len(cells) != len(s.names) {
		return nil, false
	}
	date, clock := "", ""
	for i, v := range cells {
		switch name := s.names[i]; {
		case v == "" || v == "-":
		case name == "date":
			date = v
		case name == "time":
			clock = v
		default:
			attrs = append(attrs, telemetry.Attr{Key: rename(name, s.names), Value: v})
		}
	}
	if at := strings.TrimSpace(date + " " + clock); at != "" {
		attrs = append(attrs, telemetry.Attr{Key: "time", Value: at})
	}
	return attrs, true
}

// rename calls the column with the text "message" when none is called so.
func rename(name string, all []string) string {
	switch name {
	case "content", "text", "event", "description", "log_message":
		if !slices.Contains(all, "message") && !slices.Contains(all, "msg") && !slices.Contains(all, "body") {
			return "message"
		}
	case "datetime", "date_time", "logged_at", "created_at":
		if !slices.Contains(all, "time") && !slices.Contains(all, "timestamp") && !slices.Contains(all, "ts") {
			return "time"
		}
	}
	return name
}

// w3cFields reads the "#Fields:" line of IIS and CloudFront, and "#fields" of
// Zeek.
func w3cFields(line string) (s sheet, ok bool) {
	rest, ok := strings.CutPrefix(line, "#Fields:")
	if !ok {
		if rest, ok = strings.CutPrefix(line, "#fields"); !ok {
			return s, false
		}
	}
	s.names = strings.Fields(rest)
	return s, len(s.names) > 0
}

// readCRI reads a line as container runtimes write them: time, stream, F or P
// (a part, more follows), text.
func readCRI(line string, clock Clock, ref int64) (at int64, text string, part, ok bool) {
	st, ok := clock.Read(line, ref)
	if !ok || !st.Clock || !st.Year || st.Len >= len(line) {
		return 0, "", false, false
	}
	rest, _ := strings.CutPrefix(line[st.Len:], " ")
	stream, rest, _ := strings.Cut(rest, " ")
	if stream != "stdout" && stream != "stderr" {
		return 0, "", false, false
	}
	mark, text, _ := strings.Cut(rest, " ")
	if mark != "F" && mark != "P" {
		return 0, "", false, false
	}
	return st.Time, text, mark == "P", true
}
