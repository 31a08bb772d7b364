package nab

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/norn-aiops/norn/internal/bench/csvdata"
)

// corpus is the benchmark's data: series by file name, with the labelled
// windows.
type corpus struct {
	names   []string // sorted
	series  map[string]csvdata.Series
	windows map[string][][2]int64
}

// load reads labels/combined_windows.json and the series it names below data/.
func load(dir string) (*corpus, error) {
	path := filepath.Join(dir, "labels", "combined_windows.json")
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read labels: %w", err)
	}
	var labels map[string][][2]string
	if err := json.Unmarshal(text, &labels); err != nil {
		return nil, fmt.Errorf("read labels %s: %w", path, err)
	}
	if len(labels) == 0 {
		return nil, fmt.Errorf("read labels %s: no files are named", path)
	}
	c := &corpus{names: slices.Sorted(maps.Keys(labels)), series: map[string]csvdata.Series{}, windows: map[string][][2]int64{}}
	for _, name := range c.names {
		s, err := csvdata.ReadSeries(filepath.Join(dir, "data", filepath.FromSlash(name)))
		if err != nil {
			return nil, err
		}
		c.series[name] = s
		for _, w := range labels[name] {
			win, err := readWindow(w, s.T)
			if err != nil {
				return nil, fmt.Errorf("window of %s: %w", name, err)
			}
			c.windows[name] = append(c.windows[name], win)
		}
	}
	return c, nil
}

func readWindow(w [2]string, times []int64) (win [2]int64, err error) {
	for i := range w {
		if win[i], err = csvdata.ParseTime(w[i]); err != nil {
			return win, err
		}
		if !slices.Contains(times, win[i]) {
			return win, fmt.Errorf("%s is not a time of the series", w[i])
		}
	}
	if win[1] <= win[0] {
		return win, fmt.Errorf("%s does not come after %s", w[1], w[0])
	}
	return win, nil
}

// published reads the raw scores of a published detector
// ("file,timestamp,anomaly_score") and scores them.
func (c *corpus) published(path string) (Scores, error) {
	f, err := csvdata.Open(path)
	if err != nil {
		return Scores{}, fmt.Errorf("open published scores: %w", err)
	}
	defer f.Close()
	raw := make(map[string][]float64, len(c.names))
	err = csvdata.Rows(f, func(line int, rec []string) error {
		if len(rec) < 3 {
			return fmt.Errorf("line %d: need file,timestamp,anomaly_score", line)
		}
		v, err := strconv.ParseFloat(rec[2], 64)
		if err != nil {
			return fmt.Errorf("line %d: cannot read %q as a number", line, rec[2])
		}
		raw[rec[0]] = append(raw[rec[0]], v)
		return nil
	})
	if err != nil {
		return Scores{}, fmt.Errorf("read published scores %s: %w", path, err)
	}
	files := make([]file, 0, len(c.names))
	for _, name := range c.names {
		if got, want := len(raw[name]), len(c.series[name].T); got != want {
			return Scores{}, fmt.Errorf("published scores %s: %d rows for %s, want %d", path, got, name, want)
		}
		files = append(files, file{name: name, t: c.series[name].T, windows: c.windows[name], scores: raw[name]})
	}
	return scoreCorpus(files), nil
}
