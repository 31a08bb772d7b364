package stats

// UnitHistogram counts values of [0, 1] in 65 bins of width 1/64 and gives
// their running median. Counts are bytes: when one is full, all are halved, so
// old values fade and memory stays at 65 bytes. The zero value is empty.
type UnitHistogram [65]uint8

// Add counts v; values outside of [0, 1] go to the nearest end. v must not be
// NaN.
func (h *UnitHistogram) Add(v float32) {
	i := max(0, min(64, int(64*v)))
	if h[i] == 255 {
		for j := range h {
			h[j] /= 2
		}
	}
	h[i]++
}

// Median is the lower edge of the bin that holds the (lower) median, 0 when
// empty.
func (h *UnitHistogram) Median() float32 {
	n := 0
	for _, c := range h {
		n += int(c)
	}
	c := 0
	for i, k := range h {
		c += int(k)
		if 2*c >= n {
			return float32(i) / 64
		}
	}
	return 0
}
