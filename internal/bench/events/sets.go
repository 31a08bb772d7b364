package events

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/norn-aiops/norn/internal/bench/csvdata"
)

// File is one recording: rows with one or more columns that are labelled
// together.
type File struct {
	Name    string
	T       []int64     // Unix ms, strictly rising
	Columns []string    // names of the columns
	V       [][]float64 // by column, then row; NaN is a missing value
	Events  [][2]int    // first and last row, rising, apart from each other
	From    int         // rows before it teach and are not scored
}

// Set is a data set whose files count together.
type Set struct {
	Name  string
	Files []File
}

// counts says whether the set is part of the mean.
func (s *Set) counts() bool { return s.Name != driftSet && s.events() > 0 }

func (s *Set) events() (n int) {
	for i := range s.Files {
		n += len(s.Files[i].Events)
	}
	return n
}

func (s *Set) values() (n int) {
	for i := range s.Files {
		n += len(s.Files[i].T) * len(s.Files[i].V)
	}
	return n
}

// reader reads one public set below the data folder.
type reader struct {
	name, probe string // set, and what must exist below DIR for it
	read        func(dir string) ([]File, error)
}

func readers() []reader {
	return []reader{
		{"nab", "nab/labels/combined_windows.json", readNAB},
		{"smap", "smap-msl/SMAP", func(d string) ([]File, error) { return readTelemanom(filepath.Join(d, "smap-msl", "SMAP")) }},
		{"msl", "smap-msl/MSL", func(d string) ([]File, error) { return readTelemanom(filepath.Join(d, "smap-msl", "MSL")) }},
		{"skab", "skab/data", readSKAB},
		{"merlion", "merlion-synthetic", func(d string) ([]File, error) { return readMerlion(d, false) }},
		{"kpi", "kpi", readKPI},
		{driftSet, "merlion-synthetic", func(d string) ([]File, error) { return readMerlion(d, true) }},
	}
}

// Load reads the public sets that are there below dir. missing names the
// others. It fails when there is none, or one is damaged.
func Load(dir string) (sets []Set, missing []string, err error) {
	for _, r := range readers() {
		if _, err := os.Stat(filepath.Join(dir, filepath.FromSlash(r.probe))); err != nil {
			missing = append(missing, r.name)
			continue
		}
		files, err := r.read(dir)
		if err != nil {
			return nil, missing, fmt.Errorf("read set %s: %w", r.name, err)
		}
		if len(files) == 0 {
			missing = append(missing, r.name)
			continue
		}
		sets = append(sets, Set{r.name, files})
	}
	if len(sets) == 0 {
		return nil, missing, fmt.Errorf("%s holds none of %s", dir, strings.Join(missing, ", "))
	}
	return sets, missing, nil
}

func readNAB(dir string) ([]File, error) {
	root := filepath.Join(dir, "nab")
	text, err := os.ReadFile(filepath.Join(root, "labels", "combined_windows.json"))
	if err != nil {
		return nil, err
	}
	var labels map[string][][2]string
	if err := json.Unmarshal(text, &labels); err != nil {
		return nil, fmt.Errorf("read labels: %w", err)
	}
	var out []File
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		s, err := csvdata.ReadSeries(filepath.Join(root, "data", filepath.FromSlash(name)))
		if err != nil {
			return nil, err
		}
		f := File{Name: name, Columns: []string{"value"}, V: [][]float64{s.V}}
		var spans [][2]int64
		for _, w := range labels[name] {
			a, err1 := csvdata.ParseTime(w[0])
			b, err2 := csvdata.ParseTime(w[1])
			if err := errors.Join(err1, err2); err != nil {
				return nil, fmt.Errorf("window of %s: %w", name, err)
			}
			spans = append(spans, [2]int64{a * 1000, b * 1000})
		}
		last := int64(-1 << 62)
		for _, t := range s.T { // civil time repeats an hour in autumn
			last = max(t, last+1)
			f.T = append(f.T, last*1000)
		}
		f.Events = rowsOf(f.T, spans)
		out = append(out, f)
	}
	return out, nil
}

