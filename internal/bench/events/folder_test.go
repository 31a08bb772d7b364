package events

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func put(t *testing.T, dir, name, text string) {
	t.Helper()
	p := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		t.Fatal(err)
	}
	b := []byte(text)
	if strings.HasSuffix(name, ".gz") {
		var z bytes.Buffer
		w := gzip.NewWriter(&z)
		w.Write(b)
		w.Close()
		b = z.Bytes()
	}
	if err := os.WriteFile(p, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// series writes n minutes from 2020-01-01 in the given form of time.
func seriesText(header string, n int, at func(i int) string) string {
	var b strings.Builder
	b.WriteString(header)
	for i := range n {
		fmt.Fprintf(&b, "%s,%d\n", at(i), i)
	}
	return b.String()
}

const day0 = 1577836800 // 2020-01-01 00:00:00

func iso(i int) string { return fmt.Sprintf("2020-01-01 %02d:%02d:00", i/60, i%60) }

func TestAllFormsOfTimeAreTheSameTime(t *testing.T) {
	forms := map[string]func(i int) string{
		"iso":      iso,
		"T":        func(i int) string { return strings.Replace(iso(i), " ", "T", 1) },
		"zulu":     func(i int) string { return strings.Replace(iso(i), " ", "T", 1) + "Z" },
		"offset":   func(i int) string { return strings.Replace(iso(i+60), " ", "T", 1) + "+01:00" },
		"fraction": func(i int) string { return iso(i) + ".000000" },
		"minutes":  func(i int) string { return iso(i)[:16] },
		"s":        func(i int) string { return fmt.Sprint(day0 + 60*i) },
		"s.0":      func(i int) string { return fmt.Sprintf("%d.0", day0+60*i) },
		"ms":       func(i int) string { return fmt.Sprint((day0 + 60*i) * 1000) },
		"us":       func(i int) string { return fmt.Sprint((day0 + 60*i) * 1000_000) },
		"ns":       func(i int) string { return fmt.Sprint((day0 + 60*i) * 1000_000_000) },
		"exponent": func(i int) string { return fmt.Sprintf("%.8e", float64(day0+60*i)) },
		"quoted":   func(i int) string { return `"` + iso(i) + `"` },
	}
	dir := t.TempDir()
	labels := map[string][][2]any{}
	for name, at := range forms {
		put(t, dir, name+".csv", seriesText("timestamp,value\n", 100, at))
		labels[name+".csv"] = [][2]any{{"2020-01-01 00:10:00.000000", day0 + 60*12}}
	}
	text, _ := json.Marshal(labels)
	put(t, dir, "labels.json", string(text))
	var r Refused
	s, err := LoadFolder(dir, "", &r)
	if err != nil || !reflect.DeepEqual(r, Refused{}) {
		t.Fatalf("%v, %+v", err, r)
	}
	for _, f := range s.Files {
		if f.T[0] != day0*1000 || f.T[99] != (day0+99*60)*1000 || !reflect.DeepEqual(f.Events, [][2]int{{10, 12}}) {
			t.Errorf("%s: begins %d, events %v", f.Name, f.T[0], f.Events)
		}
	}
}

func TestFormsOfLabels(t *testing.T) {
	window := func(from, to int) string { return fmt.Sprintf(`["%s","%s"]`, iso(from), iso(to)) }
	for name, c := range map[string]struct{ file, text string }{
		"combined windows":         {"labels/combined_windows.json", `{"sub/a.csv":[` + window(10, 12) + `]}`},
		"by base name":             {"labels.json", `{"a":[` + window(10, 12) + `]}`},
		"with data/":               {"labels.json", `{"data/sub/a.csv":[` + window(10, 12) + `]}`},
		"objects":                  {"labels.json", `{"a.csv":{"windows":[{"start":"` + iso(10) + `","end":"` + iso(12) + `"}]}}`},
		"a list":                   {"windows.json", `[{"file":"sub/a.csv","start":` + fmt.Sprint(day0+600) + `,"end":` + fmt.Sprint(day0+720) + `}]`},
		"a list in ms":             {"windows.json", `[{"file":"sub/a.csv","start":` + fmt.Sprint((day0+600)*1000) + `,"end":` + fmt.Sprint((day0+720)*1000) + `}]`},
		"points":                   {"combined_labels.json", `{"a.csv":["` + iso(10) + `",` + fmt.Sprint(day0+660) + `,"` + iso(12) + `"]}`},
		"csv":                      {"labels.csv", "file,start,end\nsub/a.csv," + iso(10) + "," + iso(12) + "\n"},
		"csv, other order":         {"labels.csv", "start;end;file\n" + iso(10) + ";" + iso(12) + ";a.csv\n"},
		"csv without header":       {"labels.csv", "a.csv," + iso(10) + "," + iso(12) + "\n"},
		"csv, points":              {"labels.csv", "file,timestamp\na.csv," + iso(10) + "\na.csv," + iso(11) + "\na.csv," + iso(12) + "\n"},
		"overlapping windows":      {"labels.csv", "file,start,end\na," + iso(10) + "," + iso(11) + "\na," + iso(11) + "," + iso(12) + "\n"},
		"ends between rows":        {"labels.csv", "file,start,end\na,2020-01-01 00:09:30,2020-01-01 00:12:59\n"},
		"byte order mark and CRLF": {"labels.csv", "\ufefffile,start,end\r\na.csv," + iso(10) + "," + iso(12) + "\r\n"},
	} {
		dir := t.TempDir()
		put(t, dir, "data/sub/a.csv.gz", seriesText("timestamp,value\n", 100, iso))
		put(t, dir, c.file, c.text)
		var r Refused
		s, err := LoadFolder(dir, "", &r)
		if err != nil || len(s.Files) != 1 || r.Labels != 0 {
			t.Errorf("%s: %v, %+v", name, err, r)
			continue
		}
		got := s.Files[0].Events
		if first, last := got[0][0], got[len(got)-1][1]; first != 10 || last != 12 {
			t.Errorf("%s: events %v", name, got)
		}
	}
}

// A benchmark's other tables, as of published results, are no series.
func TestOnlyTheDataFolderIsReadWhereThereIsOne(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "data/a.csv", seriesText("timestamp,value\n", 50, iso))
	put(t, dir, "published/b.csv", "file,timestamp,score\na.csv,1,2\n")
	put(t, dir, "labels/combined_windows.json", `{"a.csv":[["2020-01-01 00:10:00","2020-01-01 00:12:00"]]}`)
	var r Refused
	s, err := LoadFolder(dir, "", &r)
	if err != nil || len(s.Files) != 1 || !reflect.DeepEqual(r, Refused{}) {
		t.Errorf("%v, %d files, %+v", err, len(s.Files), r)
	}
}

