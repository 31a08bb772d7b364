// Package load measures baselines that depend on the load, on a scenario set
// with known truth: services whose processor time and latency follow their
// traffic, through surges that cost no more per request, and through faults
// that make requests dearer while the traffic stays as it is.
//
// The detector alone and the detector with drivers see the same points in
// one run. The set is made from a seed; nothing in it was recorded. It asserts
// nothing. The main type is [Report].
package load

import (
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"text/tabwriter"

	"github.com/norn-aiops/norn/internal/detect"
	"github.com/norn-aiops/norn/internal/detect/driver"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// Options says how much is simulated; 0 means the default in brackets.
type Options struct {
	Services int // of each case; 8
	Days     int // of quiet past; 7
	Seed     uint64
	Progress func(done float64)
}

// Row is how one way of judging fares.
type Row struct {
	Name        string  `json:"name"`
	SurgeRaised int     `json:"surge_raised"` // surges in which processor or latency raised an alarm (wrong)
	Surges      int     `json:"surges"`
	Found       int     `json:"found"` // faults in which the dear series raised an alarm (right)
	Faults      int     `json:"faults"`
	NightFound  int     `json:"night_found"` // of those whose values are everyday ones
	Nights      int     `json:"nights"`
	DelayS      float64 `json:"median_delay_s"` // -1 when none was found
	FalseAlarms int     `json:"false_alarms"`   // on the last day, outside of the cases, of processor and latency
}

// Report is the result; JSON names are stable.
type Report struct {
	Services int   `json:"services"`
	Days     int   `json:"days"`
	Rows     []Row `json:"rows"`
}

const (
	step   = 60_000 // ms
	day    = 86_400_000
	lasts  = 40 * 60_000 // a case
	grace  = 10 * 60_000
	origin = 19_600 * int64(day)
)

// story is what happens to one service on the last day.
type story struct {
	name    string
	surge   float64 // factor on traffic
	cpu     float64 // factor on processor time a request
	latency float64 // factor on latency
	night   bool
}

func stories() []story {
	return []story{
		{name: "surge", surge: 2.5, cpu: 1, latency: 1},
		{name: "surge at night", surge: 3, cpu: 1, latency: 1, night: true},
		{name: "dearer requests", surge: 1, cpu: 1.8, latency: 1},
		{name: "dearer requests at night", surge: 1, cpu: 2, latency: 1, night: true},
		{name: "slow", surge: 1, cpu: 1, latency: 1.8},
		{name: "quiet", surge: 1, cpu: 1, latency: 1},
	}
}

// service is one simulated service.
type service struct {
	story         story
	rng           *rand.Rand
	peak, a, b, l float64
	phase         float64
	at            int64 // the case begins
	rate, cpu     *telemetry.Series
	latency       *telemetry.Series
}

func newService(i int, st story, seed uint64, days int) *service {
	rng := rand.New(rand.NewPCG(seed, uint64(i)))
	e := telemetry.Entity{Kind: telemetry.KindService, Name: fmt.Sprintf("service-%d", i)}
	series := func(k int, name string, sig telemetry.Signal, unit string) *telemetry.Series {
		return &telemetry.Series{ID: telemetry.SeriesID(1 + 3*i + k), Name: name, Entity: e, Signal: sig, Unit: unit, Direction: telemetry.UpBad}
	}
	s := &service{story: st, rng: rng, peak: 20 + 400*rng.Float64(), a: .02 + .05*rng.Float64(), l: .01 + .05*rng.Float64(), phase: rng.Float64() * .2}
	s.b = (.2 + .3*rng.Float64()) / s.peak
	s.rate = series(0, "norn_request_rate", telemetry.SignalTraffic, "{request}/s")
	s.cpu = series(1, "process_cpu_usage", telemetry.SignalSaturation, "1")
	s.latency = series(2, "norn_latency_seconds", telemetry.SignalLatency, "s")
	hour := 9 + 8*rng.Float64()
	if st.night {
		hour = 1 + 3*rng.Float64()
	}
	s.at = origin + int64(days)*day + int64(hour*3600_000)/step*step
	return s
}

// read gives rate, processor share and latency at t.
func (s *service) read(t int64) (rate, cpu, latency float64) {
	x := math.Mod(float64(t)/day+s.phase, 1)
	rate = s.peak * (.25 + .75*math.Pow(math.Sin(math.Pi*x), 2)) * math.Exp(.08*s.rng.NormFloat64())
	cost, slow := 1.0, 1.0
	if t >= s.at && t < s.at+lasts {
		rate *= s.story.surge
		cost, slow = s.story.cpu, s.story.latency
	}
	cpu = (s.a + s.b*rate*cost) * math.Exp(.05*s.rng.NormFloat64())
	latency = s.l * slow * (1 + math.Pow(rate/(1.6*s.peak), 2)) * math.Exp(.06*s.rng.NormFloat64())
	return rate, cpu, latency
}

// alarm is the beginning of an anomaly of processor time or latency.
type alarm struct {
	series telemetry.SeriesID
	t      int64
}

// Run simulates all services and judges them both ways.
func Run(ctx context.Context, o Options) (Report, error) {
	if o.Services <= 0 {
		o.Services = 8
	}
	if o.Days <= 0 {
		o.Days = 7
	}
	if o.Progress == nil {
		o.Progress = func(float64) {}
	}
	var all []*service
	for _, st := range stories() {
		for range o.Services {
			all = append(all, newService(len(all), st, o.Seed, o.Days))
		}
	}
	j := judges{engine: detect.New(detect.Config{}), book: driver.New(driver.Config{}), seen: map[string]bool{}}
	first, end := origin+int64(o.Days)*day, origin+int64(o.Days+1)*day
	for t := origin; t < end; t += step {
		if err := ctx.Err(); err != nil {
			return Report{}, err
		}
		if (t-origin)%(day/8) == 0 {
			o.Progress(float64(t-origin) / float64(end-origin))
		}
		j.minute(all, t, t >= first)
	}
	o.Progress(1)
	return Report{Services: len(all), Days: o.Days, Rows: []Row{score("time alone", all, j.plain), score("time and load", all, j.with)}}, nil
}

// judges see the same points.
type judges struct {
	engine      *detect.Engine
	book        *driver.Book
	seen        map[string]bool
	plain, with []alarm
}

// minute reads all services and judges them; alarms count from the last day on.
func (j *judges) minute(all []*service, t int64, counts bool) {
	var raised []ops.Anomaly
	groups := make([]driver.Group, 0, len(all))
	for _, s := range all {
		rate, cpu, lat := s.read(t)
		for _, p := range []telemetry.Point{{Series: s.rate, T: t, V: rate}, {Series: s.cpu, T: t, V: cpu}, {Series: s.latency, T: t, V: lat}} {
			if a := j.engine.Observe(p); a != nil && a.Ended == 0 && p.Series != s.rate {
				raised = append(raised, *a)
			}
		}
		groups = append(groups, driver.Group{Targets: []driver.Reading{{Series: s.cpu, V: cpu, T: t}, {Series: s.latency, V: lat, T: t}},
			Candidates: []driver.Reading{{Series: s.rate, V: rate, T: t}}})
	}
	dear := j.book.Step(t, groups)
	for i := range raised {
		if a := &raised[i]; j.first(a) && counts {
			j.plain = append(j.plain, alarm{a.SeriesID, a.Onset})
			if _, explained := j.book.Explains(a); !explained {
				j.with = append(j.with, alarm{a.SeriesID, a.Onset})
			}
		}
	}
	for i := range dear {
		if a := &dear[i]; a.Ended == 0 && j.first(a) && counts {
			j.with = append(j.with, alarm{a.SeriesID, t})
		}
	}
}

// first notes the anomaly and reports whether it is new.
func (j *judges) first(a *ops.Anomaly) bool {
	known := j.seen[a.ID]
	j.seen[a.ID] = true
	return !known
}

func score(name string, all []*service, alarms []alarm) Row {
	r := Row{Name: name, DelayS: -1}
	var delays []float64
	used := make([]bool, len(alarms))
	for _, s := range all {
		hit := s.hit(alarms, used)
		switch {
		case s.story.surge > 1:
			r.Surges++
			if hit >= 0 {
				r.SurgeRaised++
			}
		case s.story.cpu > 1 || s.story.latency > 1:
			r.fault(s, hit >= 0)
			if hit >= 0 {
				delays = append(delays, hit)
			}
		}
	}
	for i := range alarms {
		if !used[i] {
			r.FalseAlarms++
		}
	}
	if len(delays) > 0 {
		slices.Sort(delays)
		r.DelayS = delays[len(delays)/2]
	}
	return r
}

// hit is the delay (s) of the first alarm that the service's case raised, -1
// without one. For a fault only the dear series counts.
func (s *service) hit(alarms []alarm, used []bool) float64 {
	hit := -1.0
	for i, a := range alarms {
		if a.t < s.at-step || a.t > s.at+lasts+grace {
			continue
		}
		own := a.series == s.cpu.ID || a.series == s.latency.ID
		wanted := s.story.cpu > 1 && a.series == s.cpu.ID || s.story.latency > 1 && a.series == s.latency.ID
		if !own || s.story.surge <= 1 && !wanted {
			continue
		}
		used[i] = true
		if d := max(0, float64(a.t-s.at)/1000); hit < 0 || d < hit {
			hit = d
		}
	}
	return hit
}

func (r *Row) fault(s *service, found bool) {
	r.Faults++
	if s.story.night {
		r.Nights++
	}
	if found {
		r.Found++
		if s.story.night {
			r.NightFound++
		}
	}
}

// Print prints the report as a table.
func (r Report) Print(w io.Writer) error {
	fmt.Fprintf(w, "%d services, %d days of quiet past, one day with a case each; one reading a minute\n", r.Services, r.Days)
	tw := tabwriter.NewWriter(w, 2, 4, 2, ' ', 0)
	fmt.Fprintln(tw, "BASELINE GIVEN\tSURGES THAT RAISED\tFAULTS FOUND\tOF THEM AT NIGHT\tMEDIAN DELAY\tFALSE ALARMS")
	for _, x := range r.Rows {
		fmt.Fprintf(tw, "%s\t%d of %d\t%d of %d\t%d of %d\t%.0f s\t%d\n", x.Name, x.SurgeRaised, x.Surges, x.Found, x.Faults, x.NightFound, x.Nights, x.DelayS, x.FalseAlarms)
	}
	if err := tw.Flush(); err != nil {
		return fmt.Errorf("print the report: %w", err)
	}
	return nil
}
