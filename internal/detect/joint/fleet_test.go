package joint

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

var shopHost = telemetry.Entity{Kind: telemetry.KindHost, Name: "web-1"}

// plant is an entity whose metrics all follow one load.
type plant struct {
	f      *Fleet
	rng    *rand.Rand
	t      int64
	load   float64
	series []*telemetry.Series
	raised []ops.Anomaly
}

func newPlant(metrics int) *plant {
	p := &plant{f: NewFleet(FleetConfig{Learn: 20 * 3600_000}), rng: rand.New(rand.NewPCG(21, 22)), t: 1_700_000_000_000}
	for i := range metrics {
		p.series = append(p.series, &telemetry.Series{ID: telemetry.SeriesID(100 + i), Name: fmt.Sprintf("metric_%d", i), Entity: shopHost, Signal: telemetry.SignalSaturation})
	}
	return p
}

// run takes n rows; broken metrics go their own way, with values that are
// everyday ones for each of them alone.
func (p *plant) run(n int, broken ...int) {
	for range n {
		p.t += 30_000
		p.load = .97*p.load + .2*p.rng.NormFloat64()
		r := Row{Entity: shopHost}
		for i, s := range p.series {
			v := 10 + float64(i+1)*(p.load+.1*p.rng.NormFloat64())
			for _, b := range broken {
				if b == i {
					v = 10 - float64(i+1)*p.load*1.5
				}
			}
			r.Series, r.V, r.T = append(r.Series, s), append(r.V, v), append(r.T, p.t)
		}
		p.raised = append(p.raised, p.f.Step(p.t, []Row{r})...)
	}
}

func TestMetricsThatPartCompanyAreOneAnomalyThatNamesThem(t *testing.T) {
	p := newPlant(8)
	p.run(3000)
	quiet := len(p.raised)
	p.run(120, 2, 5)
	if len(p.raised) == quiet {
		t.Fatalf("nothing was raised; stats %+v", p.f.Stats())
	}
	a := p.raised[quiet]
	if a.Kind != ops.AnomalyJoint || a.Entity != shopHost || a.Severity <= 0 || a.P > 1e-4 || a.Onset >= p.t {
		t.Errorf("anomaly %+v", a)
	}
	last := p.raised[len(p.raised)-1]
	if !strings.Contains(last.Text, "metric_2") && !strings.Contains(last.Text, "metric_5") {
		t.Errorf("the blame %q names neither of the two", last.Text)
	}
	p.run(600)
	if last := p.raised[len(p.raised)-1]; last.Ended == 0 {
		t.Errorf("it never ended: %+v", last)
	}
	if quiet > 4 {
		t.Errorf("%d words in a quiet day", quiet)
	}
}

func TestEntitiesWithFewMetricsAreLeftToTheirSeries(t *testing.T) {
	p := newPlant(3)
	p.run(50)
	if s := p.f.Stats(); s.Entities != 0 {
		t.Errorf("%+v", s)
	}
	if _, ok := p.f.Explain(shopHost); ok {
		t.Error("explained though not judged")
	}
}

func TestMetricsComeAndGoWhileItRuns(t *testing.T) {
	p := newPlant(6)
	p.run(400)
	p.series = append(p.series, &telemetry.Series{ID: 900, Name: "late", Entity: shopHost})
	p.run(200)
	if x, _ := p.f.Explain(shopHost); x.Columns != 7 || x.Rows != 600 {
		t.Errorf("with the new metric: %d columns, %d rows", x.Columns, x.Rows)
	}
	p.series = p.series[2:]
	p.run(200)
	if x, _ := p.f.Explain(shopHost); x.Columns != 5 {
		t.Errorf("an hour after two metrics ended: %d columns", x.Columns)
	}
}

func TestOldValuesMakeNoNewRow(t *testing.T) {
	p := newPlant(6)
	p.run(100)
	before, _ := p.f.Explain(shopHost)
	r := Row{Entity: shopHost, Series: p.series, V: make([]float64, 6), T: []int64{p.t, p.t, p.t, p.t, p.t + 1, p.t + 1}}
	p.f.Step(p.t+30_000, []Row{r})
	if after, _ := p.f.Explain(shopHost); after.Rows != before.Rows {
		t.Error("a row of old values was taken")
	}
}

func TestTheFleetIsBounded(t *testing.T) {
	f := NewFleet(FleetConfig{MaxEntities: 3, Most: 6, MaxNeural: 1})
	for step := range 20 {
		var rows []Row
		for e := range 10 {
			r := Row{Entity: telemetry.Entity{Kind: telemetry.KindHost, Name: fmt.Sprint(e)}}
			for i := range 20 {
				r.Series = append(r.Series, &telemetry.Series{ID: telemetry.SeriesID(1000*e + i), Name: "m"})
				r.T = append(r.T, int64(step+1))
				r.V = append(r.V, []float64{1, math.NaN(), math.Inf(1), -1e300}[(step+i)%4])
			}
			rows = append(rows, r)
		}
		f.Step(int64(step)*30_000, rows)
	}
	s := f.Stats()
	if s.Entities != 3 || s.Overflow != 7*20 {
		t.Errorf("stats %+v", s)
	}
	for _, m := range f.members {
		if len(m.columns) > 6 {
			t.Errorf("%d columns", len(m.columns))
		}
	}
}

func TestAFleetGoesOnAfterARestart(t *testing.T) {
	a := newPlant(8)
	a.run(3000)
	var buf bytes.Buffer
	if err := a.f.Snapshot(&buf); err != nil {
		t.Fatal(err)
	}
	whole := bytes.Clone(buf.Bytes())
	b := newPlant(8)
	if err := b.f.Restore(&buf); err != nil {
		t.Fatal(err)
	}
	b.t, b.load = a.t, a.load
	a.rng, b.rng = rand.New(rand.NewPCG(5, 6)), rand.New(rand.NewPCG(5, 6))
	a.raised = nil
	a.run(240, 2, 5)
	b.run(240, 2, 5)
	if len(a.raised) == 0 || fmt.Sprint(a.raised) != fmt.Sprint(b.raised) {
		t.Errorf("%d words without a restart, %d with", len(a.raised), len(b.raised))
	}
	before := b.f.Stats()
	for _, n := range []int{0, 10, len(whole) / 2} {
		if err := b.f.Restore(bytes.NewReader(whole[:n])); err == nil {
			t.Errorf("%d bytes of a snapshot were taken", n)
		}
	}
	if after := b.f.Stats(); after != before {
		t.Errorf("damaged snapshots changed the fleet: %+v", after)
	}
}

func TestNetworksAreTrainedALittleAtATime(t *testing.T) {
	p := newPlant(6)
	p.run(6000)
	for range 3000 {
		p.f.Train(20)
	}
	x, ok := p.f.Explain(shopHost)
	if !ok || !x.Training && x.Choice.Contests == 0 {
		t.Errorf("no network was trained: %+v", x)
	}
}