func TestColumnsOfLabelsAndOfValues(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "kpi.csv", "KPI ID,timestamp,value,label\nx,60,1.5,0\nx,120,2.5,1\nx,180,3,1\nx,240,3,0\n")
	put(t, dir, "wide.csv", "time;cpu;mem;is_anomaly;changepoint\n60;1,5;7;0;0\n120;2;;1;1\n180;nan;9;0;0\n")
	put(t, dir, "bare.csv", "60,1\n120,2\n180,3\n")
	var r Refused
	s, err := LoadFolder(dir, "", &r)
	if err != nil || len(s.Files) != 3 {
		t.Fatalf("%v, %+v", err, s)
	}
	bareFile, kpi, wide := s.Files[0], s.Files[1], s.Files[2]
	if len(bareFile.T) != 3 || bareFile.Columns[0] != "value" {
		t.Errorf("without a header: %+v", bareFile)
	}
	if !reflect.DeepEqual(kpi.Events, [][2]int{{1, 2}}) || kpi.T[0] != 60_000 {
		t.Errorf("%+v", kpi)
	}
	if !reflect.DeepEqual(wide.Columns, []string{"cpu", "mem"}) || wide.V[0][0] != 1.5 || wide.V[1][1] == wide.V[1][1] || !reflect.DeepEqual(wide.Events, [][2]int{{1, 1}}) {
		t.Errorf("%+v", wide)
	}
}

