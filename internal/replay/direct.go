package replay

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/prometheus/prometheus/storage"

	"github.com/norn-aiops/norn/internal/cause"
	"github.com/norn-aiops/norn/internal/graph"
	"github.com/norn-aiops/norn/internal/normalize"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/store"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// DirectReport is the score of cause analysis alone, by the data set's own
// published protocol: the target and the time are given, detection and
// correlation take no part.
type DirectReport struct {
	Format      string        `json:"format"`
	Protocol    string        `json:"protocol"`
	Groups      []DirectGroup `json:"groups"`
	Cases       int           `json:"cases"`
	Top1        int           `json:"top1"`
	Top3        int           `json:"top3"`
	Top1Share   float64       `json:"top1_share"`
	Top3Share   float64       `json:"top3_share"`
	Specificity float64       `json:"specificity"` // share of normal windows with no cause beside the target; -1 when not measured
	Answers     []Answer      `json:"answers"`
}

// DirectGroup is one row of the published table.
type DirectGroup struct {
	Name        string  `json:"name"`
	Cases       int     `json:"cases"`
	Top1        int     `json:"top1"`
	Top3        int     `json:"top3"`
	Top1Share   float64 `json:"top1_share"`
	Top3Share   float64 `json:"top3_share"`
	Normal      int     `json:"normal_windows"`
	Specificity float64 `json:"specificity"` // -1 when not measured
}

// Answer is what was said of one case.
type Answer struct {
	Fault   string   `json:"fault"`
	Kind    string   `json:"kind"`
	Truth   string   `json:"truth"`
	Causes  []string `json:"causes"` // up to five, best first
	Verdict string   `json:"verdict"`
	Rank    int      `json:"rank"` // of the truth, 0 when absent
	Text    string   `json:"text"`
}

// Direct scores cause analysis on a folder of the given format. ok is false
// for formats without a published protocol that gives the target and time.
func Direct(dir, format string, cfg cause.Config) (rep DirectReport, ok bool, err error) {
	switch format {
	case "petshop":
		rep, err = directPetshop(dir, cfg)
	case "rcd-sockshop":
		rep, err = directSockshop(dir, cfg)
	case "nezha":
		rep, err = directNezha(dir, cfg)
	default:
		return rep, false, nil
	}
	if err != nil {
		return rep, true, fmt.Errorf("score causes on %s folder %s: %w", format, dir, err)
	}
	return rep, true, nil
}

// table collects samples into cause.Series through the same normalisation as
// the pipeline.
type table struct {
	deriver *normalize.Deriver
	series  map[telemetry.SeriesID]*tableSeries
	pre     int64 // ms before a window that are its Pre, not baseline
}

type tableSeries struct {
	meta    *telemetry.Series
	samples []telemetry.Sample
}

func newTable() *table {
	return &table{deriver: normalize.NewDeriver(), series: map[telemetry.SeriesID]*tableSeries{}}
}

// add normalises samples; they must come in order of time per series.
func (t *table) add(in []Sample) {
	batch := make([]store.Committed, len(in))
	for i, s := range in {
		batch[i] = store.Committed{Ref: storage.SeriesRef(s.Labels.Hash()), Labels: s.Labels, T: s.T, V: s.V, Type: s.Type, Unit: s.Unit}
	}
	for _, p := range t.deriver.Derive(batch, nil) {
		ts := t.series[p.Series.ID]
		if ts == nil {
			ts = &tableSeries{meta: p.Series}
			t.series[p.Series.ID] = ts
		}
		ts.samples = append(ts.samples, telemetry.Sample{T: p.T, V: p.V})
	}
}

// cut makes the input of a judgement: the samples in base are the baseline,
// those in window the window. keep chooses series; nil keeps all.
func (t *table) cut(base func(int64) bool, window Interval, keep func(*telemetry.Series) bool) []cause.Series {
	out := make([]cause.Series, 0, len(t.series))
	for _, ts := range t.series {
		if keep != nil && !keep(ts.meta) {
			continue
		}
		s := cause.Series{Meta: ts.meta}
		for _, p := range ts.samples {
			switch {
			case p.T >= window.From && p.T <= window.To:
				s.Window = append(s.Window, p)
			case p.T < window.From && p.T >= window.From-t.pre:
				s.Pre = append(s.Pre, p)
			case base(p.T):
				s.Baseline = append(s.Baseline, p)
			}
		}
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b cause.Series) int { return cmp.Compare(a.Meta.ID, b.Meta.ID) })
	return out
}

