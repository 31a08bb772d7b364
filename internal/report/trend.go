package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"
)

const (
	fewestTrend  = 10 // incidents that a trend of durations needs
	fewestCounts = 8  // incidents that a change of their number needs
	mostPairs    = 1500
	significant  = .05
)

// trends tests the number of incidents and the three times.
func trends(cases []*incident, o Options) []Trend {
	type column struct {
		name  string
		at, v []float64
	}
	cols := []column{{name: "mttd"}, {name: "mtta"}, {name: "mttr"}}
	add := func(k int, c *incident, v float64) {
		cols[k].at, cols[k].v = append(cols[k].at, float64(c.Opened)), append(cols[k].v, v)
	}
	var halves [2]int
	for _, c := range cases {
		if c.noise() {
			continue
		}
		halves[one(c.Opened >= o.From+(o.To-o.From)/2)]++
		add(0, c, seconds(c.Onset, c.Opened))
		if c.acked > 0 {
			add(1, c, seconds(c.Opened, c.acked))
		}
		if c.Resolved > 0 && c.Resolved <= o.To {
			add(2, c, seconds(c.Opened, c.Resolved))
		}
	}
	out := []Trend{counts(halves)}
	for _, c := range cols {
		out = append(out, timesTrend(c.name, c.at, c.v))
	}
	return out
}

func counts(halves [2]int) Trend {
	t := Trend{Figure: "incidents", N: halves[0] + halves[1], Test: "ratio of Poisson rates, second half to first", raw: 1, P: 1, Verdict: tooFew}
	if t.N >= fewestCounts {
		t.Slope, t.Low, t.High, t.raw = rateRatio(halves[0], halves[1])
		t.Slope = math.Min(1e6, t.Slope)
		t.Verdict = ""
	}
	return t
}

const (
	tooFew   = "too few to tell"
	noChange = "no change shown"
)

func timesTrend(name string, at, v []float64) Trend {
	t := Trend{Figure: name, N: len(v), Test: "Mann-Kendall", raw: 1, P: 1, Verdict: tooFew}
	if len(v) < fewestTrend {
		return t
	}
	if len(v) > mostPairs { // every k-th: the pairs grow with the square
		k := (len(v) + mostPairs - 1) / mostPairs
		var a, b []float64
		for i := 0; i < len(v); i += k {
			a, b = append(a, at[i]), append(b, v[i])
		}
		at, v = a, b
	}
	t.raw = mannKendall(v)
	t.Slope, t.Low, t.High = senSlope(at, v)
	t.Slope, t.Low, t.High = t.Slope*month, t.Low*month, t.High*month
	t.Verdict = ""
	return t
}

// correct takes into account how many trends were tested, and words them.
func (r *Report) correct() {
	var all []*Trend
	collect := func(list []Trend) {
		for i := range list {
			if list[i].Verdict == "" {
				all = append(all, &list[i])
			}
		}
	}
	collect(r.Trends)
	for i := range r.Groups {
		collect(r.Groups[i].Trends)
	}
	ps := make([]float64, len(all))
	for i, t := range all {
		ps[i] = t.raw
	}
	for i, p := range holm(ps) {
		t := all[i]
		t.P, t.Verdict = p, noChange
		middle := 0.0
		if t.Figure == "incidents" {
			middle = 1
		}
		switch {
		case p < significant && t.Slope > middle:
			t.Verdict = "rises"
		case p < significant && t.Slope < middle:
			t.Verdict = "falls"
		}
	}
	word(r.Trends)
	for i := range r.Groups {
		word(r.Groups[i].Trends)
	}
}

func word(list []Trend) {
	for i := range list {
		t := &list[i]
		switch {
		case t.Verdict == tooFew:
			t.Sentence = fmt.Sprintf("%s: too few to tell (%d)", t.Figure, t.N)
		case t.Figure == "incidents":
			t.Sentence = fmt.Sprintf("incidents: %s; the second half had %.2g times as many as the first (90 %%: %.2g to %.2g, p = %.2g)", t.Verdict, t.Slope, t.Low, t.High, t.P)
		default:
			t.Sentence = fmt.Sprintf("%s: %s; %s in 30 days (90 %%: %s to %s, p = %.2g)", t.Figure, t.Verdict, signed(t.Slope), signed(t.Low), signed(t.High), t.P)
		}
	}
}

func signed(s float64) string {
	if s < 0 {
		return "-" + Duration(-s)
	}
	return "+" + Duration(s)
}

// Duration writes seconds for people.
func Duration(s float64) string {
	d := time.Duration(math.Min(s, 1e9) * float64(time.Second))
	switch {
	case s < 10:
		return fmt.Sprintf("%.2g s", s)
	case s < 120:
		return fmt.Sprintf("%.0f s", s)
	case s < 2*3600:
		return fmt.Sprintf("%.0f min", d.Minutes())
	case s < 2*86400:
		return fmt.Sprintf("%.1f h", d.Hours())
	}
	return fmt.Sprintf("%.1f d", d.Hours()/24)
}

