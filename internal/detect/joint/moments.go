package joint

import (
	"errors"
	"math"

	"gonum.org/v1/gonum/mat"
)

const (
	lags       = 3
	block      = 128 // rows that are held back before they enter the moments
	youngBlock = 32  // the same as long as the moments hold fewer than oldRows
	oldRows    = 2000
)

// moments are decayed lagged products of the residual rows u(t):
//
//	g[k][i][j] = sum over t of u_i(t) u_j(t-k),   k = 0 ... lags
//
// They are the block Toeplitz estimate of the covariance of a row with the
// rows before it (the Yule-Walker equations of a vector autoregression;
// Luetkepohl, "New Introduction to Multiple Time Series Analysis", 2005, 3.3):
// 4 d² numbers instead of (4d)²/2. A row that is doubted enters as sqrt(w) u,
// which keeps the estimate positive semidefinite. Rows enter in blocks; the
// products of a block are shared between the horizons.
type moments struct {
	d    int
	half [2]float64   // rows after which an old row counts half, by horizon
	g    [2][]float32 // (lags+1) * d * d, by horizon
	sum  [2][]float64 // d: sums of u
	top  [2]float64   // the largest of n
	n    [2][]float64 // d: weights of the rows in which the column was there
	buf  []float32    // d * (lags+block): the open block, a column after the other
	seen []float32    // d: weight of rows in the open block in which the column was there
	fill int          // rows in the open block
}

func newMoments(d int) *moments {
	m := &moments{d: d, buf: make([]float32, d*(lags+block)), seen: make([]float32, d)}
	for h := range m.g {
		m.g[h] = make([]float32, (lags+1)*d*d)
		m.sum[h] = make([]float64, d)
		m.n[h] = make([]float64, d)
	}
	return m
}

// add puts a row into the open block; there says which columns are present,
// w is the weight of the row.
func (m *moments) add(u []float32, there []bool, w float32) {
	const width = lags + block
	root := float32(math.Sqrt(float64(w)))
	for j, v := range u {
		if there[j] {
			m.buf[j*width+lags+m.fill] = root * v
			m.seen[j] += w
		} else {
			m.buf[j*width+lags+m.fill] = 0
		}
	}
	limit := block
	if m.top[0] < oldRows {
		limit = youngBlock
	}
	if m.fill++; m.fill >= limit {
		m.flush()
	}
}

// flush adds the open block to the moments and keeps its last rows as the
// past of the next.
func (m *moments) flush() {
	if m.fill == 0 {
		return
	}
	const width = lags + block
	var keep [2]float32
	for h := range keep {
		keep[h] = float32(math.Exp2(-float64(m.fill) / m.half[h]))
	}
	d := m.d
	end := lags + m.fill
	for i := range d {
		now := m.buf[i*width+lags : i*width+end]
		for k := range lags + 1 {
			for j := range d {
				at := (k*d+i)*d + j
				s := dot(now, m.buf[j*width+lags-k:j*width+end-k])
				m.g[0][at] = keep[0]*m.g[0][at] + s
				m.g[1][at] = keep[1]*m.g[1][at] + s
			}
		}
	}
	m.top = [2]float64{}
	for j := range d {
		row := m.buf[j*width : (j+1)*width]
		s := 0.
		for _, x := range row[lags:end] {
			s += float64(x)
		}
		for h := range m.sum {
			m.sum[h][j] = m.sum[h][j]*float64(keep[h]) + s
			m.n[h][j] = m.n[h][j]*float64(keep[h]) + float64(m.seen[j])
			m.top[h] = max(m.top[h], m.n[h][j])
		}
		copy(row[:lags], row[m.fill:m.fill+lags])
		m.seen[j] = 0
	}
	m.fill = 0
}

// rescale follows a change of a column's scale: its residuals become f times
// what they were.
func (m *moments) rescale(j int, f float32) {
	d := m.d
	for h := range m.g {
		for k := range lags + 1 {
			g := m.g[h][k*d*d:]
			for i := range d {
				g[j*d+i] *= f
				g[i*d+j] *= f
			}
		}
		m.sum[h][j] *= float64(f)
	}
	for t := range lags + block {
		m.buf[j*(lags+block)+t] *= f
	}
}

// cov gives the covariance of column i now with column j k rows before. Rows
// in which a column was not there stand at its level: the estimate is that of
// one sample, so that least squares on it are well defined; share says how much
// of the sample a column has.
func (m *moments) cov(h, k, i, j int) float64 {
	n, d := m.most(h), m.d
	if n < 1 {
		return 0
	}
	return float64(m.g[h][k*d*d+i*d+j])/n - m.sum[h][i]/n*m.sum[h][j]/n
}

// mean gives the mean residual of column j.
func (m *moments) mean(h, j int) float64 { return m.sum[h][j] / max(m.most(h), 1) }

// share is the share of the rows in which column j was there, never 0.
func (m *moments) share(h, j int) float64 {
	return max(m.n[h][j], 1) / max(m.most(h), 1)
}

// most is the largest weight of rows of any column.
func (m *moments) most(h int) float64 { return m.top[h] }

var errSingular = errors.New("the moments are not positive definite")

// solve returns A⁻¹ B for a symmetric A, adding ridge to its diagonal and ten
// times more as long as A is not positive definite, and the ridge it took.
func solve(a *mat.SymDense, b *mat.Dense, ridge float64) (*mat.Dense, float64, error) {
	n := a.SymmetricDim()
	added := 0.
	for range 8 {
		for i := range n {
			a.SetSym(i, i, a.At(i, i)+ridge-added)
		}
		added = ridge
		var chol mat.Cholesky
		if chol.Factorize(a) {
			var x mat.Dense
			if err := chol.SolveTo(&x, b); err == nil || isCondition(err) {
				return &x, ridge, nil
			}
		}
		ridge *= 10
	}
	return nil, 0, errSingular
}

func isCondition(err error) bool {
	var c mat.Condition
	return errors.As(err, &c)
}
