package detect

// moment holds what follows from a point's time and distance alone. Points of
// many series come at the same time with the same interval, so it is worked
// out once for all of them.
type moment struct {
	t       int64 // Unix ms
	bin     int   // of the day
	pos     float64
	weekend bool
	known   bool  // t is not just the zero value
	opens   int64 // Unix ms at which bin began

	dt                                          float64 // seconds
	scale, share, compare, level, profile, fast float32 // rates of learning
}

// at moves to time t (Unix ms), dt seconds after the last point of the series.
func (m *moment) at(t int64, dt float64) {
	if t != m.t || !m.known {
		if in := t - m.opens; m.known && in >= 0 && in < binSeconds*1000 {
			m.pos = float64(in) * perBin // day and half-hour are still the same
		} else {
			m.bin, m.pos = dayBin(t)
			m.weekend = isWeekend(t)
			m.opens = t - floorMod(t, binSeconds*1000)
		}
		m.t = t
	}
	if dt != m.dt || !m.known {
		m.dt = dt
		rate := func(tau, most float64) float32 { return float32(min(most, dt/tau)) }
		m.scale, m.share = rate(tauScale, .1), rate(tauShare, .1)
		m.compare, m.level, m.profile = rate(tauCompare, 1), rate(tauLevel, 1), rate(tauProfile, 1)
		m.fast = rate(tauFast, .2)
	}
	m.known = true
}
