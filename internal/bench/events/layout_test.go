package events

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// long writes 100 minutes from 2023-11-14 22:00 with a header, by the given
// forms of time and of the other cells.
func long(header string, row func(i int) string) string {
	var b strings.Builder
	b.WriteString(header + "\n")
	for i := range 100 {
		b.WriteString(row(i) + "\n")
	}
	return b.String()
}

func clockOf(i int) string {
	return fmt.Sprintf("2023-11-%02d %02d:%02d", 14+(22+i/60)/24, (22+i/60)%24, i%60)
}

// Folders as people have them, each with one event in rows 10 to 12.
func TestFoldersAsPeopleHaveThem(t *testing.T) {
	plain := long("timestamp,value", func(i int) string { return fmt.Sprintf("%s:00,%d", clockOf(i), i) })
	from, to := clockOf(10)+":00", clockOf(12)+":00"
	window := fmt.Sprintf(`["%s","%s"]`, from, to)
	own := func(mark, calm string) func(i int) string {
		return func(i int) string {
			if i >= 10 && i <= 12 {
				return fmt.Sprintf("%s:00,%d,%s", clockOf(i), i, mark)
			}
			return fmt.Sprintf("%s:00,%d,%s", clockOf(i), i, calm)
		}
	}
	at := func(form string) string {
		return long("timestamp,value", func(i int) string {
			day, clock, _ := strings.Cut(clockOf(i), " ")
			part := strings.Split(day, "-")
			return strings.NewReplacer("Y", part[0], "M", part[1], "D", part[2], "c", clock+":00").Replace(form) + fmt.Sprintf(",%d", i)
		})
	}
	for name, files := range map[string]map[string]string{
		"month/day/year":              {"a.csv": at("M/D/Y c"), "labels.json": `{"a":[` + window + `]}`},
		"day.month.year":              {"a.csv": at("D.M.Y c"), "labels.json": `{"a":[` + window + `]}`},
		"UTC behind":                  {"a.csv": at("Y-M-D c UTC"), "labels.json": `{"a":[` + window + `]}`},
		"offset behind a blank":       {"a.csv": at("Y-M-D c +00:00"), "labels.json": `{"a":[` + window + `]}`},
		"offset without a colon":      {"a.csv": at("Y-M-DTc+0000"), "labels.json": `{"a":[` + window + `]}`},
		"words as labels":             {"a.csv": long("timestamp,value,Label", own("anomaly", "normal"))},
		"truth values as labels":      {"a.csv": long("timestamp,value,Is Anomaly", own("True", "False"))},
		"absolute path":               {"a.csv": plain, "labels.json": `{"/srv/set/a.csv":[` + window + `]}`},
		"other case":                  {"a.csv": plain, "labels.json": `{"A.CSV":[` + window + `]}`},
		"windows under a key":         {"a.csv": plain, "labels.json": `{"a.csv":{"anomaly_windows":[` + window + `]}}`},
		"only file, list of windows":  {"a.csv": plain, "labels.json": `[` + window + `]`},
		"only file, key":              {"a.csv": plain, "labels.json": `{"windows":[` + window + `]}`},
		"only file, table":            {"a.csv": plain, "labels.csv": "start,end\n" + from + "," + to + "\n"},
		"only file, no header":        {"a.csv": plain, "labels.csv": from + "," + to + "\n"},
		"a label for every row":       {"a.csv": plain, "labels.csv": long("timestamp,label", func(i int) string { return fmt.Sprintf("%s:00,%t", clockOf(i), i >= 10 && i <= 12) })},
		"a file of labels a file":     {"a.csv": plain, "b.csv": plain, "a_labels.csv": "start,end\n" + from + "," + to + "\n"},
		"the same as JSON":            {"a.csv": plain, "b.csv": plain, "a.labels.json": `[` + window + `]`},
		"the same in a folder":        {"a.csv": plain, "b.csv": plain, "labels/a.csv": "start,end\n" + from + "," + to + "\n"},
		"labels with another name":    {"a.csv": plain, "my_labels.json": `{"a.csv":[` + window + `]}`},
		"labels in ground_truth":      {"a.csv": plain, "ground_truth/labels.json": `{"a.csv":[` + window + `]}`},
		"numbers of rows":             {"a.csv": plain, "labels.json": `{"a.csv":[[10,12]]}`},
		"no times":                    {"a.csv": long("value", func(i int) string { return fmt.Sprint(i) }), "labels.json": `{"a.csv":[[10,12]]}`},
		"bars":                        {"a.csv": strings.ReplaceAll(plain, ",", "|"), "labels.json": `{"a.csv":[` + window + `]}`},
		"date and time apart":         {"a.csv": long("date,time,value", func(i int) string { return strings.Replace(clockOf(i), " ", ",", 1) + fmt.Sprintf(":00,%d", i) }), "labels.json": `{"a.csv":[` + window + `]}`},
		"a column that counts rows":   {"a.csv": long("index,timestamp,value", func(i int) string { return fmt.Sprintf("%d,%s:00,%d", i, clockOf(i), i) }), "labels.json": `{"a.csv":[` + window + `]}`},
		"thousands and parts of 100":  {"a.csv": long("timestamp,value", func(i int) string { return fmt.Sprintf(`%s:00,"%d,000.5%%"`, clockOf(i), i+1) }), "labels.json": `{"a.csv":[` + window + `]}`},
		"a name like a label's":       {"login_events.csv": plain, "labels.json": `{"login_events.csv":[` + window + `]}`},
		"such a name, labels in it":   {"login_events.csv": long("timestamp,value,label", own("1", "0"))},
		"a path with folders, nested": {"x/y/a.csv": plain, "x/z/a.csv": plain, "labels.json": `{"x/y/a.csv":[` + window + `]}`},
	} {
		dir := t.TempDir()
		for file, text := range files {
			put(t, dir, file, text)
		}
		var r Refused
		s, err := LoadFolder(dir, "", &r)
		if err != nil || !reflect.DeepEqual(r, Refused{}) {
			t.Errorf("%s: %v, %+v", name, err, r)
			continue
		}
		f := s.Files[0]
		if len(f.T) != 100 || len(f.V) != 1 || !reflect.DeepEqual(f.Events, [][2]int{{10, 12}}) {
			t.Errorf("%s: %d rows, columns %v, events %v", name, len(f.T), f.Columns, f.Events)
		}
	}
}

// A column of words is named and left out; it does not thin out false alarms.
func TestColumnsOfWordsAreLeftOut(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "a.csv", long("timestamp,state,value,empty,label", func(i int) string {
		v := fmt.Sprint(i)
		if i%50 == 7 {
			v = "broken"
		}
		return fmt.Sprintf("%s:00,on,%s,,%d", clockOf(i), v, i/90)
	}))
	var r Refused
	s, err := LoadFolder(dir, "", &r)
	if err != nil || len(s.Files) != 1 || !reflect.DeepEqual(s.Files[0].Columns, []string{"value"}) {
		t.Fatalf("%v %+v", err, s)
	}
	said := strings.Join(r.Examples, "\n")
	if r.Columns != 2 || !strings.Contains(said, `"state"`) || !strings.Contains(said, `a.csv:9: cannot read "broken"`) {
		t.Errorf("%+v", r)
	}
}
