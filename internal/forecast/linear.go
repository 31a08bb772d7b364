package forecast

import (
	"math"

	"gonum.org/v1/gonum/mat"
)

// linear is a regression on the series' own past and on waves of its seasons,
// with a ridge (Hoerl and Kennard 1970), used recursively for more steps.
type linear struct {
	lags  []int
	waves []waves
	diff  int // 0, or the distance of the differences that it is about
	ridge float64
}

// waves are the first terms of a Fourier series.
type waves struct{ period, terms int }

// design prepares the regression's inputs.
type design struct {
	linear
	z      []float64 // standardised (differences of the) values
	mean   float64
	sd     float64
	table  [][]float64 // one per waves: period x 2 terms
	width  int
	longer int // the longest lag
}

func (m linear) fit(s *sample) (paths [][]float64, final []float64, ok bool) {
	d := design{linear: m, width: 0}
	for _, l := range m.lags {
		d.longer = max(d.longer, l)
	}
	d.width = len(m.lags)
	for _, w := range m.waves {
		d.width += 2 * w.terms
		d.table = append(d.table, waveTable(w))
	}
	from := d.longer + m.diff
	if float64(s.first()-from) < 1.5*float64(d.width)+5 {
		return nil, nil, false
	}
	d.standardise(s.y, s.first())
	if d.sd == 0 {
		return nil, nil, false
	}
	xtx, xty := make([]float64, d.width*d.width), make([]float64, d.width)
	row := make([]float64, d.width)
	early := d.collect(xtx, xty, row, from, s.first())
	if early == nil {
		return nil, nil, false
	}
	full := d.collect(xtx, xty, row, s.first(), len(s.y))
	if full == nil {
		return nil, nil, false
	}
	for _, o := range s.origins {
		paths = append(paths, d.ahead(s, early, o))
	}
	return paths, d.ahead(s, full, len(s.y)), true
}

// waveTable is laid out phase after phase.
func waveTable(w waves) []float64 {
	out := make([]float64, 0, w.period*2*w.terms)
	for t := range w.period {
		for k := 1; k <= w.terms; k++ {
			sin, cos := math.Sincos(2 * math.Pi * float64(k*t) / float64(w.period))
			out = append(out, sin, cos)
		}
	}
	return out
}

func (d *design) standardise(y []float64, known int) {
	d.z = make([]float64, len(y))
	for t := d.diff; t < len(y); t++ {
		d.z[t] = y[t]
		if d.diff > 0 {
			d.z[t] -= y[t-d.diff]
		}
	}
	n := float64(known - d.diff)
	for _, v := range d.z[d.diff:known] {
		d.mean += v / n
	}
	for _, v := range d.z[d.diff:known] {
		d.sd += (v - d.mean) * (v - d.mean) / n
	}
	d.sd = math.Sqrt(d.sd)
	if d.sd < 1e-12 {
		d.sd = 0
		return
	}
	for t := d.diff; t < len(y); t++ {
		d.z[t] = (d.z[t] - d.mean) / d.sd
	}
}

// inputs fills row for time t; past(l) is at at-l in the slice.
func (d *design) inputs(row, past []float64, at, t int) {
	for i, l := range d.lags {
		row[i] = past[at-l]
	}
	i := len(d.lags)
	for w, tab := range d.table {
		k := 2 * d.waves[w].terms
		ph := t % d.waves[w].period
		copy(row[i:], tab[ph*k:(ph+1)*k])
		i += k
	}
}

// collect adds the rows of [from, to) to the normal equations and solves them.
func (d *design) collect(xtx, xty, row []float64, from, to int) []float64 {
	for t := from; t < to; t++ {
		d.inputs(row, d.z, t, t)
		for i, a := range row {
			r := xtx[i*d.width : (i+1)*d.width]
			for j := i; j < d.width; j++ {
				r[j] += a * row[j]
			}
			xty[i] += a * d.z[t]
		}
	}
	a := mat.NewSymDense(d.width, nil)
	for i := range d.width {
		for j := i; j < d.width; j++ {
			v := xtx[i*d.width+j]
			if i == j {
				v += d.ridge
			}
			a.SetSym(i, j, v)
		}
	}
	var c mat.Cholesky
	if !c.Factorize(a) {
		return nil
	}
	out := mat.NewVecDense(d.width, nil)
	if c.SolveVecTo(out, mat.NewVecDense(d.width, xty)) != nil {
		return nil
	}
	return out.RawVector().Data
}

// ahead forecasts the values from o on.
func (d *design) ahead(s *sample, coef []float64, o int) []float64 {
	buf := make([]float64, d.longer+s.h)
	copy(buf, d.z[o-d.longer:o])
	out, row := make([]float64, s.h), make([]float64, d.width)
	for k := range out {
		d.inputs(row, buf, d.longer+k, o+k)
		f := 0.0
		for i, x := range row {
			f += coef[i] * x
		}
		v := f*d.sd + d.mean
		if d.diff > 0 {
			if back := k - d.diff; back >= 0 {
				v += out[back]
			} else {
				v += s.y[o+back]
			}
		}
		out[k] = min(max(v, s.lo), s.hi)
		if d.diff > 0 && out[k] != v {
			f = (out[k] - (v - f*d.sd - d.mean) - d.mean) / d.sd
		}
		buf[d.longer+k] = f
	}
	return out
}
