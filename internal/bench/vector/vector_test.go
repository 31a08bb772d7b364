package vector

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 1e-9 {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func labels(s string) []bool {
	out := make([]bool, len(s))
	for i, c := range s {
		out[i] = c == '#'
	}
	return out
}

// By hand: hits at ranks 1 and 3 of 2 labelled rows give (1 + 2/3) / 2.
func TestAveragePrecisionByHand(t *testing.T) {
	ap, f1 := precisionRecall([]float64{9, 8, 7, 1}, labels("#.#."))
	near(t, "average precision", ap, (1+2./3)/2)
	near(t, "best F1", f1, .8) // the first three: precision 2/3, recall 1
	ap, _ = precisionRecall([]float64{5, 5, 5, 5}, labels("#..."))
	near(t, "ties", ap, .25)
	ap, f1 = precisionRecall([]float64{1, 2}, labels(".."))
	near(t, "nothing labelled", ap+f1, 0)
}

// A random score has about the share of labelled rows as average precision,
// and a perfect one 1 by rows and by volume.
func TestRandomAndPerfectScores(t *testing.T) {
	const n = 20_000
	r := rand.New(rand.NewPCG(1, 1))
	label, random, perfect := make([]bool, n), make([]float64, n), make([]float64, n)
	for i := range n {
		label[i] = i/100%20 == 7
		random[i] = r.Float64()
		if label[i] {
			perfect[i] = 1 + r.Float64()
		}
	}
	ap, _ := precisionRecall(random, label)
	if math.Abs(ap-.05) > .01 {
		t.Errorf("random: %v", ap)
	}
	if v := vusPR(random, label, 100); v > .12 {
		t.Errorf("random by volume: %v", v)
	}
	ap, f1 := precisionRecall(perfect, label)
	near(t, "perfect", ap+f1, 2)
	if v := vusPR(perfect, label, 0); v < .95 {
		t.Errorf("perfect by volume without a buffer: %v", v)
	}
	if near, far := vusPR(shifted(perfect, 8), label, 100), vusPR(shifted(perfect, 300), label, 100); near < .6 || far > .2 {
		t.Errorf("by volume, 8 rows late %v, 300 rows late %v", near, far)
	}
}

func shifted(x []float64, by int) []float64 {
	out := make([]float64, len(x))
	copy(out[by:], x)
	return out
}

func TestEventsAndFalseAlarmsByHand(t *testing.T) {
	label := labels(".....##......##.............")
	p := pace{hour: 4, day: 14} // two days
	score := make([]float64, len(label))
	score[6], score[13] = 10, 4 // both events, once each
	score[1] = 9                // a false alarm
	for i := 18; i < 24; i++ {  // one false run of 6 rows: two alarms
		score[i] = 5
	}
	score[7] = 6 // lasts a row longer than its label: no alarm
	got := eventsAtBudget(score, label, p, 1)
	// At 10: one event, no alarm, F1 2/3. At 4, four alarms would be too many.
	near(t, "event F1", got.f1, 2./3)
	got = eventsAbove(score, label, p, 3.9)
	near(t, "recall of all", got.recall, 1)
	near(t, "alarms a day", got.falsePerDay, 1.5)
	near(t, "precision", got.precision, 2./5)
	above := eventsAbove(score, label, p, 4.5)
	near(t, "above a threshold", above.recall, .5)
	near(t, "its alarms", above.falsePerDay, 1.5)
}

func TestThresholdKeepsTheBudgetItWasMadeFor(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	quiet := make([]float64, 14_400)
	for i := range quiet {
		quiet[i] = r.ExpFloat64()
	}
	p := pace{hour: 60, day: 1440}
	at := eventsAbove(quiet, make([]bool, len(quiet)), p, budgetThreshold(quiet, p, 1))
	if at.falsePerDay > 1 || at.falsePerDay < .8 {
		t.Errorf("%v alarms a day", at.falsePerDay)
	}
}

func TestBlameRecallByHand(t *testing.T) {
	blame := [][]float32{{0, 0, 0, 0}, {5, 4, 3, 1}, {5, 4, 3, 1}}
	truths := []truth{{segment{1, 2}, []int{0, 2}}, {segment{1, 99}, []int{3}}} // the second lies outside
	near(t, "at 100 %", blameRecall(blame, truths, 1), .5)
	near(t, "at 150 %", blameRecall(blame, truths, 1.5), 1)
}

// writeMachine writes a small machine: two metrics that follow each other,
// until one of them does not.
func writeMachine(t *testing.T, dir string, interpretation bool) {
	t.Helper()
	r := rand.New(rand.NewPCG(3, 3))
	var train, test strings.Builder
	train.WriteString("a,b,c\n")
	test.WriteString("a,b,c,label")
	if interpretation {
		test.WriteString(",interpretation")
	}
	test.WriteString("\n")
	level := 0.
	row := func() (a, b, c float64) {
		level += .1*(5-level) + r.NormFloat64()
		return level, 2*level + .1*r.NormFloat64(), 1
	}
	for range 3000 {
		a, b, c := row()
		fmt.Fprintf(&train, "%g,%g,%g\n", a, b, c)
	}
	for i := range 1500 {
		a, b, c := row()
		label, blame := 0, ""
		if i >= 700 && i < 740 {
			b, label, blame = b+9, 1, "2"
		}
		fmt.Fprintf(&test, "%g,%g,%g,%d", a, b, c, label)
		if interpretation {
			fmt.Fprintf(&test, ",%q", blame)
		}
		test.WriteString("\n")
	}
	if err := os.WriteFile(filepath.Join(dir, "m-1_train.csv"), []byte(train.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(dir, "m-1_test.csv.gz"))
	if err != nil {
		t.Fatal(err)
	}
	z := gzip.NewWriter(f)
	if _, err := z.Write([]byte(test.String())); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestAWholeRunFindsWhatBrokeAndWhoIsToBlame(t *testing.T) {
	for _, column := range []bool{true, false} {
		dir := t.TempDir()
		writeMachine(t, dir, column)
		if !column {
			if err := os.Mkdir(filepath.Join(dir, "interpretation_label"), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "interpretation_label", "m-1.txt"), []byte("700-739:2\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		steps := 0
		rep, err := SMD(t.Context(), dir, Options{Progress: func(done, total int) { steps += done * total }})
		if err != nil {
			t.Fatal(err)
		}
		if rep.AUCPR < .8 || rep.EventF1 < .99 || rep.Blame100 == nil || *rep.Blame100 != 1 || rep.PCA <= 0 || rep.NsPerRow < 0 || steps != 1 {
			t.Errorf("%+v", rep)
		}
		var out strings.Builder
		if err := rep.Print(&out); err != nil || !strings.Contains(out.String(), "m-1") {
			t.Errorf("%v\n%s", err, out.String())
		}
	}
}

func TestSKABIsReadAndScored(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "data", "valve1"), 0o700); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(4, 4))
	var b strings.Builder
	b.WriteString("datetime;x;y;anomaly;changepoint\n")
	for i := range 900 {
		x := r.NormFloat64()
		label := 0.
		y := x + .1*r.NormFloat64()
		if i >= 600 && i < 700 {
			y, label = y+4, 1
		}
		fmt.Fprintf(&b, "2020-03-09 10:14:33;%g;%g;%.1f;0.0\n", x, y, label)
	}
	if err := os.WriteFile(filepath.Join(dir, "data", "valve1", "0.csv"), []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	rep, err := SKAB(t.Context(), dir, Options{Quick: true})
	if err != nil {
		t.Fatal(err)
	}
	if rep.AUCPR < .8 || rep.EventF1 < .99 || len(rep.Entities) != 1 || rep.Entities[0].Blame100 != nil {
		t.Errorf("%+v", rep)
	}
}

func TestWrongFoldersAndFilesAreNamed(t *testing.T) {
	dir := t.TempDir()
	if _, err := SMD(t.Context(), dir, Options{}); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("an empty folder: %v", err)
	}
	if _, err := SKAB(t.Context(), dir, Options{}); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("an empty folder: %v", err)
	}
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("m_train.csv", "a,b\n1,2\n")
	write("m_test.csv", "a,b\n1,2\n")
	if _, err := SMD(t.Context(), dir, Options{}); err == nil || !strings.Contains(err.Error(), "label") {
		t.Errorf("no label: %v", err)
	}
	write("m_test.csv", "a,b,c,label\n1,2,oops,0\n")
	if _, err := SMD(t.Context(), dir, Options{}); err == nil || !strings.Contains(err.Error(), "line 2") || !strings.Contains(err.Error(), "oops") {
		t.Errorf("no number: %v", err)
	}
}

// The layout in which the Server Machine Dataset is published gives the same
// figures as the tables, and what nothing is known of is null.
func TestTheLayoutAsPublished(t *testing.T) {
	tables, published := t.TempDir(), t.TempDir()
	writeMachine(t, tables, false)
	want, err := SMD(t.Context(), tables, Options{Quick: true})
	if err != nil {
		t.Fatal(err)
	}
	if text, _ := json.Marshal(want); !strings.Contains(string(text), `"blame_recall":null`) {
		t.Errorf("without labels of blame: %s", text)
	}
	e, err := loadMachine(tables, "m-1")
	if err != nil {
		t.Fatal(err)
	}
	write := func(part string, rows [][]float64) {
		var b strings.Builder
		for _, r := range rows {
			for j, v := range r {
				fmt.Fprintf(&b, "%s%g", strings.Repeat(",", min(j, 1)), v)
			}
			b.WriteString("\n")
		}
		if err := os.MkdirAll(filepath.Join(published, part), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(published, part, "m-1.txt"), []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	labels := make([][]float64, len(e.label))
	for i, on := range e.label {
		labels[i] = []float64{0}
		if on {
			labels[i][0] = 1
		}
	}
	write("train", e.train)
	write("test", e.test)
	if _, err := SMD(t.Context(), published, Options{Quick: true}); err == nil || !strings.Contains(err.Error(), "test_label") {
		t.Errorf("without labels: %v", err)
	}
	write("test_label", labels)
	got, err := SMD(t.Context(), published, Options{Quick: true})
	if err != nil || got.AUCPR != want.AUCPR || got.EventF1 != want.EventF1 {
		t.Errorf("%v: AUC-PR %g, event F1 %g; want %g, %g", err, got.AUCPR, got.EventF1, want.AUCPR, want.EventF1)
	}
}
