// Package correlate measures how well alerts of other tools become incidents
// with a root, on recorded alerts of injected faults.
//
// It exists because recorded faults hardly ever overlap, so that a gap in time
// alone would solve grouping: the faults are laid over each other, one to four
// at a time, with noise, and the same stream goes through Norn (the correlator
// and cause analysis as the pipeline runs them) and through what people do
// without it. It reads nothing itself and knows no clock; streams depend on
// their seeds alone. [Run] is safe for concurrent use.
package correlate

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/norn-aiops/norn/internal/cause"
	"github.com/norn-aiops/norn/internal/graph"
	"github.com/norn-aiops/norn/internal/incident"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/replay"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// Options says what is run. Zero means the default in brackets.
type Options struct {
	Seeds    int    // streams of each kind [5]
	Only     string // "k,noise": only streams of this kind
	Half     int    // 1 or 2: only every other fault, to see what tuning is worth [0: all]
	Progress func(done, all int)
}

// Report is the outcome.
type Report struct {
	Seeds   []int          `json:"seeds"`
	Systems []SystemReport `json:"systems"`

	AloneTop1           float64 `json:"alone_top1"` // one fault a window, all faults of all systems
	AloneTop3           float64 `json:"alone_top3"`
	K2IncidentsPerFault float64 `json:"k2_incidents_per_fault"` // two at a time, 20 % noise, mean over systems
	K2Spurious          float64 `json:"k2_spurious"`
	K2Missed            float64 `json:"k2_missed"`
	K2IncidentF1        float64 `json:"k2_incident_f1"`
	K2Top1              float64 `json:"k2_top1"`
	K2Top1Service       float64 `json:"k2_top1_service_filter"` // of surprise filter + group by service
}

// SystemReport is one system's part.
type SystemReport struct {
	System string   `json:"system"`
	Faults int      `json:"faults"`
	Alerts int      `json:"alerts"`
	Issues []string `json:"issues"`
	Alone  []Alone  `json:"alone"`
	Rows   []Row    `json:"rows"`
}

// Alone is a ranking on one fault at a time.
type Alone struct {
	Method string `json:"method"`
	Top1   Value  `json:"top1"`
	Top3   Value  `json:"top3"`
}

// Row is one method on streams of one kind.
type Row struct {
	K      int     `json:"k"`
	Noise  float64 `json:"noise"`
	Method string  `json:"method"`
	Scores
}

// noises are the shares of noise alerts that are tried.
func noises() []float64 { return []float64{0, .1, .2, .3} }

// Run measures every system of the data.
func Run(ctx context.Context, sets []replay.AlertSet, o Options) (*Report, error) {
	if o.Seeds <= 0 {
		o.Seeds = 5
	}
	r := &Report{}
	for i := range o.Seeds {
		r.Seeds = append(r.Seeds, i+1)
	}
	kinds := kindsOf(o.Only)
	done, all := 0, len(sets)*len(kinds)*o.Seeds
	for _, set := range sets {
		s := prepare(set)
		if o.Half > 0 {
			s = prepare(half(set, o.Half))
		}
		if len(s.faults) == 0 {
			return nil, fmt.Errorf("%s has no fault with alerts: %w", set.Name, replay.ErrFormat)
		}
		sys := SystemReport{System: set.Name, Faults: len(s.faults), Issues: set.Issues, Alone: s.alone()}
		for i := range s.faults {
			sys.Alerts += len(s.faults[i].alerts)
		}
		for _, kind := range kinds {
			rows, err := s.rows(ctx, kind.k, kind.noise, o, func() {
				done++
				if o.Progress != nil {
					o.Progress(done, all)
				}
			})
			if err != nil {
				return nil, err
			}
			sys.Rows = append(sys.Rows, rows...)
		}
		r.Systems = append(r.Systems, sys)
	}
	r.headline()
	return r, nil
}

type kind struct {
	k     int
	noise float64
}

