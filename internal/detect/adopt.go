package detect

// Adopt takes over the detectors of another engine of the same configuration,
// which must not be used any more, for series of which they have seen more
// points: models that were made from history which came late. Anomalies that
// are open go on. A series that is new here is taken as gone until its next
// point, so that its silence is no news. It returns how many were taken.
func (e *Engine) Adopt(from *Engine) (taken int) {
	from.Settle()
	from.each(func(s *series) bool {
		if e.adopt(s) {
			taken++
		}
		return true
	})
	return taken
}

func (e *Engine) adopt(from *series) bool {
	s := e.enter(from.meta)
	if s == nil {
		return false
	}
	defer s.row.mu.Unlock()
	e.settleNow(s)
	if s.det.base.n >= from.det.base.n {
		return false
	}
	if s.det.base.n == 0 {
		s.gone = true
	}
	level, form := s.det.level, s.det.form
	e.demote(&s.det)
	s.det = from.det
	s.det.level, s.det.form = level, form
	s.det.opt = &e.options[classOf(s.meta)]
	e.keepTier(&s.det)
	e.keepSeason(&s.det.base)
	e.bound(s, s.seat())
	return true
}
