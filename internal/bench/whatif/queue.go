package whatif

import (
	"container/heap"
	"math"
	"math/rand/v2"
)

// server is a simulated service: requests come at random, wait, and are worked
// on by c servers, one after the other or all at once in equal shares.
type server struct {
	c      int
	shared bool    // processor sharing instead of first come, first served
	mean   float64 // seconds of work
	cv     float64 // of the work, log-normal
	fixed  float64 // seconds that every request takes besides
}

// capacity is the saturating load.
func (s server) capacity() float64 { return float64(s.c) / s.mean }

// moment is what a window shows.
type moment struct{ load, time, used float64 }

// run serves Poisson arrivals at the given rates, a window each of so many
// seconds, and gives what each window shows. Queues go on from one window to the
// next.
func (s server) run(rates []float64, window float64, rng *rand.Rand) []moment {
	n, sum, work := make([]float64, len(rates)), make([]float64, len(rates)), make([]float64, len(rates))
	served := s.inOrder()
	if s.shared {
		served = s.sharing()
	}
	sigma := math.Sqrt(math.Log(1 + s.cv*s.cv))
	for k, rate := range rates {
		end := float64(k+1) * window
		for t := float64(k)*window + rng.ExpFloat64()/rate; t < end; t += rng.ExpFloat64() / rate {
			w, at := s.mean*math.Exp(sigma*rng.NormFloat64()-sigma*sigma/2), k
			n[k]++
			work[k] += w
			served(t, w, func(took float64) { sum[at] += took + s.fixed })
		}
	}
	served(math.Inf(1), 0, func(float64) {})
	out := make([]moment, len(rates))
	for k := range rates {
		out[k] = moment{n[k] / window, sum[k] / n[k], math.Min(1, work[k]/window/float64(s.c))}
	}
	return out
}

type heapOf []job

type job struct {
	key, came float64
	done      func(took float64)
}

func (h heapOf) Len() int           { return len(h) }
func (h heapOf) Less(i, j int) bool { return h[i].key < h[j].key }
func (h heapOf) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push is for package heap.
func (h *heapOf) Push(x any) { *h = append(*h, x.(job)) }

// Pop is for package heap.
func (h *heapOf) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// inOrder serves first come, first served.
func (s server) inOrder() func(t, work float64, done func(float64)) {
	free := make(heapOf, s.c)
	return func(t, work float64, done func(float64)) {
		if math.IsInf(t, 1) {
			return
		}
		begin := math.Max(t, free[0].key)
		free[0].key = begin + work
		heap.Fix(&free, 0)
		done(begin + work - t)
	}
}

// sharing serves all at once: each of n requests goes on at rate min(1, c/n),
// kept in a virtual time that all of them share.
func (s server) sharing() func(t, work float64, done func(float64)) {
	var in heapOf
	now, virtual := 0.0, 0.0
	return func(t, work float64, done func(float64)) {
		for len(in) > 0 {
			pace := math.Min(1, float64(s.c)/float64(len(in)))
			leaves := now + (in[0].key-virtual)/pace
			if leaves > t {
				virtual += (t - now) * pace
				break
			}
			now, virtual = leaves, in[0].key
			j := heap.Pop(&in).(job)
			j.done(now - j.came)
		}
		if math.IsInf(t, 1) {
			return
		}
		now = t
		heap.Push(&in, job{virtual + work, t, done})
	}
}

// knee is the true breaking load: where the mean time in the long run reaches
// limit seconds, at most 97 % of the saturating load.
func (s server) knee(limit float64, rng *rand.Rand) float64 {
	lo, hi := 0.0, .97*s.capacity()
	for range 11 {
		mid := (lo + hi) / 2
		ms := s.run([]float64{mid, mid}, 25_000/mid, rng)
		if ms[1].time < limit { // the first half fills the queue
			lo = mid
		} else {
			hi = mid
		}
	}
	return (lo + hi) / 2
}
