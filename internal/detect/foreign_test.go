package detect

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// judged feeds values and scores at one a minute and gives what was told.
type judged struct {
	f   *Foreign
	m   *telemetry.Series
	now int64
}

func (j *judged) feed(n int, v float64, score func() float64) (out []ops.Anomaly) {
	for range n {
		j.now += 60_000
		if a := j.f.Observe(telemetry.Point{Series: j.m, T: j.now, V: v}, score()); a != nil {
			out = append(out, *a)
		}
	}
	return out
}

func constantly(v float64) func() float64 { return func() float64 { return v } }

// A foreign score beyond its threshold becomes an anomaly that grows and ends,
// with the member's name, a p-value and what was expected.
func TestForeignScoresBecomeAnomalies(t *testing.T) {
	j := &judged{f: NewForeign(ForeignConfig{Member: "plugin:rise", Threshold: 2}), m: policySeries("pool", nil), now: 1_760_000_000_000}
	if got := j.feed(3000, 100, constantly(.5)); len(got) != 0 {
		t.Fatalf("calm scores told %+v", got)
	}
	got := j.feed(20, 150, constantly(8))
	if len(got) < 2 {
		t.Fatalf("told %+v", got)
	}
	first, last := got[0], got[len(got)-1]
	if first.Member != "plugin:rise" || first.ID != last.ID || first.Expected != 100 || first.Observed != 150 || first.Direction != telemetry.UpBad || first.Score != 8 {
		t.Errorf("first told as %+v", first)
	}
	if !(first.Severity > .15 && first.Severity < .34 && last.Severity > .7 && last.Severity <= 1) || !(last.P > 0 && last.P < .001) {
		t.Errorf("severity %v to %v, p %v", first.Severity, last.Severity, last.P)
	}
	end := j.feed(10, 100, constantly(0))
	if n := len(end); n == 0 || end[n-1].Ended == 0 || end[n-1].ID != first.ID || n > foreignEnd {
		t.Errorf("at its end: %+v", end)
	}
}

// Scores that are usual for a series raise its limit; others keep theirs.
func TestForeignScoresAreCalibratedAgainstTheirOwnPast(t *testing.T) {
	const seed = 3
	j := &judged{f: NewForeign(ForeignConfig{Member: "plugin:loud", Threshold: 2}), m: policySeries("pool", nil), now: 1_760_000_000_000}
	rng := rand.New(rand.NewPCG(seed, 1))
	loud := func() float64 { return math.Abs(3 * rng.NormFloat64()) }
	early, late := len(j.feed(5*1440, 100, loud)), len(j.feed(5*1440, 100, loud))
	if early == 0 || late > early/10 {
		t.Errorf("a loud detector told %d times in its first days, %d times later (seed %d)", early, late, seed)
	}
	if got := j.feed(10, 100, constantly(60)); len(got) == 0 {
		t.Error("a score far beyond its habit was not told")
	}
}

// No opinion, wrong times and values tell nothing; silence ends what is open.
func TestForeignJudgesTakeAnything(t *testing.T) {
	j := &judged{f: NewForeign(ForeignConfig{Member: "plugin:x", Threshold: 1, MaxSeries: 1}), m: policySeries("pool", nil), now: 1_760_000_000_000}
	for _, score := range []float64{math.NaN(), -1, math.Inf(1), math.Inf(-1)} {
		if got := j.feed(5, 1, constantly(score)); len(got) != 0 {
			t.Errorf("a score of %v told %+v", score, got)
		}
	}
	if a := j.f.Observe(telemetry.Point{T: 1, V: 1}, 5); a != nil {
		t.Errorf("a point of no series told %+v", a)
	}
	got := j.feed(5, 1, constantly(math.MaxFloat64))
	if len(got) == 0 || math.IsNaN(got[0].Severity) || math.IsInf(got[0].Score, 0) || math.IsNaN(got[0].P) {
		t.Fatalf("the largest score told %+v", got)
	}
	if a := j.f.Observe(telemetry.Point{Series: j.m, T: j.now - 1, V: 1}, 50); a != nil {
		t.Errorf("a late point told %+v", a)
	}
	if a := j.f.Observe(telemetry.Point{Series: policySeries("other", nil), T: j.now, V: 1}, 50); a != nil {
		t.Errorf("beyond the limit of series: %+v", a)
	}
	if end := j.f.Tick(j.now + 3600_000); len(end) != 1 || end[0].Ended == 0 {
		t.Errorf("after silence: %+v", end)
	}
	if again := j.f.Tick(j.now + 30*86400_000); len(again) != 0 || len(j.f.series) != 0 {
		t.Errorf("after a month: %+v, %d series", again, len(j.f.series))
	}
	j.f.SetQuietBefore(math.MaxInt64)
	if got := j.feed(50, 1, constantly(9)); len(got) != 0 {
		t.Errorf("told before the quiet mark: %+v", got)
	}
}