// efforts ranks causes by the time that is lost to them in 30 days. The
// interval takes both for chance, the number of incidents and their length.
func efforts(cases []*incident, o Options) []Effort {
	by := map[string][]*incident{}
	for _, c := range cases {
		if !c.noise() && c.root() != nil {
			by[c.key("cause")] = append(by[c.key("cause")], c)
		}
	}
	scale := float64(month) / float64(o.To-o.From)
	out := []Effort{}
	for name, list := range by {
		phases, lost := [3]float64{}, make([]float64, 0, len(list))
		for _, c := range list {
			answered := c.Opened
			if c.acked > c.Opened {
				answered = min(c.acked, c.end)
			}
			phases[0] += seconds(c.Onset, c.Opened) / 3600
			phases[1] += seconds(c.Opened, answered) / 3600
			phases[2] += seconds(answered, c.end) / 3600
			lost = append(lost, seconds(c.Onset, c.end)/3600)
		}
		e := Effort{Cause: name, Hours: (phases[0] + phases[1] + phases[2]) * scale}
		e.Low, e.High = sumInterval(lost)
		e.Low, e.High = e.Low*scale, e.High*scale
		k := 0
		for i := range phases {
			if phases[i] > phases[k] {
				k = i
			}
		}
		e.Phase = [...]string{"detect", "acknowledge", "repair"}[k]
		if e.Hours > 0 {
			e.Part = phases[k] * scale / e.Hours
		}
		e.Sentence = advice(&e, len(list))
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b Effort) int { return cmp.Or(cmp.Compare(b.Hours, a.Hours), cmp.Compare(a.Cause, b.Cause)) })
	return out[:min(5, len(out))]
}

func advice(e *Effort, n int) string {
	text := fmt.Sprintf("%s: %.3g hours in 30 days (90 %%: %.3g to %.3g, %d incidents)", e.Cause, e.Hours, e.Low, e.High, n)
	if n < fewestMean {
		return text + "; too few to say which part of it is slow"
	}
	what := map[string]string{"detect": "goes by before it is noticed", "acknowledge": "goes by before anybody answers", "repair": "goes into the repair"}[e.Phase]
	return fmt.Sprintf("%s; %.0f %% of it %s", text, 100*e.Part, what)
}

// sumInterval is the 90 % interval of the sum of incidents that come like a
// compound Poisson process: by its mean and variance, as a gamma distribution
// (E. Wilson and M. Hilferty's approximation).
func sumInterval(v []float64) (low, high float64) {
	var m, m2 float64
	for _, x := range v {
		m, m2 = m+x, m2+x*x
	}
	if m <= 0 {
		return 0, 0
	}
	k := m * m / m2
	at := func(z float64) float64 { return m * math.Pow(math.Max(0, 1-1/(9*k)+z/(3*math.Sqrt(k))), 3) }
	return at(-z90), at(z90)
}

// conclude writes the sentence at the top, and what is to be known.
func (r *Report) conclude() {
	w := &r.Whole
	if w.Incidents == 0 {
		r.Sentence = "No incidents: nothing to tell."
		return
	}
	r.Sentence = fmt.Sprintf("%d incidents, %.3g hours lost.", w.Incidents, w.LostHours)
	if len(r.Groups) > 1 && w.Incidents >= fewestMean {
		n := 0
		for n < len(r.Groups)-1 && r.Groups[n].Sum < .8 {
			n++
		}
		r.Sentence += fmt.Sprintf(" %.0f %% of that go to %d of %d (by %s), first of them %s.", 100*r.Groups[n].Sum, n+1, len(r.Groups), r.By, r.Groups[0].Name)
	}
	changed := ""
	for _, t := range r.Trends {
		if t.Verdict == "rises" || t.Verdict == "falls" {
			changed += " " + t.Sentence + "."
		}
	}
	switch {
	case changed != "":
		r.Sentence += changed
	case w.Incidents < fewestCounts:
		r.Sentence += " Too few to tell a trend."
	default:
		r.Sentence += " No change of their number or times is shown."
	}
	if w.Noise.Of == 0 {
		r.Notes = append(r.Notes, "no incident is marked real or noise, so the share of noise is not known")
	}
	if w.Acknowledge.N < w.Incidents {
		r.Notes = append(r.Notes, fmt.Sprintf("%d of %d incidents were never acknowledged; MTTA is of the others", w.Incidents-w.Acknowledge.N, w.Incidents))
	}
	if w.Open > 0 {
		r.Notes = append(r.Notes, fmt.Sprintf("%d incidents are open; MTTR is of the resolved ones, lost time counts all", w.Open))
	}
}
