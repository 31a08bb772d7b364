package joint

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/blas/blas32"
	"gonum.org/v1/gonum/mat"
)

// linear is one member: standardised residuals e = (A v - b) / sd of the row
// v of residuals now, or of the row now less what the rows before foretell.
type linear struct {
	in   int       // length of v
	w    []float32 // out * in
	bias []float32
	inv  []float32 // 1/sd, 0 for what is not judged
	out  int
}

// present gives the covariance of the judged columns now.
func (m *moments) present(h int, judged []bool) *mat.SymDense {
	s := mat.NewSymDense(m.d, nil)
	for i := range m.d {
		for j := i; j < m.d; j++ {
			if judged[i] && judged[j] {
				s.SetSym(i, j, m.cov(h, 0, i, j))
			}
		}
	}
	return s
}

// autoregression foretells a row from the three before it: W = S01 (S11 + λI)⁻¹.
func (m *moments) autoregression(h int, judged []bool, ridge float64) (linear, error) {
	d := m.d
	past := mat.NewSymDense(lags*d, nil)
	cross := mat.NewDense(lags*d, d, nil)
	for a := range lags {
		for b := a; b < lags; b++ {
			for i := range d {
				for j := range d {
					if a == b && j < i || !judged[i] || !judged[j] {
						continue
					}
					past.SetSym(a*d+i, b*d+j, m.cov(h, b-a, i, j))
				}
			}
		}
		for i := range d {
			for j := range d {
				if !judged[i] || !judged[j] {
					continue
				}
				cross.Set(a*d+j, i, m.cov(h, a+1, i, j))
			}
		}
	}
	x, ridge, err := solve(past, cross, ridge)
	if err != nil {
		return linear{}, err
	}
	l := linear{in: lags * d, out: d, w: make([]float32, d*lags*d), bias: make([]float32, d), inv: make([]float32, d)}
	// S w = c - λ w, so that the error's variance S00 - 2 w'c + w'S w needs no
	// more products.
	for i := range d {
		v, b := m.cov(h, 0, i, i), m.mean(h, i)
		for a := range lags {
			for j := range d {
				r := a*d + j
				w := x.At(r, i)
				l.w[i*lags*d+r] = float32(w)
				v -= w*cross.At(r, i) + ridge*w*w
				b -= w * m.mean(h, j)
			}
		}
		l.bias[i] = float32(b)
		l.inv[i] = usual(v/m.share(h, i), judged[i])
	}
	return l, nil
}

// usual is one over the usual error of a variance, 0 for what is not judged.
func usual(variance float64, judged bool) float32 {
	if !judged {
		return 0
	}
	return float32(1 / max(minSD, math.Sqrt(max(variance, 0))))
}

// graphical foretells each metric from the others now: T = (S00 + I)⁻¹,
// e_j = (T v)_j / T_jj (a Gaussian graphical model with ridge 1).
func (m *moments) graphical(h int, judged []bool) (linear, error) {
	d := m.d
	s := m.present(h, judged)
	eye := mat.NewDense(d, d, nil)
	for i := range d {
		eye.Set(i, i, 1)
	}
	x, ridge, err := solve(s, eye, 1)
	if err != nil {
		return linear{}, err
	}
	// S T = I - λ T, so that T'S T has the diagonal T_ii - λ |T_i|².
	l := linear{in: d, out: d, w: make([]float32, d*d), bias: make([]float32, d), inv: make([]float32, d)}
	for i := range d {
		t := x.At(i, i)
		square, b := 0., 0.
		for j := range d {
			w := x.At(i, j)
			l.w[i*d+j] = float32(w / t)
			square += w * w
			b += w / t * m.mean(h, j)
		}
		l.bias[i] = float32(b)
		l.inv[i] = usual((t-ridge*square)/(t*t)/m.share(h, i), judged[i])
	}
	return l, nil
}

// principal gives the coordinates along the axes that hold 90 % of the
// variance.
func (m *moments) principal(h int, judged []bool) (linear, bool) {
	d := m.d
	s := m.present(h, judged)
	var eig mat.EigenSym
	if !eig.Factorize(s, true) {
		return linear{}, false
	}
	vals := eig.Values(nil)
	var vec mat.Dense
	eig.VectorsTo(&vec)
	total, have := 0., 0.
	for _, v := range vals {
		total += max(v, 0)
	}
	k := 0
	for k < d && have < .9*total {
		k++
		have += max(vals[d-k], 0)
	}
	k = min(k+1, d)
	l := linear{in: d, out: k, w: make([]float32, k*d), bias: make([]float32, k), inv: make([]float32, k)}
	for i := range k {
		b := 0.
		for j := range d {
			w := vec.At(j, d-1-i)
			l.w[i*d+j] = float32(w)
			b += w * m.mean(h, j)
		}
		l.bias[i] = float32(b)
		l.inv[i] = usual(vals[d-1-i], true)
	}
	return l, true
}

// foretell gives output j of the map for the rows before.
func (l *linear) foretell(j int, lag []float32) float32 {
	return dot(l.w[j*l.in:(j+1)*l.in], lag) + l.bias[j]
}

// errorSquare is the mean square of the standardised errors of a map that
// foretells r from the rows before.
func (l *linear) errorSquare(r, lag []float32) float32 {
	q, n := float32(0), 0
	for j, inv := range l.inv {
		if inv > 0 {
			e := clip((r[j] - l.foretell(j, lag)) * inv)
			q += e * e
			n++
		}
	}
	return q / float32(max(n, 1))
}

func (l *linear) clone() linear {
	c := *l
	c.w, c.bias, c.inv = slices.Clone(l.w), slices.Clone(l.bias), slices.Clone(l.inv)
	return c
}

// meanSquare is the mean square of the standardised outputs for a row.
func (l *linear) meanSquare(r []float32) float32 {
	q := float32(0)
	for i := range l.out {
		e := clip((dot(l.w[i*l.in:(i+1)*l.in], r) - l.bias[i]) * l.inv[i])
		q += e * e
	}
	return q / float32(max(l.out, 1))
}

// dot is the inner product of two slices of one length.
func dot(a, b []float32) float32 {
	return blas32.Dot(blas32.Vector{N: len(a), Inc: 1, Data: a}, blas32.Vector{N: len(a), Inc: 1, Data: b})
}
