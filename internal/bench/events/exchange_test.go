package events

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What is handed out holds no labels, and the scores of a detector that went
// out and came back give what the detector itself gives.
func TestAnotherProgramIsScoredAlike(t *testing.T) {
	rows, back := t.TempDir(), t.TempDir()
	sets := []Set{made("x", 2, 40), made("y/z", 1, 30)}
	if err := export(sets, rows); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(rows, "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	var list []Exported
	if err := json.Unmarshal(text, &list); err != nil || len(list) != 3 {
		t.Fatalf("%v: %s", err, text)
	}
	n := 0
	for i := range sets {
		for j := range sets[i].Files {
			f := &sets[i].Files[j]
			e := list[n]
			n++
			tb, err := readTable(filepath.Join(rows, e.Path), ',')
			if err != nil || tb.rows != e.Rows || len(tb.names) != 1+len(f.V) || e.Teach != warmup(e.Rows) {
				t.Fatalf("%v: %+v, %v", err, e, tb.names)
			}
			scores, _ := scoresOf(f, &Detector{New: ewmaZ})
			var b strings.Builder
			b.WriteString("score\n")
			for _, s := range scores {
				fmt.Fprintf(&b, "%v\n", s)
			}
			put(t, back, e.Path, b.String())
		}
	}
	norn := Detector{Name: "norn", Threshold: 4, New: ewmaZ}
	rep, err := score(context.Background(), sets, norn, Options{Quick: true, Given: []Given{{"other", back}}})
	if err != nil {
		t.Fatal(err)
	}
	other := rep.Rows[len(rep.Rows)-1]
	if other.Detector != "other" || other.MeanF1 < rep.MeanF1 || rep.MeanF1 == 0 || other.Threshold <= 0 {
		t.Errorf("%+v, norn %g", other, rep.MeanF1)
	}
	if f := rep.Files[0]; f.Others["other"].Events != f.Events || rep.FileMeanF1["other"] == 0 {
		t.Errorf("%+v", f)
	}
	put(t, back, list[2].Path, "score\n1\n")
	if _, err := others(sets, []Given{{"short", back}}); err == nil || !strings.Contains(err.Error(), "short") || !strings.Contains(err.Error(), "1 scores") {
		t.Errorf("too few scores: %v", err)
	}
	if _, err := others(sets, []Given{{"none", t.TempDir()}}); err == nil {
		t.Error("scores that do not exist were read")
	}
}

// A detector that reads rows sees all columns at once, missing values too.
func TestRowsAreReadTogether(t *testing.T) {
	f := File{T: []int64{1, 2, 3}, V: [][]float64{{1, 2, 3}, {4, 5, 6}}}
	d := Detector{New: ewmaZ, Rows: func(_, columns int) func(int64, []float64) float64 {
		return func(at int64, row []float64) float64 {
			return row[0] + 10*row[1] + 100*float64(at) + 1000*float64(columns)
		}
	}}
	if got, _ := scoresOf(&f, &d); fmt.Sprint(got) != "[2141 2252 2363]" {
		t.Errorf("%v", got)
	}
	f.V = f.V[:1]
	if got, _ := scoresOf(&f, &d); got[0] != 0 {
		t.Errorf("a single column: %v", got)
	}
}