func kindsOf(only string) []kind {
	var one kind
	if n, err := fmt.Sscanf(only, "%d,%g", &one.k, &one.noise); err == nil && n == 2 {
		return []kind{one}
	}
	var out []kind
	for k := 1; k <= 4; k++ {
		for _, n := range noises() {
			out = append(out, kind{k, n})
		}
	}
	return out
}

// half keeps every other fault.
func half(set replay.AlertSet, which int) replay.AlertSet {
	out := set
	out.Faults = nil
	for i := range set.Faults {
		if i%2 == which-1 {
			out.Faults = append(out.Faults, set.Faults[i])
		}
	}
	return out
}

// rows runs all methods on the streams of one kind.
func (s *system) rows(ctx context.Context, k int, noise float64, o Options, tick func()) ([]Row, error) {
	var names []string
	by := map[string][]*tally{}
	for seed := 1; seed <= o.Seeds; seed++ {
		eps := s.stream(k, noise, seed)
		weigh(eps)
		methods := append([]method{newProduct(s)}, baselines(s)...)
		names = names[:0]
		for _, m := range methods {
			names = append(names, m.name())
			for _, ep := range eps {
				if err := ctx.Err(); err != nil {
					return nil, err
				}
				if ep.warm && m.name() != "norn" {
					continue
				}
				if cs := m.group(ep); !ep.warm {
					by[m.name()] = append(by[m.name()], judge(ep, cs))
				}
			}
		}
		tick()
	}
	var out []Row
	for _, n := range names {
		out = append(out, Row{K: k, Noise: noise, Method: n, Scores: scores(by[n])})
	}
	return out, nil
}

// weigh gives every alert its surprise as it arrives; one that flaps has none.
func weigh(eps []*episode) {
	p := incident.NewPresence()
	last := map[string]int64{}
	for _, ep := range eps {
		for i := range ep.events {
			e := &ep.events[i]
			k := seriesOf(&e.a)
			if t, ok := last[k]; ok && e.a.Onset-t <= 900_000 {
				last[k] = e.a.Onset
				continue
			}
			last[k] = e.a.Onset
			e.weight = p.Surprise(&e.a, e.arrive)
		}
	}
}

// alone ranks the root of every fault by itself, in their order, with what was
// learned of the alerts of the faults before.
func (s *system) alone() []Alone {
	view := graph.NewView(s.set.Edges)
	p := incident.NewPresence()
	sums := map[string][]*tally{}
	names := []string{"norn", "most alerts", "most alerts, by surprise", "first alert", "first surprising alert"}
	for i := range s.faults {
		f := &s.faults[i]
		at := streamFrom + int64(i)*30*60_000
		as := make([]ops.Anomaly, len(f.alerts))
		count, heavyCount := map[telemetry.Entity]float64{}, map[telemetry.Entity]float64{}
		var first, rare []telemetry.Entity
		for j := range f.alerts {
			a := f.alerts[j]
			a.Surprise = p.Surprise(&a, at)
			as[j] = a
			e := about(&a)
			count[e]++
			heavyCount[e] += a.Surprise
			first = append(first, e)
			if a.Surprise >= .5 {
				rare = append(rare, e)
			}
		}
		j := cause.Rank(cause.Input{Onset: as[0].Onset, Now: as[len(as)-1].Onset, View: view, Anomalies: as}, cause.Config{})
		for n, roots := range [][]telemetry.Entity{order(j.Causes), most(count), most(heavyCount), unique(first), unique(rare)} {
			t := &tally{faults: 1}
			for k, e := range roots[:min(3, len(roots))] {
				if e == f.root {
					t.top3++
					if k == 0 {
						t.top1++
					}
				}
			}
			sums[names[n]] = append(sums[names[n]], t)
		}
	}
	var out []Alone
	for _, n := range names {
		sc := scores(sums[n])
		out = append(out, Alone{n, sc.Top1, sc.Top3})
	}
	return out
}

