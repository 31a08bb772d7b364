package correlate

import (
	"math/rand/v2"
	"slices"
)

// tally holds the sums of one episode, from which all scores are made.
type tally struct {
	faults, missed           float64
	clusters, owned, strange float64 // incidents: all, with a fault's majority, without
	alerts                   float64 // in incidents
	noise, noiseIn           float64 // noise alerts, and those that are in a fault's incident
	bestF1                   float64 // sum over faults
	top1, top3               float64
	tp, fp, fn               float64 // pairs of specific alerts
	delay                    []float64
}

func (t *tally) add(o *tally) {
	t.faults += o.faults
	t.missed += o.missed
	t.clusters += o.clusters
	t.owned += o.owned
	t.strange += o.strange
	t.alerts += o.alerts
	t.noise += o.noise
	t.noiseIn += o.noiseIn
	t.bestF1 += o.bestF1
	t.top1 += o.top1
	t.top3 += o.top3
	t.tp += o.tp
	t.fp += o.fp
	t.fn += o.fn
	t.delay = append(t.delay, o.delay...)
}

// Weights of an incident's alerts when its majority is taken.
const (
	weighSpecific = 1.0
	weighOther    = .05
	weighNoise    = .3
)

// judge scores what a method made of an episode.
func judge(ep *episode, cs []cluster) *tally {
	t := &tally{faults: float64(len(ep.faults)), clusters: float64(len(cs))}
	holder := make([]int, len(ep.events)) // -1 in none
	for i := range holder {
		holder[i] = -1
	}
	owner := make([]int, len(cs)) // fault, or -1
	mass := make([]float64, len(cs))
	for k := range cs {
		owner[k], mass[k] = majority(ep, &cs[k])
		for _, i := range cs[k].members {
			holder[i] = k
		}
		t.alerts += float64(len(cs[k].members))
		if owner[k] < 0 {
			t.strange++
		} else {
			t.owned++
		}
	}
	for i := range ep.events {
		if ep.events[i].label < 0 {
			t.noise++
			if k := holder[i]; k >= 0 && owner[k] >= 0 {
				t.noiseIn++
			}
		}
	}
	for f := range ep.faults {
		t.fault(ep, cs, f, owner, mass)
	}
	t.pairs(ep, holder)
	return t
}

// majority is the label with the largest weight, each noise source its own.
func majority(ep *episode, c *cluster) (fault int, mass float64) {
	by := map[int]float64{}
	for _, i := range c.members {
		switch e := &ep.events[i]; {
		case e.label < 0:
			by[e.label] += weighNoise
		case e.specific:
			by[e.label] += weighSpecific
		default:
			by[e.label] += weighOther
		}
	}
	best, top := -1, 0.0
	for l, w := range by {
		if w > top || w == top && l > best {
			best, top = l, w
		}
	}
	if best < 0 {
		return -1, 0
	}
	return best, top
}

// fault scores one fault: by the incident that holds most of its weight.
func (t *tally) fault(ep *episode, cs []cluster, f int, owner []int, mass []float64) {
	main := -1
	all := 0.0
	for i := range ep.events {
		if e := &ep.events[i]; e.label == f && e.specific && !e.shared {
			all++
		}
	}
	best := 0.0
	for k := range cs {
		if owner[k] == f && (main < 0 || mass[k] > mass[main]) {
			main = k
		}
		hit, size := 0.0, 0.0
		for _, i := range cs[k].members {
			if e := &ep.events[i]; e.label >= 0 && e.specific && !e.shared {
				size++
				if e.label == f {
					hit++
				}
			}
		}
		if hit > 0 {
			best = max(best, 2*hit/(size+all))
		}
	}
	t.bestF1 += best
	if main < 0 {
		t.missed++
		return
	}
	t.delay = append(t.delay, float64(cs[main].opened-ep.faults[f].start)/1000)
	switch at := slices.Index(cs[main].roots, ep.faults[f].root); {
	case at == 0:
		t.top1++
		t.top3++
	case at == 1 || at == 2:
		t.top3++
	}
}