// answer turns a judgement into a scored answer. The target counts as an
// answer only for groups whose truth may be the target.
func answer(f Fault, j ops.Judgement, skip telemetry.Entity) Answer {
	a := Answer{Fault: f.ID, Kind: f.Kind, Truth: f.Entity.Name, Verdict: string(j.Verdict), Text: j.Sentence, Causes: []string{}}
	for _, c := range ranked(j.Causes) {
		if c.Entity == skip {
			continue
		}
		if len(a.Causes) < 5 {
			a.Causes = append(a.Causes, c.Entity.Name)
		}
	}
	for i, n := range a.Causes {
		if n == f.Entity.Name {
			a.Rank = i + 1
		}
	}
	return a
}

// ranked gives the causes by score.
func ranked(cs []ops.Cause) []ops.Cause {
	out := slices.Clone(cs)
	slices.SortStableFunc(out, func(a, b ops.Cause) int { return cmp.Compare(b.Score, a.Score) })
	return out
}

// tally fills a group's recalls from answers.
func tally(name string, as []Answer) DirectGroup {
	g := DirectGroup{Name: name, Cases: len(as), Specificity: -1}
	for _, a := range as {
		if a.Rank == 1 {
			g.Top1++
		}
		if a.Rank >= 1 && a.Rank <= 3 {
			g.Top3++
		}
	}
	if len(as) > 0 {
		g.Top1Share = float64(g.Top1) / float64(len(as))
		g.Top3Share = float64(g.Top3) / float64(len(as))
	}
	return g
}

func (r *DirectReport) finish() {
	all := tally("", r.Answers)
	r.Cases, r.Top1, r.Top3, r.Top1Share, r.Top3Share, r.Specificity = all.Cases, all.Top1, all.Top3, all.Top1Share, all.Top3Share, -1
	n, sum := 0, 0.0
	for _, g := range r.Groups {
		if g.Normal > 0 {
			n += g.Normal
			sum += g.Specificity * float64(g.Normal)
		}
	}
	if n > 0 {
		r.Specificity = sum / float64(n)
	}
}

// directPetshop is the published protocol of PetShop: the target (node and
// metric) and the window of the issue are given, the baseline is normal
// operation of the same traffic; recall of the root, and the share of windows
// of normal operation in which no cause is named. As published, the target
// itself is not an answer.
func directPetshop(dir string, cfg cause.Config) (DirectReport, error) {
	rep := DirectReport{Format: "petshop", Protocol: "target metric and issue window given; target excluded as an answer"}
	scs, err := petshopScenarios(dir)
	if err != nil {
		return rep, err
	}
	for _, sc := range scs {
		for _, metric := range []string{"latency", "availability"} {
			as := []Answer{}
			for i := range sc.issues {
				if is := &sc.issues[i]; is.target.Target.Metric == metric {
					in := sc.issueInput(is, scs)
					as = append(as, answer(is.fault, cause.Rank(in, cfg), is.fault.Target))
				}
			}
			if len(as) == 0 {
				continue
			}
			g := tally(sc.name+" "+metric, as)
			g.Normal, g.Specificity = sc.specificity(metric, cfg)
			rep.Groups = append(rep.Groups, g)
			rep.Answers = append(rep.Answers, as...)
		}
	}
	rep.finish()
	return rep, nil
}

// keepFor chooses the series that the protocol gives: the target's metric as
// an average, and request counts.
func keepFor(sig telemetry.Signal) func(*telemetry.Series) bool {
	return func(s *telemetry.Series) bool {
		return s.Signal == telemetry.SignalTraffic || s.Signal == sig && s.Labels.Get("quantile") == ""
	}
}

