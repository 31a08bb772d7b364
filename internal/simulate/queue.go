package simulate

import "math"

// erlangC is the chance that a request waits in M/M/c at utilisation rho
// (0..1): Erlang's C formula, by the stable recursion of Erlang's B.
func erlangC(c int, rho float64) float64 {
	if rho <= 0 {
		return 0
	}
	if rho >= 1 {
		return 1
	}
	a, b := rho*float64(c), 1.0
	for k := 1; k <= c; k++ {
		b = a * b / (float64(k) + a*b)
	}
	return b / (1 - rho*(1-b))
}

// wait is the mean wait of M/M/c in units of 1/(saturating load); of one
// server with processor sharing it is the stretch beyond the service time.
func wait(c int, rho float64) float64 {
	if rho >= 1 {
		return math.Inf(1)
	}
	return erlangC(c, rho) / (1 - rho)
}

// queue is a service as a queue: own time = base + scale * wait / top.
type queue struct {
	c                int
	top, base, scale float64 // top: saturating load, requests a second
}

func (q queue) at(load float64) float64 {
	return q.base + q.scale*wait(q.c, load/q.top)/q.top
}

// saturated is the utilisation from which on a service counts as broken
// whatever its own time: every gust of load makes a queue that stays.
const saturated = 0.97

// breaks is the load at which the own time reaches limit seconds, at most the
// saturating one.
func (q queue) breaks(limit float64) float64 {
	lo, hi := 0.0, saturated*q.top
	if q.at(hi) <= limit {
		return hi
	}
	for range 50 {
		if mid := (lo + hi) / 2; q.at(mid) < limit {
			lo = mid
		} else {
			hi = mid
		}
	}
	return lo
}

// scalability is Gunther's law as time against requests under way:
// R(N) = unit * (1 + sigma (N-1) + kappa N (N-1)).
type scalability struct{ unit, sigma, kappa float64 }

func (u scalability) time(n float64) float64 {
	return u.unit * (1 + u.sigma*(n-1) + u.kappa*n*(n-1))
}

// peak is the number under way at which throughput is greatest.
func (u scalability) peak() float64 {
	if u.kappa <= 0 {
		return math.Inf(1)
	}
	return math.Sqrt(math.Max(0, 1-u.sigma) / u.kappa)
}

// at is the time at a load, by Little's law; infinite beyond the peak.
func (u scalability) at(load float64) float64 {
	top := math.Min(u.peak(), 1e7)
	if top < 1 || top/u.time(top) < load {
		return math.Inf(1)
	}
	lo, hi := 0.0, top
	for range 60 {
		if mid := (lo + hi) / 2; mid/u.time(math.Max(mid, 1)) < load {
			lo = mid
		} else {
			hi = mid
		}
	}
	return u.time(math.Max(lo, 1))
}

// breaks is the load at which the time reaches limit, at most 97 % of the peak.
func (u scalability) breaks(limit float64) float64 {
	top := math.Min(u.peak(), 1e7)
	best := saturated * top / u.time(top)
	lo, hi := 1.0, top
	if top <= 1 || u.time(top) <= limit {
		return best
	}
	for range 60 {
		if mid := (lo + hi) / 2; u.time(mid) < limit {
			lo = mid
		} else {
			hi = mid
		}
	}
	return math.Min(best, lo/u.time(lo))
}
