package detect

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/norn-aiops/norn/internal/ops"
)

// ids are the anomalies of severity at least sev among reports, by ID with
// their last word.
func ids(got []ops.Anomaly, sev float64) map[string]ops.Anomaly {
	out := map[string]ops.Anomaly{}
	for _, a := range got {
		if a.Severity >= sev {
			out[a.ID] = a
		}
	}
	return out
}

// A level that moves and stays is told once, as a change, becomes the new
// normal, and so does the way back.
func TestALevelShiftIsToldOnceAndBecomesNormal(t *testing.T) {
	for _, kind := range []string{"gaussian", "daily traffic", "lognormal latency", "cpu"} {
		t.Run(kind, func(t *testing.T) {
			st := begin(t, kind, 14, nil)
			factor := 1.6
			if kind == "lognormal latency" {
				factor = 3 // what moves by a half anyway shifts by more
			}
			up := func(_ int, v float64) float64 { return factor * v }
			st.play(1440, up)
			first := ids(st.got, .35)
			if len(first) != 1 {
				t.Fatalf("%d anomalies in the day of the shift: %+v", len(first), first)
			}
			for _, a := range first {
				if a.Kind != ops.AnomalyLevel || a.Ended == 0 || a.Ended-a.Onset < 100*60_000 || a.Ended-a.Onset > 7*3600_000 || !strings.Contains(a.Text, "new normal") {
					t.Errorf("%+v", a)
				}
			}
			st.got = nil
			st.play(5*1440, up)
			if n := ids(st.got, .35); len(n) > 0 {
				t.Errorf("%d anomalies in five days of the new normal: %+v", len(n), n)
			}
			st.got = nil
			st.play(1440, nil)
			if n := ids(st.got, .15); len(n) > 2 {
				t.Errorf("%d anomalies on the way back", len(n))
			}
			st.got = nil
			st.play(4*1440, nil)
			if n := ids(st.got, .35); len(n) > 1 { // a weekend may have to be learned anew
				t.Errorf("%d anomalies after the way back", len(n))
			}
		})
	}
}

// Noise that grows and stays is told on its first day, and is normal afterwards.
func TestMoreNoiseIsToldAndBecomesNormal(t *testing.T) {
	st := begin(t, "gaussian", 14, nil)
	r := rand.New(rand.NewPCG(9, 9))
	noisy := func(_ int, v float64) float64 { return v + 20*r.NormFloat64() }
	st.play(1440, noisy)
	if n := len(ids(st.got, 0)); n == 0 || n > 6 {
		t.Errorf("%d anomalies on the first day of four times the noise", n)
	}
	st.got = nil
	st.play(6*1440, noisy)
	if n := len(ids(st.got, 0)); n > 1 {
		t.Errorf("%d anomalies in six days of the new noise", n)
	}
}

// A slow rise that goes on for days is told as a drift, not every hour.
func TestATrendIsToldSeldom(t *testing.T) {
	st := begin(t, "gaussian", 14, nil)
	rise := 0.
	st.play(6*1440, func(_ int, v float64) float64 { rise += 40. / 1440; return v + rise })
	drifts := ids(st.got, 0)
	for _, a := range drifts {
		if a.Member != "drift" || a.Direction != 1 {
			t.Errorf("%+v", a)
		}
	}
	if len(drifts) == 0 || len(drifts) > 6 {
		t.Errorf("%d anomalies in six days of a rise", len(drifts))
	}
}
