package stats

// UnitMedian is a [UnitHistogram] that keeps its median up to date with every
// value, which costs a step or two instead of a walk through all bins. The
// zero value is empty.
type UnitMedian struct {
	UnitHistogram
	at       uint8  // bin of the lower median
	n, below uint16 // values counted, and those in bins below at
}

// Add counts v as [UnitHistogram.Add] does.
func (m *UnitMedian) Add(v float32) {
	i := max(0, min(64, int(64*v)))
	if m.UnitHistogram[i] == 255 {
		m.UnitHistogram.Add(v)
		m.Recount()
		return
	}
	m.UnitHistogram[i]++
	m.n++
	if i < int(m.at) {
		m.below++
	}
	m.settle()
}

// settle moves to the first bin below whose end lies half of all values.
func (m *UnitMedian) settle() {
	h := &m.UnitHistogram
	for m.at > 0 && 2*m.below >= m.n {
		m.at--
		m.below -= uint16(h[m.at%65])
	}
	for m.at < 64 && 2*(m.below+uint16(h[m.at%65])) < m.n {
		m.below += uint16(h[m.at%65])
		m.at++
	}
}

// Median is what [UnitHistogram.Median] gives.
func (m *UnitMedian) Median() float32 { return float32(m.at) / 64 }

// Recount finds the median again after the counts were set from outside.
func (m *UnitMedian) Recount() {
	m.at, m.n, m.below = 0, 0, 0
	for _, c := range m.UnitHistogram {
		m.n += uint16(c)
	}
	m.settle()
}