// pairs counts pairs of specific alerts; one in no incident is alone.
func (t *tally) pairs(ep *episode, holder []int) {
	type cell struct{ label, holder int }
	cells, labels, holders := map[cell]float64{}, map[int]float64{}, map[int]float64{}
	for i := range ep.events {
		e := &ep.events[i]
		if e.label < 0 || !e.specific || e.shared {
			continue
		}
		labels[e.label]++
		if holder[i] >= 0 {
			cells[cell{e.label, holder[i]}]++
			holders[holder[i]]++
		}
	}
	two := func(n float64) float64 { return n * (n - 1) / 2 }
	tp, same, together := 0.0, 0.0, 0.0
	for _, n := range cells {
		tp += two(n)
	}
	for _, n := range labels {
		same += two(n)
	}
	for _, n := range holders {
		together += two(n)
	}
	t.tp, t.fp, t.fn = tp, together-tp, same-tp
}

// Value is a score with the 95 % interval of a bootstrap over episodes.
type Value struct {
	Value float64 `json:"value"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
}

// Scores are a method's scores on one kind of stream.
type Scores struct {
	IncidentF1        Value   `json:"incident_f1"`  // of faults that have an incident, and incidents that are the first of a fault
	MeanBestF1        Value   `json:"mean_best_f1"` // over faults, of the best incident, specific alerts
	PairF1            Value   `json:"pair_f1"`      // of pairs of specific alerts
	IncidentsPerFault Value   `json:"incidents_per_fault"`
	Spurious          Value   `json:"spurious"` // incidents without a fault's majority, per fault
	Missed            Value   `json:"missed"`
	NoiseAttached     Value   `json:"noise_attached"`
	Top1              Value   `json:"top1"`
	Top3              Value   `json:"top3"`
	AlertsPerIncident Value   `json:"alerts_per_incident"`
	DelayS            float64 `json:"median_delay_s"` // from a fault's start to its incident; noise may open one before
}

func (t *tally) score(name string) float64 {
	div := func(a, b float64) float64 {
		if b == 0 {
			return 0
		}
		return a / b
	}
	switch name {
	case "incident_f1":
		recall, precision := div(t.faults-t.missed, t.faults), div(t.faults-t.missed, t.clusters)
		return div(2*recall*precision, recall+precision)
	case "mean_best_f1":
		return div(t.bestF1, t.faults)
	case "pair_f1":
		return div(2*t.tp, 2*t.tp+t.fp+t.fn)
	case "incidents_per_fault":
		return div(t.owned, t.faults)
	case "spurious":
		return div(t.strange, t.faults)
	case "missed":
		return div(t.missed, t.faults)
	case "noise_attached":
		return div(t.noiseIn, t.noise)
	case "top1":
		return div(t.top1, t.faults)
	case "top3":
		return div(t.top3, t.faults)
	case "alerts_per_incident":
		return div(t.alerts, t.clusters)
	}
	return 0
}

const resamples = 400

// scores sums the episodes and resamples them for intervals.
func scores(ts []*tally) Scores {
	total := &tally{}
	for _, t := range ts {
		total.add(t)
	}
	rng := rand.New(rand.NewPCG(1, uint64(len(ts))))
	draws := make([]*tally, resamples)
	for i := range draws {
		draws[i] = &tally{}
		for range ts {
			t := *ts[rng.IntN(len(ts))]
			t.delay = nil
			draws[i].add(&t)
		}
	}
	value := func(name string) Value {
		v := make([]float64, len(draws))
		for i, d := range draws {
			v[i] = d.score(name)
		}
		slices.Sort(v)
		return Value{total.score(name), v[len(v)*25/1000], v[len(v)*975/1000]}
	}
	out := Scores{IncidentF1: value("incident_f1"), MeanBestF1: value("mean_best_f1"), PairF1: value("pair_f1"),
		IncidentsPerFault: value("incidents_per_fault"), Spurious: value("spurious"), Missed: value("missed"), NoiseAttached: value("noise_attached"),
		Top1: value("top1"), Top3: value("top3"), AlertsPerIncident: value("alerts_per_incident")}
	if len(total.delay) > 0 {
		slices.Sort(total.delay)
		out.DelayS = total.delay[len(total.delay)/2]
	}
	return out
}
