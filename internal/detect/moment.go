package detect

// moment holds what follows from a point's time and distance alone. Points of
// many series come at the same time with the same interval, so it is worked
// out once for all of them.
type moment struct {
	t       int64 // Unix ms
	bin     int   // of the day
	pos     float64
	weekend bool
	known   bool // t is not just the zero value

	dt                                   float64 // seconds
	scale, compare, level, profile, fast float64 // rates of learning
	share                                float32
}

// at moves to time t (Unix ms), dt seconds after the last point of the series.
func (m *moment) at(t int64, dt float64) {
	if t != m.t || !m.known {
		m.t = t
		m.bin, m.pos = dayBin(t)
		m.weekend = isWeekend(t)
	}
	if dt != m.dt || !m.known {
		m.dt = dt
		m.scale, m.share = min(.1, dt/tauScale), min(.1, float32(dt/tauShare))
		m.compare, m.level, m.profile = min(1, dt/tauCompare), min(1, dt/tauLevel), min(1, dt/tauProfile)
		m.fast = min(.2, dt/tauFast)
	}
	m.known = true
}
