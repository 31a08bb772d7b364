package model

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/norn-aiops/norn/internal/demo/plan"
)

// window is the length in seconds of the windows in which Norn counts
// requests; counts of the world are of one such window.
const window = 10.0

// missShare is the ordinary share of cache reads that find nothing.
const missShare = 0.12

// world is the shop in fast time: for each step, how many requests reached
// whom, how many of them failed, and how fast everybody was. All series of a
// step are read off the same world, so that they agree with each other as the
// series of one real shop do.
type world struct {
	plan *plan.Plan
	rate float64
	rnd  *rand.Rand

	uses  []plan.Use  // all ways of being asked
	each  [][]float64 // journey x use, per visit
	visit []float64   // visits a second at mean demand, by journey

	names    []string // services and stores
	index    map[string]int
	fails    []float64   // own share of failures, by name
	weights  [][]float64 // share of the callee's time in the caller's, [caller][callee]
	order    []int       // callees before callers
	demand   float64     // now, factor of the mean
	drift    float64     // slow noise of the demand
	count    []float64   // now, by use
	total    []float64   // now, by name
	errs     []float64   // now, by name
	slow     []float64   // now, log of the factor on the name's own time
	speed    []float64   // now, log of the factor on the name's whole time
	expected []float64   // mean count by use at demand 1
	tick     int         // number of the current step
}

func newWorld(p *plan.Plan, rate float64, seed uint64) *world {
	w := &world{plan: p, rate: rate, rnd: rand.New(rand.NewPCG(seed, 0x686973746f7279)), index: map[string]int{}}
	w.uses = p.Uses(missShare)
	var shares float64
	for _, j := range p.Journeys {
		shares += j.Share
	}
	w.expected = make([]float64, len(w.uses))
	for _, j := range p.Journeys {
		row := make([]float64, len(w.uses))
		for _, u := range p.VisitUses(j, missShare) {
			row[w.useIndex(u.Service, u.Route, u.From)] = u.Each
		}
		w.each = append(w.each, row)
		w.visit = append(w.visit, rate/p.RequestsPerVisit()*j.Share/shares)
	}
	for i, u := range w.uses {
		w.expected[i] = u.Each * rate * window
		w.nameIndex(u.Service)
	}
	for i := range p.Services {
		w.nameIndex(p.Services[i].Name)
	}
	n := len(w.names)
	w.count, w.total, w.errs = make([]float64, len(w.uses)), make([]float64, n), make([]float64, n)
	w.slow, w.speed, w.fails = make([]float64, n), make([]float64, n), make([]float64, n)
	w.weigh()
	return w
}

func (w *world) nameIndex(name string) int {
	i, ok := w.index[name]
	if !ok {
		i = len(w.names)
		w.index[name] = i
		w.names = append(w.names, name)
	}
	return i
}

func (w *world) useIndex(service, route, from string) int {
	for i, u := range w.uses {
		if u.Service == service && u.Route == route && u.From == from {
			return i
		}
	}
	return -1
}

// weigh works out whose time and failures end up in whose: the weights of the
// callees' times in each caller's, the own failures, and an order in which
// callees come before callers.
func (w *world) weigh() {
	own := make([]float64, len(w.names)) // seconds of own work per window
	for i := range w.plan.Services {
		s := &w.plan.Services[i]
		k := w.index[s.Name]
		var n float64
		for j, u := range w.uses {
			if op, ok := w.plan.Op(u.Service, u.Route); ok && u.Service == s.Name {
				own[k] += w.expected[j] * (op.Wait + op.CPU)
				w.fails[k] += w.expected[j] * op.Fail
				n += w.expected[j]
			}
		}
		if n > 0 {
			w.fails[k] /= n
		}
	}
	for k, name := range w.names {
		if own[k] == 0 { // a store: about a millisecond a command
			for j, u := range w.uses {
				if u.Service == name {
					own[k] += w.expected[j] * 0.001
				}
			}
		}
	}
	w.weights = make([][]float64, len(w.names))
	whole := make([]float64, len(w.names))
	done := make([]bool, len(w.names))
	var settle func(k int)
	settle = func(k int) {
		if done[k] {
			return
		}
		done[k] = true
		w.weights[k] = make([]float64, len(w.names))
		whole[k] = own[k]
		for c := range w.names {
			share := w.shareOf(c, w.names[k])
			if share == 0 || c == k || w.names[k] == plan.QueueName {
				continue // nobody waits for what the queue's consumers do
			}
			settle(c)
			w.weights[k][c] = whole[c] * share
			whole[k] += whole[c] * share
		}
		for c := range w.names {
			w.weights[k][c] /= math.Max(whole[k], 1e-9)
		}
		w.order = append(w.order, k)
	}
	for k := range w.names {
		settle(k)
	}
}

