package nab

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// corpusOnDisk writes a small benchmark: n files of 1,200 rows, each with a
// daily wave; odd files hold a window in which the level jumps.
func corpusOnDisk(t *testing.T, n int) string {
	t.Helper()
	dir := t.TempDir()
	labels := map[string][][2]string{}
	start := time.Date(2020, 3, 2, 0, 0, 0, 0, time.UTC)
	r := rand.New(rand.NewPCG(1, 2))
	var pub bytes.Buffer
	pub.WriteString("file,timestamp,anomaly_score\n")
	for i := range n {
		name := fmt.Sprintf("made/file%d.csv", i)
		labels[name] = [][2]string{}
		var b strings.Builder
		b.WriteString("timestamp,value\n")
		for k := range 1200 {
			at := start.Add(time.Duration(k) * 5 * time.Minute).Format("2006-01-02 15:04:05")
			v, score := 10+3*math.Sin(2*math.Pi*float64(k)/288)+.2*r.NormFloat64(), .1
			if i%2 == 1 && k >= 800 && k < 840 {
				v += 20
			}
			if i%2 == 1 && k == 790 {
				score = .9
			}
			fmt.Fprintf(&b, "%s,%.4f\n", at, v)
			fmt.Fprintf(&pub, "%s,%s,%v\n", name, at, score)
		}
		if i%2 == 1 {
			labels[name] = append(labels[name], [2]string{
				start.Add(780 * 5 * time.Minute).Format("2006-01-02 15:04:05.000000"),
				start.Add(860 * 5 * time.Minute).Format("2006-01-02 15:04:05.000000")})
		}
		write(t, filepath.Join(dir, "data", name), []byte(b.String()))
	}
	text, _ := json.Marshal(labels)
	write(t, filepath.Join(dir, "labels", "combined_windows.json"), text)
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	w.Write(pub.Bytes())
	w.Close()
	write(t, filepath.Join(dir, "published", "numenta.csv.gz"), z.Bytes())
	return dir
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestAPlainJumpScoresHigh(t *testing.T) {
	dir := corpusOnDisk(t, 6)
	steps := 0
	rep, err := Run(context.Background(), dir, Options{Progress: func(done, total int) {
		if steps++; done != steps || total != 8 {
			t.Errorf("progress %d of %d at step %d", done, total, steps)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if rep.Standard < 60 || rep.RobustMean < 60 || rep.Files != 6 || rep.Windows != 3 || rep.Points != 7200 {
		t.Errorf("%+v", rep)
	}
	if rep.Published.Numenta < 85 || rep.Published.Numenta > 100 { // one early alarm in every window, none outside
		t.Errorf("published scores were given %v", rep.Published.Numenta)
	}
	var out bytes.Buffer
	if err := rep.JSON(&out); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{`"standard"`, `"low_fp"`, `"low_fn"`, `"robust_mean"`, `"published"`, `"relative_entropy"`, `"windowed_gaussian"`} {
		if !strings.Contains(out.String(), key) {
			t.Errorf("no %s in %s", key, out.String())
		}
	}
	out.Reset()
	if err := rep.Print(&out); err != nil || !strings.Contains(out.String(), "Numenta HTM") {
		t.Errorf("%v, %s", err, out.String())
	}
}

func TestQuickLeavesTheRobustMeanOut(t *testing.T) {
	rep, err := Run(context.Background(), corpusOnDisk(t, 2), Options{Quick: true})
	if err != nil || rep.RobustMean != 0 || rep.Standard == 0 {
		t.Errorf("%+v, %v", rep, err)
	}
}

func TestRunStopsWhenTold(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	stop()
	if _, err := Run(ctx, corpusOnDisk(t, 2), Options{}); err == nil {
		t.Error("a cancelled run succeeded")
	}
}

func TestDamagedCorporaAreNamed(t *testing.T) {
	labels := func(s string) func(string) {
		return func(d string) { os.WriteFile(filepath.Join(d, "labels", "combined_windows.json"), []byte(s), 0o644) }
	}
	for name, c := range map[string]struct {
		damage func(dir string)
		says   string
	}{
		"no labels":    {func(d string) { os.RemoveAll(filepath.Join(d, "labels")) }, "labels"},
		"empty labels": {labels(`{}`), "no files"},
		"missing file": {labels(`{"made/none.csv":[]}`), "none.csv"},
		"foreign time": {labels(`{"made/file0.csv":[["2031-01-01 00:00:00","2031-01-02 00:00:00"]]}`), "2031"},
		"broken number": {func(d string) {
			os.WriteFile(filepath.Join(d, "data/made/file0.csv"), []byte("timestamp,value\n2020-03-02 00:00:00,many\n"), 0o644)
		}, "many"},
		"broken time": {func(d string) {
			os.WriteFile(filepath.Join(d, "data/made/file0.csv"), []byte("timestamp,value\nsoon,1\n"), 0o644)
		}, "soon"},
		"bad gzip": {func(d string) { os.WriteFile(filepath.Join(d, "published/numenta.csv.gz"), []byte("plain"), 0o644) }, "numenta"},
	} {
		dir := corpusOnDisk(t, 2)
		c.damage(dir)
		if _, err := Run(context.Background(), dir, Options{Quick: true}); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: error %v does not say %q", name, err, c.says)
		}
	}
}

// hand-made rows against the rules of the paper.
func TestScoringRules(t *testing.T) {
	f := file{windows: [][2]int64{{50, 69}}}
	for i := range int64(100) {
		f.t = append(f.t, i)
	}
	score := func(at ...int) float64 {
		f.scores = make([]float64, 100)
		for _, i := range at {
			f.scores[i] = 1
		}
		return scoreCorpus([]file{f}).Standard
	}
	if got := score(50); math.Abs(got-100) > 1e-9 {
		t.Errorf("an alarm on the first row of the window: %v, want 100", got)
	}
	if a, b := score(50), score(60); b >= a || b < 90 {
		t.Errorf("the middle of the window gives %v after %v at its start", b, a)
	}
	if a, b := score(50), score(50, 55, 60); a != b {
		t.Errorf("more alarms in one window changed %v to %v", a, b)
	}
	if got := score(5); got != 0 {
		t.Errorf("an alarm in the probation counts: %v", got)
	}
	if got, want := score(50, 30), 100-.11*100/2; math.Abs(got-want) > 1e-9 {
		t.Errorf("one false alarm far before: %v, want %v", got, want)
	}
	if near, far := score(50, 71), score(50, 95); near <= far {
		t.Errorf("an alarm just after the window (%v) must cost less than a far one (%v)", near, far)
	}
	if got := score(); got != 0 {
		t.Errorf("no alarms: %v, want 0", got)
	}
}
