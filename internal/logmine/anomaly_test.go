package logmine_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/norn-aiops/norn/internal/logmine"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// talk lets a service talk for some minutes: lines a minute of information, and
// of errors, spread over the minute; it returns what is raised.
type talk struct {
	m   *logmine.Miner
	now int64 // Unix ms
	rng *rand.Rand
}

func (k *talk) add(body string, sev telemetry.Severity) *ops.Anomaly {
	_, a := k.m.Add(&telemetry.LogRecord{Time: k.now * 1e6, Body: body, Severity: sev, Entity: telemetry.Entity{Kind: telemetry.KindService, Name: "cart"}})
	return a
}

func (k *talk) minutes(n int, info, bad float64) (out []ops.Anomaly, samples []logmine.RateSample) {
	for range n * 6 {
		for range k.poisson(info / 6) {
			k.add(fmt.Sprintf("order %d took %d ms, queue length %d", k.rng.IntN(1e6), 40+k.rng.IntN(20), 3+k.rng.IntN(4)), telemetry.SeverityInfo)
		}
		for range k.poisson(bad / 6) {
			k.add(fmt.Sprintf("order %d could not be stored", k.rng.IntN(1e6)), telemetry.SeverityError)
		}
		k.now += 10_000
		samples = append(samples, k.m.Flush(k.now)...)
		out = append(out, k.m.Tick(k.now)...)
	}
	return out, samples
}

func (k *talk) poisson(mean float64) (n int) {
	for s := k.rng.ExpFloat64(); s < mean; s += k.rng.ExpFloat64() {
		n++
	}
	return n
}

// Ten times as much of everything is no shift of severity; a tenth of the lines
// turning into errors is, and it ends.
func TestTheShareOfErrorsIsWatchedWhateverTheLoad(t *testing.T) {
	k := &talk{m: logmine.New(logmine.Config{}), now: 1_800_000_000_000, rng: rand.New(rand.NewPCG(8, 1))}
	if calm, _ := k.minutes(180, 60, 1); len(calm) != 0 {
		t.Errorf("in three calm hours: %+v", calm)
	}
	if busy, _ := k.minutes(10, 600, 10); len(busy) != 0 {
		t.Errorf("ten times the load: %+v", busy)
	}
	k.minutes(60, 60, 1)
	bad, _ := k.minutes(6, 50, 30)
	if len(bad) == 0 {
		t.Fatal("a third of the lines are errors and nothing is said")
	}
	a := bad[len(bad)-1]
	if a.Kind != ops.AnomalySeverity || a.Observed < .2 || !strings.Contains(a.Text, "could not be stored") || a.Query != `service:="cart" severity:in(warn, error, fatal)` || !strings.Contains(a.Usual, "of the hour before") {
		t.Errorf("%+v", a)
	}
	after, _ := k.minutes(10, 60, 1)
	if len(after) == 0 || after[len(after)-1].Ended == 0 {
		t.Errorf("it does not end: %+v", after)
	}
}

func TestNumbersInLinesBecomeSeriesWithTheirUnits(t *testing.T) {
	k := &talk{m: logmine.New(logmine.Config{}), now: 1_800_000_000_000, rng: rand.New(rand.NewPCG(9, 1))}
	_, samples := k.minutes(10, 120, 0)
	found := map[string]logmine.RateSample{}
	for _, s := range samples {
		if p := s.Labels.Get("param"); p != "" {
			found[s.Labels.Get("__name__")+" "+p] = s
		}
	}
	if s := found["norn_log_param_seconds took"]; s.V < .045 || s.V > .055 {
		t.Errorf("time: %+v of %v", s, found)
	}
	if s := found["norn_log_param length"]; s.V < 4 || s.V > 5 {
		t.Errorf("queue length: %+v of %v", s, found)
	}
	if len(found) != 2 {
		t.Errorf("an order's number is no measure: %v", found)
	}
}

// A failure that came now and then long ago and comes again is told, with its
// past; one that comes every other day is not.
func TestASeldomFailureThatReturnsIsToldOnce(t *testing.T) {
	k := &talk{m: logmine.New(logmine.Config{}), now: 1_800_000_000_000, rng: rand.New(rand.NewPCG(10, 1))}
	k.minutes(30, 60, 0)
	k.add("disk of shard 7 is failing", telemetry.SeverityError)
	for range 5 {
		k.now += 3600_000
		k.add("disk of shard 8 is failing", telemetry.SeverityError)
		k.add("backup failed", telemetry.SeverityError)
	}
	for range 4 {
		k.now += 48 * 3600_000
		k.add("backup failed", telemetry.SeverityError)
	}
	if a := k.add("backup failed", telemetry.SeverityError); a != nil {
		t.Errorf("a usual failure: %+v", a)
	}
	k.now += int64(time.Hour / time.Millisecond)
	a := k.add("disk of shard 9 is failing", telemetry.SeverityError)
	if a == nil || a.Kind != ops.AnomalyRare || a.Text != "disk of shard 9 is failing" || !strings.Contains(a.Usual, "6 lines since") || a.Query == "" {
		t.Fatalf("%+v", a)
	}
	if again := k.add("disk of shard 9 is failing", telemetry.SeverityError); again != nil {
		t.Errorf("told twice: %+v", again)
	}
}
