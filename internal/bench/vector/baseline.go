package vector

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"
)

// The rulers are what joint detection has to beat, computed in the same run
// on the same rows: the largest |z| of any metric, and the residual of a
// principal component analysis that keeps 90 % of the variance. Scales come
// from the part to learn from; a metric that is constant there has scale 1.

type standard struct{ mean, inv []float64 }

func standardise(train [][]float64) standard {
	d := len(train[0])
	s := standard{make([]float64, d), make([]float64, d)}
	for j := range d {
		m, q := 0., 0.
		for _, r := range train {
			m += r[j]
		}
		m /= float64(len(train))
		for _, r := range train {
			q += (r[j] - m) * (r[j] - m)
		}
		s.mean[j], s.inv[j] = m, 1
		if sd := math.Sqrt(q / float64(len(train))); sd > 1e-9 {
			s.inv[j] = 1 / sd
		}
	}
	return s
}

func (s standard) apply(row, out []float64) []float64 {
	for j, v := range row {
		out[j] = (v - s.mean[j]) * s.inv[j]
	}
	return out
}

// maxZ gives the largest |z| of every test row.
func maxZ(e entity) []float64 {
	s := standardise(e.train)
	z := make([]float64, len(e.columns))
	out := make([]float64, len(e.test))
	for i, r := range e.test {
		for _, v := range s.apply(r, z) {
			out[i] = max(out[i], math.Abs(v))
		}
	}
	return out
}

// pcaResidual gives the squared distance of every test row from the space of
// the components that hold 90 % of the variance.
func pcaResidual(e entity) ([]float64, error) {
	s := standardise(e.train)
	d := len(e.columns)
	z := make([]float64, d)
	cov := mat.NewSymDense(d, nil)
	for _, r := range e.train {
		s.apply(r, z)
		for i := range d {
			for j := i; j < d; j++ {
				cov.SetSym(i, j, cov.At(i, j)+z[i]*z[j]/float64(len(e.train)))
			}
		}
	}
	var eig mat.EigenSym
	if !eig.Factorize(cov, true) {
		return nil, fmt.Errorf("find principal components of %s: no convergence", e.name)
	}
	values := eig.Values(nil) // ascending
	var vectors mat.Dense
	eig.VectorsTo(&vectors)
	sum, kept := 0., 0.
	for _, v := range values {
		sum += v
	}
	first := d
	for first > 0 && kept < .9*sum {
		first--
		kept += values[first]
	}
	out := make([]float64, len(e.test))
	for i, r := range e.test {
		s.apply(r, z)
		for c := range first {
			dot := 0.
			for j := range d {
				dot += vectors.At(j, c) * z[j]
			}
			out[i] += dot * dot
		}
	}
	return out, nil
}

// trailingMean is the mean of each row and the ones before, n in all.
func trailingMean(x []float64, n int) []float64 {
	out := make([]float64, len(x))
	sum := 0.
	for i, v := range x {
		sum += v
		if i >= n {
			sum -= x[i-n]
		}
		out[i] = sum / float64(min(i+1, n))
	}
	return out
}