func TestLabelsOfOneColumn(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "a.csv", "timestamp,cpu,mem\n60,1,1\n120,2,2\n180,3,3\n240,3,3\n")
	put(t, dir, "labels.csv", "file,start,end,column\na.csv,120,180,cpu\na.csv,240,240,\na.csv,60,60,disk\n")
	var r Refused
	s, err := LoadFolder(dir, "", &r)
	if err != nil || len(s.Files) != 2 {
		t.Fatalf("%v %+v", err, s)
	}
	if !reflect.DeepEqual(s.Files[0].Events, [][2]int{{1, 2}, {3, 3}}) || !reflect.DeepEqual(s.Files[1].Events, [][2]int{{3, 3}}) {
		t.Errorf("%+v", s.Files)
	}
	if r.Labels != 1 || !strings.Contains(r.Examples[0], "disk") {
		t.Errorf("%+v", r)
	}
}

// Whatever is wrong is named and counted, and the good rows count.
func TestBadRowsNeverStopARun(t *testing.T) {
	dir := t.TempDir()
	var b strings.Builder
	b.WriteString("\ufefftimestamp,value\r\n# a remark\r\n\r\n")
	for i := range 400 {
		switch i {
		case 100:
			b.WriteString("soon,1\r\n")
		case 110:
			b.WriteString(iso(i) + ",many\r\n")
		case 120:
			b.WriteString(iso(i) + "\r\n")
		case 130:
			b.WriteString(`"` + iso(i) + ",1\r\n") // a quote that never ends
		case 140:
			b.WriteString(iso(i) + ",\r\n") // a missing value
		case 150:
			b.WriteString(iso(i) + ",1e999\r\n")
		case 160:
			b.WriteString(iso(i) + ",7,8,9\r\n") // wider than the header
			continue
		case 170:
			b.WriteString(strings.Repeat("x", 2<<20) + "\r\n")
		case 180:
			b.WriteString("\x00\xff\xfe,\x00\r\n")
		default:
			fmt.Fprintf(&b, "%s,%d\r\n", iso(i), i)
		}
	}
	put(t, dir, "a.csv", b.String())
	put(t, dir, "empty.csv", "")
	put(t, dir, "head.csv", "timestamp,value\n")
	put(t, dir, "text.csv", "Dear Sir,\nthis is a letter\n")
	put(t, dir, "torn.csv.gz", "")
	whole, _ := os.ReadFile(filepath.Join(dir, "torn.csv.gz"))
	os.WriteFile(filepath.Join(dir, "torn.csv.gz"), whole[:len(whole)-4], 0o644)
	put(t, dir, "labels.csv", "file,start,end\na.csv,"+iso(200)+","+iso(210)+"\nnone.csv,1,2\na.csv,2031-01-01,2031-01-02\na.csv,"+iso(9)+","+iso(8)+"\na.csv\na.csv,soon,later\n")
	var r Refused
	s, err := LoadFolder(dir, "", &r)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Files) != 1 || len(s.Files[0].T) != 392 {
		t.Fatalf("%d files, %d rows, %+v", len(s.Files), len(s.Files[0].T), r)
	}
	if r.Rows != 9 || r.Labels != 5 || r.Files != 4 {
		t.Errorf("%+v", r)
	}
	all := strings.Join(r.Examples, "\n")
	for _, want := range []string{"a.csv:104: cannot read \"soon\" as a time", `"many"`, "none.csv", "empty.csv", "torn.csv.gz"} {
		if !strings.Contains(all, want) {
			t.Errorf("%s is not named in\n%s", want, all)
		}
	}
}

