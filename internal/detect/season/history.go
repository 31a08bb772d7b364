package season

import "math"

const (
	ringSize  = 512
	missing   = math.MinInt16
	largest   = 32000
	maxWindow = 48 * dayMS // of history, after which it begins anew with fine steps
)

// history keeps the series' past in buckets of equal width, which double when
// there is no more room: the window widens, the bytes do not.
type history struct {
	Start int64   // Unix ms of the first bucket's begin
	Width int64   // ms of a bucket, 0 before the interval is known
	Base  int64   // ms of the finest
	Sum   float32 // of the present bucket, relative to Mid
	Unit  float32
	Mid   float32
	Count uint16 // points of the present bucket
	N     uint16 // buckets that are complete
	V     [ringSize]int16
}

// restart forgets the past.
func (h *history) restart() { *h = history{} }

// add takes a value; full says that the time has come to look for periods.
// every is the interval in seconds, 0 when not known yet.
func (h *history) add(t int64, x, every float32) (full bool) {
	if h.Width == 0 {
		if every == 0 {
			return false
		}
		w := max(int64(every*1000+.5), 1)
		*h = history{Start: t - w/2, Width: w, Base: w, Mid: x, Unit: abs(x)*1e-7 + 1e-12}
	}
	for k := (t - h.Start) / h.Width; k > int64(h.N); k = (t - h.Start) / h.Width {
		if k-int64(h.N) > ringSize/2 {
			h.restart()
			return false
		}
		full = h.close() || full
		if h.Width == 0 {
			return full
		}
	}
	h.Sum += x - h.Mid
	h.Count = min(h.Count+1, math.MaxUint16-1)
	return full
}

// close ends a bucket.
func (h *history) close() bool {
	if h.N == ringSize {
		if h.widen(); h.Width == 0 {
			return false
		}
	}
	h.V[h.N] = missing
	if h.Count > 0 {
		h.V[h.N] = h.pack(h.Sum / float32(h.Count))
	}
	h.N++
	h.Sum, h.Count = 0, 0
	switch h.N {
	case 64, 96, 128, 192:
		return h.Width == h.Base
	case 256:
		return h.Width == h.Base
	case 384, ringSize:
		return true
	}
	return false
}

// pack gives a value in units, which grow when it does not fit.
func (h *history) pack(x float32) int16 {
	q := float64(x / h.Unit)
	if a := math.Abs(q); a > largest {
		f := math.Exp2(math.Ceil(math.Log2(a / largest)))
		h.Unit *= float32(f)
		for i := range h.N {
			if h.V[i] != missing {
				h.V[i] = int16(float64(h.V[i]) / f)
			}
		}
		q /= f
	}
	return int16(max(-largest, min(largest, q)))
}

// widen makes one bucket of every two.
func (h *history) widen() {
	if 2*h.Width*ringSize > max(maxWindow, 4*h.Base*ringSize) {
		h.restart()
		return
	}
	for i := range ringSize / 2 {
		a, b := h.V[2*i], h.V[2*i+1]
		switch {
		case a == missing:
			h.V[i] = b
		case b == missing:
			h.V[i] = a
		default:
			h.V[i] = int16((int32(a) + int32(b)) / 2)
		}
	}
	h.N /= 2
	h.Width *= 2
}

// move says that the level has changed: the past is put on the new one.
func (h *history) move(x float32) { h.Mid += x }

// at is the middle of a bucket in Unix ms.
func (h *history) at(i int) int64 { return h.Start + int64(i)*h.Width + h.Width/2 }
