package forecast

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// kind is what a set's name says about its series.
type kind struct {
	step int64 // ms between values, 0 unknown
	m    int   // season of the measures MASE and Naive2
	year int   // values in the season that a person would name
}

const day = int64(86_400_000)

func kindOf(set string) kind {
	switch strings.ToLower(set) {
	case "yearly":
		return kind{365 * day, 1, 1}
	case "quarterly":
		return kind{91 * day, 4, 4}
	case "monthly":
		return kind{30 * day, 12, 12}
	case "weekly":
		return kind{7 * day, 1, 52}
	case "daily":
		return kind{day, 1, 7}
	case "hourly":
		return kind{day / 24, 24, 24}
	}
	return kind{0, 1, 1}
}

// natural is the season of the plain seasonal forecast, 1 for short histories.
func (k kind) natural(n int) int {
	if n < k.year {
		return 1
	}
	return k.year
}

// series is one history with what came after it.
type series struct {
	id           string
	past, future []float64
}

// scale is the mean absolute step of m in the past, the unit of MASE.
func (s series) scale(m int) float64 {
	if len(s.past) <= m {
		m = 1
	}
	sum := 0.0
	for t := m; t < len(s.past); t++ {
		sum += math.Abs(s.past[t] - s.past[t-m])
	}
	return sum / float64(max(len(s.past)-m, 1))
}

// read reads both files of a set and pairs their lines by name.
func read(dir, set string) ([]series, []string, error) {
	train, bad, err := table(find(dir, "Train", set+"-train.csv"))
	if err != nil {
		return nil, nil, err
	}
	test, worse, err := table(find(dir, "Test", set+"-test.csv"))
	if err != nil {
		return nil, nil, err
	}
	bad = append(bad, worse...)
	future := map[string][]float64{}
	for _, l := range test {
		future[l.id] = l.values
	}
	var out []series
	for _, l := range train {
		f, ok := future[l.id]
		if !ok {
			bad = note(bad, fmt.Sprintf("%s: no test values", l.id))
			continue
		}
		out = append(out, series{l.id, l.values, f})
	}
	return out, bad, nil
}

// find prefers the folder of the public set's layout, else the file beside.
func find(dir, sub, name string) string {
	for _, p := range []string{filepath.Join(dir, sub, name), filepath.Join(dir, name)} {
		if _, err := os.Stat(p); err == nil {
			return p
		}
	}
	return filepath.Join(dir, sub, name)
}

// line is one series in a file.
type line struct {
	id     string
	values []float64
}

// table reads a file of one series a line: its name, then its values; empty
// cells at the end are no values. Lines with a cell that is no number are
// left out and named.
func table(path string) ([]line, []string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read a part of the set: %w", err)
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.FieldsPerRecord, r.ReuseRecord, r.LazyQuotes = -1, true, true
	var out []line
	var bad []string
	for {
		rec, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		row, _ := r.FieldPos(0)
		if err != nil {
			bad = note(bad, fmt.Sprintf("%s: %v", filepath.Base(path), err))
			continue
		}
		l, err := parse(rec)
		switch {
		case err == nil:
			out = append(out, l)
		case row > 1: // the first line is the header
			bad = note(bad, fmt.Sprintf("%s line %d: %v", filepath.Base(path), row, err))
		}
	}
	if len(out) == 0 {
		return nil, bad, fmt.Errorf("%s holds no series", path)
	}
	return out, bad, nil
}

func parse(rec []string) (line, error) {
	l := line{id: strings.Clone(rec[0])}
	end := len(rec)
	for end > 1 && isEmpty(rec[end-1]) {
		end--
	}
	for i, c := range rec[1:end] {
		if isEmpty(c) {
			l.values = append(l.values, math.NaN())
			continue
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(c), 64)
		if err != nil {
			return l, fmt.Errorf("cell %d is no number: %q", i+2, c)
		}
		l.values = append(l.values, v)
	}
	if len(l.values) == 0 {
		return l, errors.New("no values")
	}
	return l, nil
}

func isEmpty(c string) bool {
	c = strings.TrimSpace(c)
	return c == "" || strings.EqualFold(c, "na")
}

// note keeps the first twenty.
func note(list []string, s string) []string {
	if len(list) < 20 {
		list = append(list, s)
	}
	return list
}
