package events

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/norn-aiops/norn/internal/bench/csvdata"
)

// table is a CSV file of a public set: a header line, then numbers. A first
// column called timestamp or datetime becomes times.
type table struct {
	names []string
	cols  [][]float64 // by column; of a column of times nil
	times []int64     // Unix ms, strictly rising; nil without such a column
	rows  int
}

func (t *table) column(name string) []float64 {
	if i := slices.Index(t.names, name); i >= 0 {
		return t.cols[i]
	}
	return nil
}

// readTable reads a whole file; a damaged row is an error that names it.
func readTable(path string, comma rune) (table, error) {
	var t table
	f, err := csvdata.Open(path)
	if err != nil {
		return t, fmt.Errorf("open table: %w", err)
	}
	defer f.Close()
	c := csv.NewReader(f)
	c.Comma, c.ReuseRecord = comma, true
	timed := false
	for line := 1; ; line++ {
		rec, err := c.Read()
		if errors.Is(err, io.EOF) {
			return t, nil
		}
		if err != nil {
			return table{}, fmt.Errorf("read table %s: %w", path, err)
		}
		if line == 1 {
			t.names = slices.Clone(rec)
			t.cols = make([][]float64, len(rec))
			timed = rec[0] == "timestamp" || rec[0] == "datetime"
			continue
		}
		if err := t.row(rec, timed); err != nil {
			return table{}, fmt.Errorf("read table %s: line %d: %w", path, line, err)
		}
	}
}

func (t *table) row(rec []string, timed bool) error {
	for i, s := range rec {
		if i == 0 && timed {
			at, err := csvdata.ParseTime(s)
			if err != nil {
				return err
			}
			at *= 1000
			if n := len(t.times); n > 0 && at <= t.times[n-1] {
				at = t.times[n-1] + 1
			}
			t.times = append(t.times, at)
			continue
		}
		v, err := number(s)
		if err != nil {
			return err
		}
		t.cols[i] = append(t.cols[i], v)
	}
	t.rows++
	return nil
}

// number reads a value; an empty cell and the usual words for nothing are a
// missing value (NaN), and so are infinities.
func number(s string) (float64, error) {
	s = strings.TrimSpace(s)
	switch strings.ToLower(s) {
	case "", "nan", "null", "none", "na", "n/a", "-":
		return math.NaN(), nil
	case "true":
		return 1, nil
	case "false":
		return 0, nil
	}
	v, err := strconv.ParseFloat(s, 64)
	if math.IsInf(v, 0) {
		return math.NaN(), nil // also beyond what a float holds
	}
	if err == nil {
		return v, nil
	}
	plain := strings.TrimSpace(strings.TrimSuffix(s, "%"))
	if groups := strings.Split(plain, ","); len(groups) > 1 && len(groups[0]) <= 4 { // 1,234,567.8
		whole := true
		for i, g := range groups[1:] {
			if i == len(groups)-2 {
				g, _, _ = strings.Cut(g, ".")
			}
			whole = whole && len(g) == 3
		}
		if whole {
			plain = strings.ReplaceAll(plain, ",", "")
		}
	}
	if v, err = strconv.ParseFloat(plain, 64); err != nil || math.IsInf(v, 0) || plain == s {
		return 0, fmt.Errorf("cannot read %q as a number", s)
	}
	return v, nil
}
