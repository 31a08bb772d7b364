package correlate

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/pipeline"
	"github.com/norn-aiops/norn/internal/replay"
	"github.com/norn-aiops/norn/internal/telemetry"
)

const (
	warmUp     = 15     // faults at the beginning that only teach, unlabelled
	lookAhead  = 6      // next faults from which an episode's others are drawn
	spreadMS   = 240e3  // the others begin within this after the first
	longest    = 600e3  // ms of a fault that count
	calmFrom   = 900e3  // ms between two episodes
	calmTo     = 1800e3 //
	lateShare  = .05    // of a fault's alerts that arrive late
	flapShare  = .3     // of noise sources
	noiseLead  = 120e3  // ms before and after the episode in which noise comes
	rareShare  = .1     // of the faults in which a specific series may be
	rareLeast  = 2      // faults in which any specific series may be
	streamFrom = int64(1_700_000_000_000)
)

// event is one alert of a stream.
type event struct {
	arrive   int64
	a        ops.Anomaly
	label    int  // fault index in its episode; -1-n for the nth noise source; noLabel in the warm-up
	specific bool // few faults have its series
	shared   bool // its series comes in several faults of the episode
	weight   float64
}

const noLabel = math.MinInt

// episode is a few faults at a time, alone in time.
type episode struct {
	faults []*fault
	from   int64
	to     int64
	events []event // by arrival
	warm   bool
}

// fault is one injected fault of an episode.
type fault struct {
	root  telemetry.Entity
	start int64
}

// system is a data set prepared for overlays.
type system struct {
	set     replay.AlertSet
	owner   map[telemetry.Entity]telemetry.Entity // instance -> service
	host    map[telemetry.Entity]telemetry.Entity
	faults  []source
	series  []string // drawn from for noise, in order
	counts  []int    // faults that hold the series
	sample  map[string]ops.Anomaly
	present map[string]int
}

// source is one fault of the data set.
type source struct {
	root     telemetry.Entity
	service  telemetry.Entity
	start    int64
	duration int64
	alerts   []ops.Anomaly
	has      map[string]bool
}

func seriesOf(a *ops.Anomaly) string {
	return a.Entity.String() + "|" + a.Peer.String() + "|" + a.Series
}

// prepare turns a data set's alerts into anomalies, as the pipeline does, and
// counts in how many faults each series is. Faults without alerts are dropped.
func prepare(set replay.AlertSet) *system {
	s := &system{set: set, owner: map[telemetry.Entity]telemetry.Entity{}, host: map[telemetry.Entity]telemetry.Entity{}, sample: map[string]ops.Anomaly{}, present: map[string]int{}}
	for _, e := range set.Edges {
		switch e.Kind {
		case "part_of":
			s.owner[e.To] = e.From
		case "runs_on":
			s.host[e.From] = e.To
		}
	}
	for i := range set.Faults {
		f := &set.Faults[i]
		if len(f.Alerts) == 0 {
			continue
		}
		src := source{root: f.Entity, service: s.serviceOf(f.Entity), start: f.Onset, duration: f.End - f.Onset, has: map[string]bool{}}
		for j := range f.Alerts {
			al := f.Alerts[j]
			al.Severity = "warning"
			a := pipeline.AlertAnomaly(&al, 0)
			k := seriesOf(&a)
			a.ID = fmt.Sprintf("alert-%016x", hash(k))
			src.alerts = append(src.alerts, a)
			if !src.has[k] {
				src.has[k] = true
				if s.present[k]++; s.present[k] == 1 {
					s.series = append(s.series, k)
					s.sample[k] = a
				}
			}
		}
		s.faults = append(s.faults, src)
	}
	for _, k := range s.series {
		s.counts = append(s.counts, s.present[k])
	}
	return s
}

func (s *system) serviceOf(e telemetry.Entity) telemetry.Entity {
	if o, ok := s.owner[e]; ok {
		return o
	}
	return e
}