func TestRowsOutOfOrderArePutInOrder(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "a.csv", "timestamp,value,label\n300,5,0\n240,4,1\n180,3,0\n180,3.5,0\n60,1,0\n")
	var r Refused
	s, err := LoadFolder(dir, "", &r)
	if err != nil {
		t.Fatal(err)
	}
	f := s.Files[0]
	if !reflect.DeepEqual(f.V[0], []float64{1, 3, 3.5, 4, 5}) || f.T[2] != 180_001 || !reflect.DeepEqual(f.Events, [][2]int{{3, 3}}) {
		t.Errorf("%+v", f)
	}
	if r.OutOfOrder != 3 || r.Repeated != 1 {
		t.Errorf("%+v", r)
	}
}

func TestFoldersThatCannotBeScoredSayWhy(t *testing.T) {
	for name, c := range map[string]struct {
		fill func(dir string)
		says string
	}{
		"nothing":    {func(string) {}, "no CSV file"},
		"unlabelled": {func(d string) { put(t, d, "a.csv", "timestamp,value\n1,1\n2,2\n") }, "no labels"},
		"bad labels": {func(d string) { put(t, d, "a.csv", "1,1\n2,2\n"); put(t, d, "labels.json", "[{") }, "labels.json"},
		"not a map":  {func(d string) { put(t, d, "a.csv", "1,1\n2,2\n"); put(t, d, "labels.json", "7") }, "labels.json"},
		"only other": {func(d string) { put(t, d, "a.csv", "1,1\n2,2\n"); put(t, d, "labels.csv", "b.csv,1,2\n") }, "b.csv"},
	} {
		dir := t.TempDir()
		c.fill(dir)
		var r Refused
		if _, err := LoadFolder(dir, "", &r); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: error %v does not say %q", name, err, c.says)
		}
	}
	if _, err := LoadFolder(filepath.Join(t.TempDir(), "none"), "", &Refused{}); err == nil {
		t.Error("a folder that does not exist was read")
	}
}

