package forecast

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// write makes a set of three series: a wave of twelve, a constant, one that
// climbs; and lines that cannot be used.
func write(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{"Train", "Test"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	value := map[string]func(i int) float64{
		"M1": func(i int) float64 { return 100 + 50*math.Sin(2*math.Pi*float64(i)/12) },
		"M2": func(int) float64 { return 5 },
		"M3": func(i int) float64 { return float64(10 + i) },
	}
	var train, test strings.Builder
	train.WriteString("\"V1\",\"V2\"\n")
	test.WriteString("\"V1\",\"V2\"\n")
	for _, id := range []string{"M1", "M2", "M3"} {
		for i := range 120 {
			fmt.Fprintf(&train, "%s%g", map[bool]string{true: "\"" + id + "\",", false: ","}[i == 0], value[id](i))
		}
		train.WriteString(",,\n")
		for i := range 18 {
			fmt.Fprintf(&test, "%s%g", map[bool]string{true: "\"" + id + "\",", false: ","}[i == 0], value[id](120+i))
		}
		test.WriteString("\n")
	}
	train.WriteString("M4,1,2,three\nM5,1,2,3,4,5\n")
	for name, text := range map[string]string{"Train/Monthly-train.csv": train.String(), "Test/Monthly-test.csv": test.String()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestASetIsReadScoredAndItsBadLinesAreNamed(t *testing.T) {
	r, err := Run(context.Background(), write(t), "Monthly", Options{CPU: func() time.Duration { return 0 }})
	if err != nil {
		t.Fatal(err)
	}
	if r.Series != 3 || r.Horizon != 18 || len(r.Rows) != 3 {
		t.Fatalf("%+v", r)
	}
	if r.SMAPE > 1 || r.Rows[2].OWA != 1 {
		t.Errorf("sMAPE %.3f of series without noise, Naive2's OWA %.3f", r.SMAPE, r.Rows[2].OWA)
	}
	all := strings.Join(r.Refused, "; ")
	if len(r.Refused) != 2 || !strings.Contains(all, "Monthly-train.csv line 5") || !strings.Contains(all, "M5: no test values") {
		t.Errorf("left out: %s", all)
	}
}

func TestASetThatIsNotThereIsAnError(t *testing.T) {
	if _, err := Run(context.Background(), t.TempDir(), "Hourly", Options{CPU: func() time.Duration { return 0 }}); err == nil || !strings.Contains(err.Error(), "Hourly-train.csv") {
		t.Errorf("%v", err)
	}
}

func TestNaive2TakesTheSeasonAwayOnlyWhereThereIsOne(t *testing.T) {
	y := make([]float64, 48)
	for i := range y {
		y[i] = 100 * []float64{.5, 1, 1.5, 1}[i%4]
	}
	f := naive2(y, 4, 4)
	for k, want := range []float64{50, 100, 150, 100} {
		if math.Abs(f[k]-want) > 1e-9 {
			t.Errorf("step %d: %v", k, f[k])
		}
	}
	for i := range y {
		y[i] = float64(i)
	}
	if f := naive2(y, 1, 2); f[0] != 47 || f[1] != 47 {
		t.Errorf("without a season: %v", f)
	}
}

func TestScoresByHand(t *testing.T) {
	s := series{id: "x", past: []float64{1, 3, 2, 4}, future: []float64{4, 2}}
	var a tally
	a.add(s, 1, []float64{5, 2})
	if want := (200.0/9 + 0) / 2; math.Abs(a.smape-want) > 1e-9 {
		t.Errorf("sMAPE %v, want %v", a.smape, want)
	}
	if want := .5 / (5.0 / 3); math.Abs(a.mase-want) > 1e-9 {
		t.Errorf("MASE %v, want %v", a.mase, want)
	}
}