// headline fills in the figures that stand for all.
func (r *Report) headline() {
	faults, systems := 0.0, 0.0
	for _, s := range r.Systems {
		faults += float64(s.Faults)
		r.AloneTop1 += float64(s.Faults) * s.Alone[0].Top1.Value
		r.AloneTop3 += float64(s.Faults) * s.Alone[0].Top3.Value
		for _, row := range s.Rows {
			if row.K != 2 || row.Noise != .2 {
				continue
			}
			switch row.Method {
			case "norn":
				systems++
				r.K2IncidentsPerFault += row.IncidentsPerFault.Value
				r.K2Spurious += row.Spurious.Value
				r.K2Missed += row.Missed.Value
				r.K2IncidentF1 += row.IncidentF1.Value
				r.K2Top1 += row.Top1.Value
			case "surprise filter + group by service":
				r.K2Top1Service += row.Top1.Value
			}
		}
	}
	for _, v := range []*float64{&r.AloneTop1, &r.AloneTop3} {
		*v /= max(faults, 1)
	}
	for _, v := range []*float64{&r.K2IncidentsPerFault, &r.K2Spurious, &r.K2Missed, &r.K2IncidentF1, &r.K2Top1, &r.K2Top1Service} {
		*v /= max(systems, 1)
	}
}

// Print writes the report as tables.
func (r *Report) Print(w io.Writer) error {
	for _, s := range r.Systems {
		fmt.Fprintf(w, "%s: %d faults with %d alerts, seeds %v; in brackets 95 %% intervals (bootstrap over episodes)\n", s.System, s.Faults, s.Alerts, r.Seeds)
		for _, i := range s.Issues {
			fmt.Fprintf(w, "  note: %s\n", i)
		}
		tw := tabwriter.NewWriter(w, 2, 4, 2, ' ', 0)
		fmt.Fprintln(tw, "\nROOT OF ONE FAULT ALONE\tTOP-1\tTOP-3")
		for _, a := range s.Alone {
			fmt.Fprintf(tw, "%s\t%s\t%s\n", a.Method, a.Top1, a.Top3)
		}
		fmt.Fprintln(tw, "\nAT A TIME\tNOISE\tMETHOD\tINCIDENT F1\tBEST F1\tPAIR F1\tINCIDENTS/FAULT\tSPURIOUS\tMISSED\tNOISE ATTACHED\tTOP-1\tTOP-3\tALERTS/INCIDENT\tDELAY")
		for _, x := range s.Rows {
			fmt.Fprintf(tw, "%d\t%.0f %%\t%s\t%s\t%s\t%.2f\t%s\t%s\t%s\t%.2f\t%s\t%s\t%.0f\t%.0f s\n", x.K, 100*x.Noise, x.Method, x.IncidentF1, x.MeanBestF1, x.PairF1.Value,
				x.IncidentsPerFault, x.Spurious, x.Missed, x.NoiseAttached.Value, x.Top1, x.Top3, x.AlertsPerIncident.Value, x.DelayS)
		}
		if err := tw.Flush(); err != nil {
			return fmt.Errorf("print the report: %w", err)
		}
		fmt.Fprintln(w)
	}
	_, err := fmt.Fprintf(w, "alone: top-1 %.3f, top-3 %.3f; two at a time with 20 %% noise: incidents per fault %.2f, spurious %.2f, missed %.2f, incident F1 %.2f, top-1 %.3f (surprise filter + group by service %.3f)\n",
		r.AloneTop1, r.AloneTop3, r.K2IncidentsPerFault, r.K2Spurious, r.K2Missed, r.K2IncidentF1, r.K2Top1, r.K2Top1Service)
	return err
}

// String gives a value with its interval.
func (v Value) String() string { return fmt.Sprintf("%.2f [%.2f %.2f]", v.Value, v.Low, v.High) }
