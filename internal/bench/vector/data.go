package vector

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/norn-aiops/norn/internal/bench/csvdata"
)

// truth names the metrics that are to blame for a segment, from 0.
type truth struct {
	segment
	metrics []int
}

// entity is one multivariate recording: a part to learn from and a part to
// judge.
type entity struct {
	name    string
	columns []string
	train   [][]float64
	test    [][]float64
	label   []bool // of test
	blame   []truth
	step    int64 // ms between rows
	pace    pace
	vus     int // width of the VUS buffer, rows
}

// machines lists the SMD recordings of a folder.
func machines(dir string) ([]string, error) {
	found, err := filepath.Glob(filepath.Join(dir, "*_test.csv*"))
	if err != nil {
		return nil, fmt.Errorf("list machines: %w", err)
	}
	var out []string
	for _, f := range found {
		name, _, _ := strings.Cut(filepath.Base(f), "_test.csv")
		out = append(out, name)
	}
	if len(out) == 0 { // as published
		found, err = filepath.Glob(filepath.Join(dir, "test", "*.txt"))
		if err != nil {
			return nil, fmt.Errorf("list machines: %w", err)
		}
		for _, f := range found {
			out = append(out, strings.TrimSuffix(filepath.Base(f), ".txt"))
		}
	}
	slices.Sort(out)
	if len(out) == 0 {
		return nil, fmt.Errorf("list machines: %s holds neither *_test.csv nor test/*.txt", dir)
	}
	return out, nil
}

// loadMachine reads NAME_train.csv and NAME_test.csv (or .csv.gz): a column a
// metric; the test has a column "label" after them and may have columns whose
// names begin with "interpretation". The metrics to blame are read from these or
// from interpretation_label/NAME.txt ("from-to:1,2,3" a line, metrics from 1).
// A folder as published is read too, see loadPublished.
func loadMachine(dir, name string) (entity, error) {
	e := entity{name: name, step: 60_000, pace: pace{hour: 60, day: 1440}, vus: 100}
	if path := filepath.Join(dir, "test", name+".txt"); isFile(path) && !isFile(filepath.Join(dir, name+"_test.csv")) && !isFile(filepath.Join(dir, name+"_test.csv.gz")) {
		return loadPublished(dir, name, e)
	}
	train, err := readTable(filepath.Join(dir, name+"_train.csv"))
	if err != nil {
		return e, err
	}
	test, err := readTable(filepath.Join(dir, name+"_test.csv"))
	if err != nil {
		return e, err
	}
	d := slices.IndexFunc(train.names, notMetric)
	if d < 0 {
		d = len(train.names)
	}
	label := slices.Index(test.names, "label")
	if label < d || d == 0 || !slices.Equal(test.names[:d], train.names[:d]) {
		return e, fmt.Errorf("read machine %s: the test needs the %d metrics of the train part first and then a label", name, d)
	}
	e.columns = train.names[:d]
	for _, r := range train.rows {
		e.train = append(e.train, r[:d])
	}
	e.label = make([]bool, len(test.rows))
	e.test = make([][]float64, len(test.rows))
	for i, r := range test.rows {
		e.label[i], e.test[i] = r[label] > 0, r[:d]
	}
	if len(test.names) > d+1 {
		e.blame = columnTruth(e.label, test, d, label)
		return e, nil
	}
	e.blame, err = fileTruth(filepath.Join(dir, "interpretation_label", name+".txt"), len(e.columns))
	return e, err
}

func isFile(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.Mode().IsRegular()
}

// loadPublished reads the layout in which the data set is published: train/,
// test/ and test_label/, each with NAME.txt of numbers without a header, and
// interpretation_label/ where there is one.
func loadPublished(dir, name string, e entity) (entity, error) {
	var labels [][]float64
	for _, part := range []struct {
		name string
		rows *[][]float64
	}{{"train", &e.train}, {"test", &e.test}, {"test_label", &labels}} {
		rows, err := readNumbers(filepath.Join(dir, part.name, name+".txt"))
		if err != nil {
			return e, err
		}
		*part.rows = rows
	}
	if len(e.train) == 0 || len(e.test) == 0 || len(labels) != len(e.test) || len(e.train[0]) != len(e.test[0]) {
		return e, fmt.Errorf("read machine %s: %d rows to learn from, %d to judge, %d labels do not fit together", name, len(e.train), len(e.test), len(labels))
	}
	for i := range e.train[0] {
		e.columns = append(e.columns, strconv.Itoa(i+1))
	}
	for _, l := range labels {
		e.label = append(e.label, l[0] > 0)
	}
	var err error
	e.blame, err = fileTruth(filepath.Join(dir, "interpretation_label", name+".txt"), len(e.columns))
	return e, err
}

// readNumbers reads rows of numbers parted by commas, all of one width.
func readNumbers(path string) ([][]float64, error) {
	f, err := csvdata.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open table: %w", err)
	}
	defer f.Close()
	var out [][]float64
	err = csvdata.Table(f, func(line int, rec []string) error {
		row := make([]float64, len(rec))
		for j, s := range rec {
			v, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
			if err != nil {
				return fmt.Errorf("line %d: cannot read %q as a number", line, s)
			}
			row[j] = v
		}
		out = append(out, row)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read table %s: %w", path, err)
	}
	return out, nil
}