// issueInput builds the judgement's input. A scenario without normal rows
// borrows those of the others and the rows before its own issues.
func (sc *petshopScenario) issueInput(is *petshopIssue, all []*petshopScenario) cause.Input {
	t := newTable()
	lo, hi := int64(math.MaxInt64), int64(math.MinInt64)
	for _, ts := range is.rows.times {
		lo, hi = min(lo, ts), max(hi, ts)
	}
	normals := []*petshopTable{sc.normal}
	if sc.normal == nil {
		normals = normals[:0]
		for _, o := range all {
			if o.normal != nil {
				normals = append(normals, o.normal)
			}
		}
	}
	b := newBatch(1)
	for i, n := range normals { // normal rows may be newer than the issue: move them before it
		n.addTo(b, lo-petshopStep-n.times[len(n.times)-1]-int64(i)*1000)
	}
	is.rows.addTo(b, 0)
	for _, it := range b.feed().items {
		t.add(it.Samples)
	}
	w := Interval{lo, hi}
	return cause.Input{Onset: is.fault.Onset, Now: hi, Target: is.fault.Target, View: graph.NewView(sc.edges),
		Series: t.cut(func(ts int64) bool { return ts < lo }, w, keepFor(is.fault.Signal))}
}

// specificity judges windows of five rows of normal operation.
func (sc *petshopScenario) specificity(metric string, cfg cause.Config) (n int, share float64) {
	if sc.normal == nil || len(sc.issues) == 0 || len(sc.normal.times) < 50 {
		return 0, -1
	}
	sig, target := telemetry.SignalLatency, sc.issues[0].fault.Target
	if metric == "availability" {
		sig = telemetry.SignalErrors
	}
	t := newTable()
	b := newBatch(1)
	sc.normal.addTo(b, 0)
	for _, it := range b.feed().items {
		t.add(it.Samples)
	}
	clean := 0
	for i := 20; i+5 <= len(sc.normal.times); i += 25 {
		w := Interval{sc.normal.times[i], sc.normal.times[i+4]}
		in := cause.Input{Onset: w.From, Now: w.To, Target: target, View: graph.NewView(sc.edges),
			Series: t.cut(func(ts int64) bool { return ts < w.From || ts > w.To }, w, keepFor(sig))}
		n++
		if len(roots(cause.Rank(in, cfg), target)) == 0 {
			clean++
		}
	}
	if n == 0 {
		return 0, -1
	}
	return n, float64(clean) / float64(n)
}

// roots lists the named roots without skip.
func roots(j ops.Judgement, skip telemetry.Entity) []telemetry.Entity {
	var out []telemetry.Entity
	if j.Verdict == ops.VerdictNoIncident {
		return nil
	}
	for _, c := range j.Causes {
		if c.Role == ops.RoleRoot && c.Entity != skip {
			out = append(out, c.Entity)
		}
	}
	return out
}

// directSockshop is the protocol of RCD and of later comparisons: the time of
// injection is given, no target; services are ranked.
func directSockshop(dir string, cfg cause.Config) (DirectReport, error) {
	rep := DirectReport{Format: "rcd-sockshop", Protocol: "injection time given; services ranked"}
	cases, err := sockshopCases(dir)
	if err != nil {
		return rep, err
	}
	groups := map[string][]Answer{}
	for _, c := range cases {
		t := newTable()
		t.add(c.normal)
		t.add(c.anomalous)
		w := Interval{c.faultStart, c.faultE}
		in := cause.Input{Onset: c.faultStart, Now: c.faultE, View: graph.NewView(sockshopEdges(c.faultStart)),
			Series: t.cut(func(ts int64) bool { return ts < w.From }, w, nil)}
		f := Fault{ID: c.name, Entity: service(c.service), Kind: c.fault}
		a := answer(f, cause.Rank(in, cfg), telemetry.Entity{})
		groups[c.fault] = append(groups[c.fault], a)
		rep.Answers = append(rep.Answers, a)
	}
	for _, k := range sortedKeys(groups) {
		rep.Groups = append(rep.Groups, tally(k, groups[k]))
	}
	rep.finish()
	return rep, nil
}

func sortedKeys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
