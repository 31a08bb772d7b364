package choice

import (
	"math"

	"github.com/norn-aiops/norn/internal/stats"
)

// tail is a histogram of one member's raw scores that are not zero, on a
// logarithmic scale that moves with the largest, from which the weight of the
// distribution's tail is read.
type tail struct {
	bins  [tailBins]uint16 // bin i modulo tailBins; those in (top-tailBins, top] count
	top   int16
	total uint16
	tick  uint8
	share float32 // of scores that are not zero
	q90   float32 // quantiles, in bins
	q99   float32
}

const (
	tailBins = 96
	tailPart = 3    // bins an octave
	tailFull = 4000 // counts at which all are halved
	usual    = .5   // index of an unknown tail: about that of Gaussian noise
)

// see counts a score of r; at most least counts as zero. k is the rate at
// which the share is learned.
func (h *tail) see(r, least, peak, k float32) {
	if r <= least || r < 1e-37 {
		h.share -= k * h.share
		return
	}
	h.share += k * (1 - h.share)
	b := int16(math.Floor(float64(stats.FastLog2(r) * tailPart)))
	switch {
	case h.total == 0:
		h.top = b
	case b > h.top:
		h.moveUp(b)
	case b <= h.top-tailBins:
		b = h.top - tailBins + 1
	}
	h.bins[slot(b)]++
	if h.total++; h.total > tailFull {
		h.halve(int16(math.Floor(float64(stats.FastLog2(max(peak, 1e-37)) * tailPart))))
	}
	if h.tick++; h.tick%16 == 0 || h.total < 200 {
		h.read()
	}
}

func slot(b int16) int { return ((int(b) % tailBins) + tailBins) % tailBins }

// moveUp makes b the highest bin; what falls off the low end is counted in
// the lowest.
func (h *tail) moveUp(b int16) {
	var fell uint16
	for i := 0; i < tailBins && h.top < b; i++ {
		h.top++
		s := slot(h.top)
		fell += h.bins[s]
		h.bins[s] = 0
	}
	h.top = b
	h.bins[slot(b-tailBins+1)] += fell
}

// halve forgets half of every bin. The highest bin moves down to the first
// that holds something, at least to peak's.
func (h *tail) halve(peak int16) {
	h.total = 0
	for i := range h.bins {
		h.bins[i] /= 2
		h.total += h.bins[i]
	}
	for h.top > peak && h.bins[slot(h.top)] == 0 && h.total > 0 {
		h.top--
	}
}

// read finds the quantiles.
func (h *tail) read() {
	want := [2]float32{.01 * float32(h.total), .1 * float32(h.total)}
	got := [2]*float32{&h.q99, &h.q90}
	var above float32
	next := 0
	for i := range int16(tailBins) {
		in := float32(h.bins[slot(h.top-i)])
		if in == 0 {
			continue
		}
		for next < 2 && above+in >= want[next] {
			*got[next] = float32(h.top-i) + 1 - (want[next]-above)/in
			next++
		}
		if above += in; next == 2 {
			return
		}
	}
}

// index is the logarithm of the ratio of the 99 % to the 90 % quantile: .45
// for Gaussian noise, .7 for exponential, more for bursts.
func (h *tail) index() float32 {
	if h.total <= 30 {
		return usual
	}
	return (h.q99 - h.q90) * (math.Ln2 / tailPart)
}