func TestAFolderIsScoredFromEndToEnd(t *testing.T) {
	dir := t.TempDir()
	set := made("x", 2, 40)
	for i, f := range set.Files {
		var b strings.Builder
		b.WriteString("timestamp,value\n")
		for k := range f.T {
			fmt.Fprintf(&b, "%d,%g\n", f.T[k]/1000, f.V[0][k])
		}
		put(t, dir, fmt.Sprintf("f%d.csv", i), b.String())
	}
	put(t, dir, "labels.csv", fmt.Sprintf("f0,%d,%d\nf1,%d,%d\n", 1500*60, 1520*60, 1500*60, 1520*60))
	steps := 0
	norn := Detector{Name: "norn", Threshold: 4, New: ewmaZ}
	rep, err := RunFolders(context.Background(), []string{dir, dir}, "", norn, Options{Quick: true, Progress: func(done, total int) {
		if steps++; done != steps || total != 4 {
			t.Errorf("progress %d of %d at step %d", done, total, steps)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if len(rep.Sets) != 2 || rep.Sets[0].Name == rep.Sets[1].Name || rep.Rows[1].MeanF1 != rep.MeanF1 || len(rep.Files) != 4 || rep.Files[0].Found != 1 {
		t.Errorf("%+v", rep)
	}
	text, err := json.Marshal(rep)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{`"mean_f1"`, `"per_set"`, `"f1"`, `"precision"`, `"recall"`, `"false_alarms_per_10k"`, `"leave_one_set_out"`} {
		if !strings.Contains(string(text), key) {
			t.Errorf("no %s", key)
		}
	}
	var out bytes.Buffer
	if err := rep.Print(&out); err != nil || !strings.Contains(out.String(), "rolling_z") {
		t.Errorf("%v\n%s", err, out.String())
	}
}

// The public sets in small, in their own formats.
func TestThePublicFormats(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "nab/labels/combined_windows.json", `{"x/a.csv":[["2020-01-01 00:10:00.000000","2020-01-01 00:12:00.000000"]],"x/b.csv":[]}`)
	put(t, dir, "nab/data/x/a.csv", seriesText("timestamp,value\n", 100, iso))
	put(t, dir, "nab/data/x/b.csv", seriesText("timestamp,value\n", 50, iso))
	put(t, dir, "smap-msl/SMAP/P-1_train.csv.gz", "f0,f1\n1,0\n2,0\n3,0\n")
	put(t, dir, "smap-msl/SMAP/P-1_test.csv.gz", "f0,f1,label\n1,0,0\n2,0,1\n3,0,1\n")
	put(t, dir, "skab/data/valve1/0.csv", "datetime;Current;Volume Flow RateRMS;anomaly;changepoint\n2020-03-09 10:14:33;1;2;0;0\n2020-03-09 10:14:34;1;2;1;1\n")
	put(t, dir, "skab/data/anomaly-free/anomaly-free.csv", "datetime;Current;Volume Flow RateRMS\n2020-03-09 10:14:33;1;2\n")
	put(t, dir, "merlion-synthetic/horizontal_dip_anomaly.csv", "timestamp,horizontal,anomaly\n0,1.5,0\n300,1,1\n")
	put(t, dir, "merlion-synthetic/horizontal_trend_anomaly.csv", "timestamp,horizontal,anomaly\n0,1.5,0\n300,1,1\n")
	put(t, dir, "kpi/donut/a.csv", "timestamp,value,label\n1469376000,.5,0\n1469376300,.5,1\n")
	sets, missing, err := Load(dir)
	if err != nil || !reflect.DeepEqual(missing, []string{"msl"}) {
		t.Fatalf("%v, missing %v", err, missing)
	}
	want := map[string]string{"nab": "2 150 [[10 12]]", "smap": "1 6 [[4 5]]", "skab": "1 4 [[1 1]]", "merlion": "1 2 [[1 1]]", "kpi": "1 2 [[1 1]]", "merlion_trend": "1 2 [[1 1]]"}
	for _, s := range sets {
		if got := fmt.Sprint(len(s.Files), s.values(), s.Files[0].Events); got != want[s.Name] {
			t.Errorf("%s: %s, want %s", s.Name, got, want[s.Name])
		}
		if s.counts() == (s.Name == driftSet) {
			t.Errorf("%s is in the mean: %t", s.Name, s.counts())
		}
	}
	put(t, dir, "kpi/donut/a.csv", "timestamp,value,label\n1469376000,much,0\n")
	if _, _, err := Load(dir); err == nil || !strings.Contains(err.Error(), "much") || !strings.Contains(err.Error(), "kpi") {
		t.Errorf("a damaged public set: %v", err)
	}
	if _, _, err := Load(t.TempDir()); err == nil {
		t.Error("an empty folder was loaded")
	}
}

func FuzzLoose(f *testing.F) {
	for _, s := range []string{"timestamp,value\n1,2\n", "1;2\n", "\"", "a,b,label\n2020-01-01,1,1", "\xff\xfe", ",,,\n,,,"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p := filepath.Join(t.TempDir(), "a.csv")
		if err := os.WriteFile(p, []byte(s), 0o644); err != nil {
			t.Fatal(err)
		}
		var r Refused
		l, err := readLoose(p, &r)
		if err != nil {
			return
		}
		for i := range l.t {
			if i > 0 && l.t[i] <= l.t[i-1] {
				t.Fatalf("times do not rise: %v", l.t)
			}
		}
		for _, v := range l.v {
			if len(v) != len(l.t) {
				t.Fatalf("%d values at %d times", len(v), len(l.t))
			}
		}
	})
}
