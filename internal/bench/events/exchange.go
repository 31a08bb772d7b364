package events

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/norn-aiops/norn/internal/bench/csvdata"
)

// Given are the scores of another program on the files that Options.Export
// wrote: below Dir, at each file's path, a CSV with a header line and the score
// of each row, at least 0, in its last column. Its threshold is the one of 200
// quantiles a set that does best on the mean of the sets, which favours it.
type Given struct{ Name, Dir string }

// Exported describes one file for another program. Labels are not handed out.
type Exported struct {
	Set   string `json:"set"`
	File  string `json:"file"`
	Path  string `json:"path"`  // below the folder
	Rows  int    `json:"rows"`  // without the header
	Teach int    `json:"teach"` // first rows that are not scored
}

// export writes every file as timestamp (Unix ms) and values, and manifest.json
// with what they are.
func export(sets []Set, dir string) error {
	var list []Exported
	for i := range sets {
		for j := range sets[i].Files {
			f := &sets[i].Files[j]
			e := Exported{sets[i].Name, f.Name, exchangePath(i, j, &sets[i]), len(f.T), first(f, warmup(len(f.T)))}
			if err := exportFile(filepath.Join(dir, e.Path), f); err != nil {
				return fmt.Errorf("export %s: %w", f.Name, err)
			}
			list = append(list, e)
		}
	}
	text, err := json.MarshalIndent(list, "", " ")
	if err != nil {
		return fmt.Errorf("export manifest: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "manifest.json"), append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("export manifest: %w", err)
	}
	return nil
}

// exchangePath is where file j of set i lies in the exchange.
func exchangePath(i, j int, s *Set) string {
	safe := func(name string) string {
		return strings.Map(func(r rune) rune {
			if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
				return r
			}
			return '_'
		}, bare(name))
	}
	return fmt.Sprintf("%d-%s/%04d-%s.csv", i, safe(s.Name), j, safe(s.Files[j].Name))
}

func exportFile(path string, f *File) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	out, err := os.Create(path)
	if err != nil {
		return err
	}
	b := bufio.NewWriter(out)
	w := csv.NewWriter(b)
	row := append([]string{"timestamp"}, f.Columns...)
	err = w.Write(row)
	for i := 0; i < len(f.T) && err == nil; i++ {
		row[0] = strconv.FormatInt(f.T[i], 10)
		for c := range f.V {
			row[c+1] = ""
			if v := f.V[c][i]; !math.IsNaN(v) {
				row[c+1] = strconv.FormatFloat(v, 'g', -1, 64)
			}
		}
		err = w.Write(row)
	}
	w.Flush()
	return errors.Join(err, w.Error(), b.Flush(), out.Close())
}

// others reads what other programs say, and finds their thresholds.
func others(sets []Set, given []Given) ([]Detector, error) {
	var out []Detector
	for _, g := range given {
		d := Detector{Name: g.Name, given: map[*File][]float64{}}
		for i := range sets {
			for j := range sets[i].Files {
				f := &sets[i].Files[j]
				scores, err := readScores(filepath.Join(g.Dir, exchangePath(i, j, &sets[i])), len(f.T))
				if err != nil {
					return nil, fmt.Errorf("read scores of %s: %w", g.Name, err)
				}
				d.given[f] = scores
			}
		}
		d.Threshold = d.bestThreshold(sets)
		out = append(out, d)
	}
	return out, nil
}

func readScores(path string, rows int) ([]float64, error) {
	in, err := csvdata.Open(path)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	r := csv.NewReader(in)
	r.ReuseRecord, r.FieldsPerRecord = true, -1
	out := make([]float64, 0, rows)
	for line := 1; ; line++ {
		rec, err := r.Read()
		switch {
		case errors.Is(err, io.EOF):
			if len(out) != rows {
				return nil, fmt.Errorf("%s: %d scores, the file has %d rows", path, len(out), rows)
			}
			return out, nil
		case err != nil:
			return nil, fmt.Errorf("%s: %w", path, err)
		case line == 1:
			continue
		}
		v, err := number(rec[len(rec)-1])
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, line, err)
		}
		out = append(out, clean(v))
	}
}

// bestThreshold tries 200 quantiles of every set's scores that pass the
// suppressor.
func (d *Detector) bestThreshold(sets []Set) float64 {
	var levels []float64
	passed := map[*File][]alarm{}
	for i := range sets {
		var own []float64
		for j := range sets[i].Files {
			f := &sets[i].Files[j]
			passed[f] = alarms(f, d.given[f], warmup(len(f.T)))
			for _, a := range passed[f] {
				own = append(own, a.score)
			}
		}
		slices.Sort(own)
		for k := range 200 {
			if len(own) > 0 {
				levels = append(levels, own[k*(len(own)-1)/199])
			}
		}
	}
	slices.Sort(levels)
	best, at := -1., math.MaxFloat64
	for k := 0; k < len(levels); k++ {
		var f1s []float64
		for i := range sets {
			if !sets[i].counts() {
				continue
			}
			var c Counts
			for j := range sets[i].Files {
				f := &sets[i].Files[j]
				c.add(judge(f, passed[f], levels[k], warmup(len(f.T))))
			}
			f1s = append(f1s, c.score().F1)
		}
		if m := mean(f1s, -1); m > best {
			best, at = m, levels[k]
		}
	}
	return at
}