// shareOf is the share of the callee's requests that come from a caller.
func (w *world) shareOf(callee int, caller string) float64 {
	var from, all float64
	for j, u := range w.uses {
		if u.Service == w.names[callee] {
			all += w.expected[j]
			if u.From == caller {
				from += w.expected[j]
			}
		}
	}
	if all == 0 {
		return 0
	}
	return from / all
}

// step moves the world to time t, dt seconds after the last step.
func (w *world) step(t time.Time, dt float64) {
	w.tick++
	keep := math.Exp(-dt / 1200) // the demand's own mood lasts twenty minutes
	w.drift = w.drift*keep + 0.04*math.Sqrt(1-keep*keep)*w.rnd.NormFloat64()
	w.settleDemand(plan.Load(t) * math.Exp(w.drift))
	keep = math.Exp(-dt / 300)
	for k := range w.slow {
		w.slow[k] = w.slow[k]*keep + 0.025*math.Sqrt(1-keep*keep)*w.rnd.NormFloat64()
	}
	w.spread()
}

// settleDemand draws one window's requests at the given demand.
func (w *world) settleDemand(demand float64) {
	w.demand = demand
	clear(w.count)
	clear(w.total)
	for j := range w.visit {
		visits := w.poisson(w.visit[j] * demand * window)
		for i, each := range w.each[j] {
			w.count[i] += visits * each
		}
	}
	for i, u := range w.uses {
		// A visit's requests do not all fall into the window of its arrival,
		// and some steps happen only now and then.
		n := w.count[i]
		n += 0.5 * math.Sqrt(n) * w.rnd.NormFloat64()
		w.count[i] = math.Max(0, math.Round(n))
		w.total[w.index[u.Service]] += w.count[i]
	}
}

// spread carries slowness and failures from callees to callers.
func (w *world) spread() {
	busy := 0.06 * (w.demand - 1)
	for _, k := range w.order {
		own := 1.0
		var v, e float64
		for c, x := range w.weights[k] {
			if x > 0 {
				v += x * w.speed[c]
				own -= x
			}
		}
		w.speed[k] = v + own*(w.slow[k]+busy)
		if w.fails[k] > 0 {
			e = w.poisson(w.total[k] * w.fails[k])
		}
		for c, x := range w.weights[k] {
			if x > 0 && w.errs[c] > 0 {
				e += math.Round(w.errs[c] * w.shareOf(c, w.names[k]))
			}
		}
		w.errs[k] = math.Min(e, w.total[k])
	}
}

// poisson draws a count with the given mean.
func (w *world) poisson(mean float64) float64 {
	if mean <= 0 {
		return 0
	}
	if mean > 30 {
		return math.Max(0, math.Round(mean+math.Sqrt(mean)*w.rnd.NormFloat64()))
	}
	limit, p, n := math.Exp(-mean), 1.0, -1.0
	for p > limit || n < 0 {
		p *= w.rnd.Float64()
		n++
	}
	return n
}

// binomial draws how many of n happen with chance p.
func (w *world) binomial(n, p float64) float64 {
	switch {
	case n <= 0 || p <= 0:
		return 0
	case p >= 1:
		return n
	case n < 12:
		k := 0.0
		for range int(n) {
			if w.rnd.Float64() < p {
				k++
			}
		}
		return k
	case n*math.Min(p, 1-p) < 6 && p < 0.5:
		return math.Min(n, w.poisson(n*p))
	case n*math.Min(p, 1-p) < 6:
		return math.Max(0, n-w.poisson(n*(1-p)))
	}
	return math.Min(n, math.Max(0, math.Round(n*p+math.Sqrt(n*p*(1-p))*w.rnd.NormFloat64())))
}

// driver says how many requests of a window a series is about.
type driver struct {
	uses  []int
	share float64 // of them: one instance of several
}

// now is the count in the current window.
func (w *world) now(d driver) float64 {
	var n float64
	for _, i := range d.uses {
		n += w.count[i]
	}
	return n * d.share
}

// mean is the count in a window at the given demand.
func (w *world) mean(d driver, demand float64) float64 {
	var n float64
	for _, i := range d.uses {
		n += w.expected[i]
	}
	return n * d.share * demand
}

// pick makes the driver of all uses that match.
func (w *world) pick(match func(plan.Use) bool) driver {
	d := driver{share: 1}
	for i, u := range w.uses {
		if match(u) {
			d.uses = append(d.uses, i)
		}
	}
	return d
}