// specific: few faults have the series, and no neighbouring fault with another
// root.
func (s *system) specific(i int, series string) bool {
	if s.present[series] > max(rareLeast, int(rareShare*float64(len(s.faults)))) {
		return false
	}
	for _, j := range []int{i - 1, i + 1} {
		if j >= 0 && j < len(s.faults) && s.faults[j].service != s.faults[i].service && s.faults[j].has[series] {
			return false
		}
	}
	return true
}

// apart reports whether two faults have different services and neither root
// hosts the other.
func (s *system) apart(a, b *source) bool {
	return a.service != b.service && s.host[a.root] != b.root && s.host[b.root] != a.root
}

func hash(text string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(text)) // a hash never fails
	return h.Sum64()
}

// stream lays the faults over each other, k at a time, with noise.
func (s *system) stream(k int, noise float64, seed int) []*episode {
	rng := rand.New(rand.NewPCG(hash(fmt.Sprintf("%s|%d|%g|%d", s.set.Name, k, noise, seed)), uint64(seed)))
	left := make([]int, 0, len(s.faults))
	for i := range s.faults {
		left = append(left, i)
	}
	var out []*episode
	t := streamFrom
	for len(left) > 0 {
		warm := len(out) < warmUp
		group := []int{left[0]}
		left = left[1:]
		for !warm && len(group) < k {
			var may []int
			for j := 0; j < min(lookAhead, len(left)); j++ {
				if !slices.ContainsFunc(group, func(g int) bool { return !s.apart(&s.faults[g], &s.faults[left[j]]) }) {
					may = append(may, j)
				}
			}
			if len(may) == 0 {
				break
			}
			j := may[rng.IntN(len(may))]
			group = append(group, left[j])
			left = slices.Delete(left, j, j+1)
		}
		ep := s.episode(rng, group, t, noise, warm)
		out = append(out, ep)
		t = ep.to + int64(calmFrom+rng.Float64()*(calmTo-calmFrom))
	}
	return out
}

func (s *system) episode(rng *rand.Rand, group []int, t int64, noise float64, warm bool) *episode {
	ep := &episode{from: t, to: t, warm: warm}
	times := map[string]int{}
	for n, i := range group {
		src := &s.faults[i]
		start := t
		if n > 0 {
			start += int64(rng.Float64() * spreadMS)
		}
		ep.faults = append(ep.faults, &fault{root: src.root, start: start})
		ep.to = max(ep.to, start+min(src.duration, longest))
		for k := range src.has {
			times[k]++
		}
		for _, a := range src.alerts {
			a.Onset += start - src.start
			ev := event{arrive: a.Onset, label: n, specific: s.specific(i, seriesOf(&a))}
			if rng.Float64() < lateShare {
				ev.arrive += int64(30e3 + rng.Float64()*150e3)
			}
			a.LastSeen = a.Onset
			ev.a = a
			if warm {
				ev.label = noLabel
			}
			ep.events = append(ep.events, ev)
		}
	}
	for i := range ep.events {
		ep.events[i].shared = times[seriesOf(&ep.events[i].a)] > 1
	}
	if !warm {
		s.addNoise(rng, ep, noise)
	}
	slices.SortStableFunc(ep.events, func(a, b event) int { return cmp.Compare(a.arrive, b.arrive) })
	return ep
}

// addNoise adds alerts of series drawn by how often they are seen.
func (s *system) addNoise(rng *rand.Rand, ep *episode, share float64) {
	total := 0
	for _, c := range s.counts {
		total += c
	}
	n := int(math.Round(share * float64(len(ep.events))))
	for i := range n {
		x, at := rng.IntN(total), 0
		for x >= s.counts[at] {
			x -= s.counts[at]
			at++
		}
		a := s.sample[s.series[at]]
		t := ep.from - noiseLead + int64(rng.Float64()*float64(ep.to-ep.from+2*noiseLead))
		repeats := 1
		if rng.Float64() < flapShare {
			repeats = 3 + rng.IntN(4)
		}
		for range repeats {
			a.Onset, a.LastSeen = t, t
			ep.events = append(ep.events, event{arrive: t, a: a, label: -1 - i})
			t += int64(30e3 + rng.Float64()*60e3)
		}
	}
}