// notMetric says that a column holds truth.
func notMetric(name string) bool {
	return name == "label" || strings.HasPrefix(name, "interpretation")
}

// columnTruth reads the metrics to blame from the columns of the test beside
// its d metrics and the label: one column with a list of numbers from 1, or one
// column of 0 and 1 a metric.
func columnTruth(label []bool, t table, d, labelAt int) []truth {
	var flags []int
	for j := d; j < len(t.names); j++ {
		if j != labelAt {
			flags = append(flags, j)
		}
	}
	var out []truth
	for _, s := range segments(label) {
		seen := map[int]bool{}
		for i := s.from; i <= s.to; i++ {
			if len(flags) == 1 {
				for _, m := range t.lists[i] {
					seen[m-1] = true
				}
				continue
			}
			for m, j := range flags {
				if t.rows[i][j] > 0 {
					seen[m] = true
				}
			}
		}
		g := truth{segment: s}
		for m := range seen {
			if m >= 0 && m < d {
				g.metrics = append(g.metrics, m)
			}
		}
		slices.Sort(g.metrics)
		if len(g.metrics) > 0 {
			out = append(out, g)
		}
	}
	return out
}

// fileTruth reads an interpretation file; a missing one gives no truth.
func fileTruth(path string, metrics int) ([]truth, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read metrics to blame: %w", err)
	}
	var out []truth
	for n, line := range strings.Split(string(text), "\n") {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		var g truth
		var list string
		if _, err := fmt.Sscanf(strings.Replace(line, ":", " ", 1), "%d-%d %s", &g.from, &g.to, &list); err != nil {
			return nil, fmt.Errorf("read metrics to blame from %s: line %d: need from-to:1,2,3: %w", path, n+1, err)
		}
		for _, m := range numbers(list) {
			if m >= 1 && m <= metrics {
				g.metrics = append(g.metrics, m-1)
			}
		}
		out = append(out, g)
	}
	return out, nil
}

// numbers reads all whole numbers of a text.
func numbers(s string) []int {
	var out []int
	for _, f := range strings.FieldsFunc(s, func(r rune) bool { return r < '0' || r > '9' }) {
		if n, err := strconv.Atoi(f); err == nil {
			out = append(out, n)
		}
	}
	return out
}

// loadSKAB reads the labelled recordings of SKAB below dir (data/ or the
// folder that holds it). The first 400 rows of each are for learning.
func loadSKAB(dir string) ([]entity, error) {
	const learn = 400
	if _, err := os.Stat(filepath.Join(dir, "data")); err == nil {
		dir = filepath.Join(dir, "data")
	}
	var files []string
	for _, part := range []string{"valve1", "valve2", "other"} {
		found, err := filepath.Glob(filepath.Join(dir, part, "*.csv"))
		if err != nil {
			return nil, fmt.Errorf("list recordings: %w", err)
		}
		files = append(files, found...)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("list recordings: %s holds no valve1, valve2 or other", dir)
	}
	var out []entity
	for _, f := range files {
		t, err := readTable(f)
		if err != nil {
			return nil, err
		}
		label := slices.Index(t.names, "anomaly")
		if label < 2 || len(t.rows) <= learn {
			return nil, fmt.Errorf("read recording %s: need datetime, sensors, anomaly, and more than %d rows", f, learn)
		}
		e := entity{
			name: filepath.Base(filepath.Dir(f)) + "/" + filepath.Base(f), columns: t.names[1:label], step: 1000,
			pace: pace{hour: 400. / 24, day: 400}, vus: 50,
		}
		for i, r := range t.rows {
			row := r[1:label]
			if i < learn {
				e.train = append(e.train, row)
				continue
			}
			e.test, e.label = append(e.test, row), append(e.label, r[label] > 0)
		}
		out = append(out, e)
	}
	return out, nil
}

// table is a CSV file in memory. Fields of a column "interpretation..." are also
// read as lists of numbers.
type table struct {
	names []string
	rows  [][]float64
	lists [][]int
}

// readTable reads path, or path.gz when that does not exist. Fields are parted
// by commas or semicolons.
func readTable(path string) (table, error) {
	var t table
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		path += ".gz"
	}
	f, err := csvdata.Open(path)
	if err != nil {
		return t, fmt.Errorf("open table: %w", err)
	}
	defer f.Close()
	err = csvdata.Table(f, func(line int, rec []string) error {
		if line == 1 {
			t.names = slices.Clone(rec)
			return nil
		}
		if len(rec) != len(t.names) {
			return fmt.Errorf("line %d: %d fields, the header has %d", line, len(rec), len(t.names))
		}
		row := make([]float64, len(rec))
		var list []int
		for j, s := range rec {
			v, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
			truth := strings.HasPrefix(t.names[j], "interpretation")
			switch {
			case err == nil:
				row[j] = v
			case t.names[j] == "datetime" || truth:
			default:
				return fmt.Errorf("line %d: cannot read %q as a number", line, s)
			}
			if truth {
				list = numbers(s)
			}
		}
		t.rows, t.lists = append(t.rows, row), append(t.lists, list)
		return nil
	})
	if err != nil {
		return t, fmt.Errorf("read table %s: %w", path, err)
	}
	return t, nil
}
