package joint

import "math/rand/v2"

const (
	blockRows = 8    // consecutive rows that are kept together, lags included
	grain     = 1000 // residuals are kept as whole thousandths
	slowest   = 64   // a full memory takes over at least one block in so many
)

// history is a bounded memory of residual rows for the network: the newest
// rows in order, and blocks of older ones, of which random ones give way, so
// that days are covered rather than hours. Rows pass from the first into the
// second; what is held back from training is therefore always the newest.
type history struct {
	d      int
	recent []int16 // ring of rows
	trust  []bool  // of the recent rows: taught with full weight
	at     int     // next place in the ring
	n      int     // rows in the ring
	since  int     // rows added since the mark, at most len(ring)
	old    []int16 // blocks * blockRows * d
	blocks int     // filled
	open   []int16 // block that is being collected
	opened int     // rows in it
	met    uint64  // blocks met
	random rand.PCG
}

func newHistory(d, rows int, seed uint64) *history {
	recent := max(64, rows/3)
	blocks := max(4, (rows-recent)/blockRows)
	h := &history{
		d: d, recent: make([]int16, recent*d), trust: make([]bool, recent),
		old: make([]int16, blocks*blockRows*d), open: make([]int16, blockRows*d),
	}
	h.random.Seed(seed, 0xb10c)
	return h
}

func (h *history) capacity() int { return len(h.old) / (blockRows * h.d) }

// add takes a row; the one that it pushes out of the ring joins a block.
func (h *history) add(r []float32, trust float32) {
	place := h.recent[h.at*h.d : (h.at+1)*h.d]
	if h.n == len(h.trust) {
		h.retire(place, h.trust[h.at])
	} else {
		h.n++
	}
	for j, v := range r {
		place[j] = pack(v)
	}
	h.trust[h.at] = trust > .5
	h.at = (h.at + 1) % len(h.trust)
	h.since = min(h.since+1, len(h.trust))
}

func pack(v float32) int16 { return int16(min(max(v, -32), 32) * grain) }

// retire moves a row into the open block; a doubted row ends the block.
func (h *history) retire(row []int16, trusted bool) {
	if !trusted {
		h.opened = 0
		return
	}
	copy(h.open[h.opened*h.d:], row)
	if h.opened++; h.opened < blockRows {
		return
	}
	h.opened = 0
	h.met++
	to := h.blocks
	if h.blocks == h.capacity() {
		odds := min(h.met/uint64(h.blocks)+1, slowest)
		if h.random.Uint64()%odds != 0 {
			return
		}
		to = int(h.random.Uint64() % uint64(h.blocks))
	} else {
		h.blocks++
	}
	copy(h.old[to*blockRows*h.d:], h.open)
}

// mark begins to count the rows that are new since now.
func (h *history) mark() { h.since = 0 }

// target unpacks a row of a block and the rows before it, newest first. i
// counts over all targets: blocks * (blockRows - lags).
func (h *history) target(i int, r, lag []float32) {
	const per = blockRows - lags
	b, t := i/per, i%per+lags
	base := b * blockRows
	h.unpack(h.old, base+t, r)
	for k := range lags {
		h.unpack(h.old, base+t-1-k, lag[k*h.d:(k+1)*h.d])
	}
}

func (h *history) targets() int { return h.blocks * (blockRows - lags) }

// newest unpacks the i-th of the last n rows, oldest first.
func (h *history) newest(i, n int, r []float32) bool {
	at := (h.at - n + i + 2*len(h.trust)) % len(h.trust)
	h.unpack(h.recent, at, r)
	return h.trust[at]
}

func (h *history) unpack(from []int16, row int, to []float32) {
	for j, v := range from[row*h.d : (row+1)*h.d] {
		to[j] = float32(v) / grain
	}
}

// rescale follows a change of the scale of column j.
func (h *history) rescale(j int, f float32) {
	for _, part := range [...][]int16{h.recent, h.old, h.open} {
		for i := j; i < len(part); i += h.d {
			part[i] = pack(float32(part[i]) / grain * f)
		}
	}
}
