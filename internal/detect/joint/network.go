package joint

import (
	"math"
	"math/rand/v2"
)

const (
	hidden     = 24
	batch      = 16
	epochs     = 12
	learnRate  = 2e-3
	inputBound = 6 // of a residual that enters the network
	huber      = 3 // errors beyond pull no harder
)

// network foretells what the autoregression leaves: a layer of hidden units
// over the three rows before, whose outputs correct the standardised errors of
// a copy of the linear map (a residual network of one hidden layer). With its
// output weights at 0, where it begins, it is the autoregression. It learns by
// Adam (Kingma and Ba 2015) on Huber's loss.
type network struct {
	d      int
	skip   linear    // copy of the autoregression
	w1     []float32 // hidden * (lags*d + 1), the last is the bias
	w2     []float32 // d * (hidden + 1)
	gain   []float32 // d: 1 / usual error of the network
	opt    *adam     // while it learns
	steps  int       // done
	random rand.PCG

	trained bool
}

// adam holds the moments of the gradients and room for a pass.
type adam struct {
	g, m, v   []float32 // of w1, then w2
	r, lag    []float32
	in, h, dh []float32
	out       []float32
}

func newNetwork(skip linear, seed uint64) *network {
	d := skip.out
	n := &network{
		d: d, skip: skip, w1: make([]float32, hidden*(lags*d+1)), w2: make([]float32, d*(hidden+1)), gain: make([]float32, d),
		opt: &adam{
			r: make([]float32, d), lag: make([]float32, lags*d), in: make([]float32, lags*d),
			h: make([]float32, hidden), dh: make([]float32, hidden), out: make([]float32, d),
		},
	}
	n.random.Seed(seed, 0x2e7)
	r := rand.New(&n.random)
	size := 1 / math.Sqrt(float64(lags*d))
	for i := range n.w1 {
		n.w1[i] = float32(r.NormFloat64() * size)
	}
	total := len(n.w1) + len(n.w2)
	n.opt.g, n.opt.m, n.opt.v = make([]float32, total), make([]float32, total), make([]float32, total)
	for j := range n.gain {
		n.gain[j] = 1
	}
	return n
}

// pass runs the hidden layer for the inputs and fills h.
func (n *network) pass(in, h []float32) {
	width := lags*n.d + 1
	for k := range hidden {
		w := n.w1[k*width : (k+1)*width]
		h[k] = max(0, dot(w[:width-1], in)+w[width-1])
	}
}

func bounded(lag, in []float32) {
	for i, v := range lag {
		in[i] = min(max(v, -inputBound), inputBound)
	}
}

// output is the correction of column j.
func (n *network) output(j int, h []float32) float32 {
	w := n.w2[j*(hidden+1) : (j+1)*(hidden+1)]
	return dot(w[:hidden], h) + w[hidden]
}

// meanSquare is the mean square of the network's standardised errors over the
// columns that are there. work has room for 2*hidden and for the inputs.
func (n *network) meanSquare(r, lag []float32, there []bool, work []float32) float32 {
	h, in := work[:hidden], work[2*hidden:2*hidden+lags*n.d]
	bounded(lag, in)
	n.pass(in, h)
	q, count := float32(0), 0
	for j := range n.d {
		if !there[j] || n.skip.inv[j] == 0 {
			continue
		}
		e := (r[j]-n.skip.foretell(j, lag))*n.skip.inv[j] - n.output(j, h)
		e = clip(e * n.gain[j])
		q += e * e
		count++
	}
	return q / float32(max(count, 1))
}

// learn does one step of Adam on a batch of random rows of the past.
func (n *network) learn(past *history) {
	o := n.opt
	clear(o.g)
	for range batch {
		past.target(int(n.random.Uint64()%uint64(past.targets())), o.r, o.lag)
		n.back()
	}
	n.steps++
	const b1, b2 = .9, .999
	c1, c2 := 1-math.Pow(b1, float64(n.steps)), 1-math.Pow(b2, float64(n.steps))
	rate := float32(learnRate * math.Sqrt(c2) / c1)
	step := func(w []float32, at int) {
		for i := range w {
			g := o.g[at+i] / batch
			o.m[at+i] += (1 - b1) * (g - o.m[at+i])
			o.v[at+i] += (1 - b2) * (g*g - o.v[at+i])
			w[i] -= rate * o.m[at+i] / (float32(math.Sqrt(float64(o.v[at+i]))) + 1e-7)
		}
	}
	step(n.w1, 0)
	step(n.w2, len(n.w1))
}

// back adds the gradient of one row.
func (n *network) back() {
	o := n.opt
	bounded(o.lag, o.in)
	n.pass(o.in, o.h)
	clear(o.dh)
	g2 := o.g[len(n.w1):]
	for j := range n.d {
		if n.skip.inv[j] == 0 {
			continue
		}
		e := (o.r[j]-n.skip.foretell(j, o.lag))*n.skip.inv[j] - n.output(j, o.h)
		pull := -min(max(e, -huber), huber)
		at := j * (hidden + 1)
		for k, h := range o.h {
			g2[at+k] += pull * h
			o.dh[k] += pull * n.w2[at+k]
		}
		g2[at+hidden] += pull
	}
	width := lags*n.d + 1
	for k, h := range o.h {
		if h <= 0 {
			continue
		}
		g1, dh := o.g[k*width:(k+1)*width], o.dh[k]
		for i, x := range o.in {
			g1[i] += dh * x
		}
		g1[width-1] += dh
	}
}

// finish measures the usual errors on the past and frees what only learning
// needs.
func (n *network) finish(past *history) {
	o := n.opt
	sum := make([]float64, n.d)
	for i := range past.targets() {
		past.target(i, o.r, o.lag)
		bounded(o.lag, o.in)
		n.pass(o.in, o.h)
		for j := range n.d {
			e := clip((o.r[j]-n.skip.foretell(j, o.lag))*n.skip.inv[j] - n.output(j, o.h))
			sum[j] += float64(e) * float64(e)
		}
	}
	for j, s := range sum {
		n.gain[j] = float32(1 / max(minSD, math.Sqrt(s/float64(past.targets()))))
	}
	n.opt, n.trained = nil, true
}

// rescale follows a change of the scale of column j: its residuals become f
// times what they were.
func (n *network) rescale(j int, f float32) {
	d := n.d
	for i := range d {
		for k := range lags {
			n.skip.w[i*lags*d+k*d+j] /= f
		}
	}
	for a := range n.skip.w[j*lags*d : (j+1)*lags*d] {
		n.skip.w[j*lags*d+a] *= f
	}
	n.skip.bias[j] *= f
	n.skip.inv[j] /= f
	for u := range hidden {
		for k := range lags {
			n.w1[u*(lags*d+1)+k*d+j] /= f
		}
	}
}