// readTelemanom reads channels of gzipped CSV: f0 is the telemetry, label
// marks the test part. The training part comes first and is not scored. Rows
// have no times; they count as minutes.
func readTelemanom(dir string) ([]File, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*_test.csv.gz"))
	if err != nil {
		return nil, err
	}
	var out []File
	for _, p := range paths {
		f := File{Name: strings.TrimSuffix(filepath.Base(p), "_test.csv.gz"), Columns: []string{"f0"}}
		train, err := readTable(strings.Replace(p, "_test.", "_train.", 1), ',')
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		test, err := readTable(p, ',')
		if err != nil {
			return nil, err
		}
		v := slices.Concat(train.column("f0"), test.column("f0"))
		f.From, f.V = train.rows, [][]float64{v}
		for i := range v {
			f.T = append(f.T, int64(i)*60_000)
		}
		f.Events = segments(test.column("label"), f.From)
		out = append(out, f)
	}
	return out, nil
}

func readSKAB(dir string) ([]File, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "skab", "data", "*", "*.csv"))
	if err != nil {
		return nil, err
	}
	var out []File
	for _, p := range paths {
		tb, err := readTable(p, ';')
		if err != nil {
			return nil, err
		}
		if tb.column("anomaly") == nil {
			continue
		}
		f := File{Name: filepath.Base(filepath.Dir(p)) + "/" + filepath.Base(p), T: tb.times}
		for i, name := range tb.names {
			if name != "datetime" && name != "anomaly" && name != "changepoint" {
				f.Columns, f.V = append(f.Columns, name), append(f.V, tb.cols[i])
			}
		}
		f.Events = segments(tb.column("anomaly"), 0)
		out = append(out, f)
	}
	return out, nil
}

// driftSet is printed, but is no part of the mean: its labels are single points
// at the beginning of slow drifts, which nothing can find within seven rows.
const driftSet = "merlion_trend"

// readMerlion reads the files with slow drifts, or all others.
func readMerlion(dir string, drift bool) ([]File, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "merlion-synthetic", "*.csv"))
	if err != nil {
		return nil, err
	}
	paths = slices.DeleteFunc(paths, func(p string) bool { return strings.Contains(p, "_trend_anomaly") != drift })
	return readLabelled(paths, "anomaly")
}

func readKPI(dir string) ([]File, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "kpi", "*", "*.csv"))
	if err != nil {
		return nil, err
	}
	return readLabelled(paths, "label")
}

// readLabelled reads files whose second column is the value and whose column
// of the given name marks the anomalies; a file without one has none.
func readLabelled(paths []string, label string) ([]File, error) {
	var out []File
	for _, p := range paths {
		tb, err := readTable(p, ',')
		if err != nil {
			return nil, err
		}
		if len(tb.names) < 2 {
			return nil, fmt.Errorf("%s: need timestamp,value", p)
		}
		out = append(out, File{
			Name: filepath.Base(filepath.Dir(p)) + "/" + filepath.Base(p), T: tb.times, Columns: tb.names[1:2],
			V: tb.cols[1:2], Events: segments(tb.column(label), 0),
		})
	}
	return out, nil
}

// segments gives the runs of labels over one half, moved by from rows.
func segments(label []float64, from int) [][2]int {
	var out [][2]int
	for i, v := range label {
		if !(v > .5) {
			continue
		}
		if i > 0 && label[i-1] > .5 {
			out[len(out)-1][1] = i + from
			continue
		}
		out = append(out, [2]int{i + from, i + from})
	}
	return out
}

// rowsOf turns spans of time (Unix ms, both ends inclusive) into first and
// last rows. Spans that touch or overlap become one; spans without a row are
// left out.
func rowsOf(times []int64, spans [][2]int64) [][2]int {
	var out [][2]int
	for _, s := range spans {
		a, _ := slices.BinarySearch(times, s[0])
		b, exact := slices.BinarySearch(times, s[1])
		if !exact {
			b--
		}
		if a <= b && a < len(times) {
			out = append(out, [2]int{a, b})
		}
	}
	return merge(out)
}

// merge sorts spans of rows and joins those that share a row.
func merge(spans [][2]int) [][2]int {
	slices.SortFunc(spans, func(a, b [2]int) int { return a[0] - b[0] })
	var out [][2]int
	for _, s := range spans {
		if n := len(out); n > 0 && s[0] <= out[n-1][1] {
			out[n-1][1] = max(out[n-1][1], s[1])
			continue
		}
		out = append(out, s)
	}
	return out
}
