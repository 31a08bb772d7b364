package simulate

import (
	"math"

	"github.com/norn-aiops/norn/internal/telemetry"
)

// rounds bounds how far load is carried along calls; longer chains are loops.
const rounds = 64

// nonNegative solves least squares with no negative coefficient, by
// coordinate descent (D. Chen and R. Plemmons, Nonnegativity Constraints in
// Numerical Analysis). Rows are observations. What they leave open stays as
// every coefficient began: at start.
func nonNegative(rows [][]float64, ys []float64, start float64) []float64 {
	if len(rows) == 0 {
		return nil
	}
	k := len(rows[0])
	x, a, b := make([]float64, k), make([]float64, k*k), make([]float64, k)
	for j := range x {
		x[j] = start
	}
	for i, r := range rows {
		for j := range k {
			b[j] += r[j] * ys[i]
			for l := range k {
				a[j*k+l] += r[j] * r[l]
			}
		}
	}
	for range 3000 {
		moved := 0.0
		for j := range k {
			if a[j*k+j] <= 0 {
				continue
			}
			g := b[j]
			for l := range k {
				g -= a[j*k+l] * x[l]
			}
			next := math.Max(0, x[j]+g/a[j*k+j])
			moved = math.Max(moved, math.Abs(next-x[j])*math.Sqrt(a[j*k+j]))
			x[j] = next
		}
		if moved < 1e-12 {
			break
		}
	}
	return x
}

// network is who asks whom, how often for each request that it serves.
type network struct {
	index map[telemetry.Entity]int
	ratio [][]share // by caller
}

type share struct {
	to    int
	ratio float64
}

func networkOf(e *Estate) *network {
	n := &network{index: make(map[telemetry.Entity]int, len(e.Services)), ratio: make([][]share, len(e.Services))}
	for i := range e.Services {
		n.index[e.Services[i].Entity] = i
	}
	for i := range e.Calls {
		c := &e.Calls[i]
		from, a := n.index[c.From]
		to, b := n.index[c.To]
		if !a || !b || from == to {
			continue
		}
		if r := ratioOf(c.Rate, e.Services[from].Load); r > 0 {
			n.ratio[from] = append(n.ratio[from], share{to, r})
		}
	}
	return n
}

// ratioOf is the calls for each request, over all moments that know both.
func ratioOf(calls, load []float64) float64 {
	var c, l float64
	for i := range min(len(calls), len(load)) {
		if calls[i] >= 0 && load[i] > 0 && !math.IsInf(calls[i], 0) && !math.IsInf(load[i], 0) {
			c, l = c+calls[i], l+load[i]
		}
	}
	if l == 0 {
		return 0
	}
	return c / l
}

// carry is the load that one more request at each of the given services
// brings to every service.
func (n *network) carry(first []float64) []float64 {
	sum := append([]float64{}, first...)
	wave := append([]float64{}, first...)
	for range rounds {
		next, any := make([]float64, len(wave)), false
		for i, v := range wave {
			if v < 1e-9 {
				continue
			}
			for _, s := range n.ratio[i] {
				next[s.to] += v * s.ratio
				any = true
			}
		}
		if !any {
			break
		}
		for i := range next {
			sum[i] += next[i]
		}
		wave = next
	}
	return sum
}

// fromOperation is the load on every service that one more request for an
// operation of service i brings, i's own included. Which operation asks whom is
// read off how calls moved with the operations; where these move together,
// all ask alike.
func (n *network) fromOperation(e *Estate, i, op int) []float64 {
	s := &e.Services[i]
	first := make([]float64, len(e.Services))
	for k := range e.Calls {
		c := &e.Calls[k]
		to, ok := n.index[c.To]
		if !ok || c.From != s.Entity || to == i {
			continue
		}
		var rows [][]float64
		var ys []float64
		for t := range c.Rate {
			row, whole := make([]float64, len(s.Operations)), c.Rate[t] >= 0
			for j := range s.Operations {
				if t >= len(s.Operations[j].Load) || math.IsNaN(s.Operations[j].Load[t]) {
					continue // nobody asked for it in that moment
				}
				row[j] = s.Operations[j].Load[t]
			}
			if whole {
				rows, ys = append(rows, row), append(ys, c.Rate[t])
			}
		}
		if x := nonNegative(rows, ys, ratioOf(c.Rate, s.Load)); op < len(x) {
			first[to] += x[op]
		}
	}
	out := n.carry(first)
	out[i]++
	return out
}
