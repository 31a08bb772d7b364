package detect

import "github.com/norn-aiops/norn/internal/telemetry"

// sensitivityFactor turns an operator's word (0 low, 1 normal, 2 high) into a
// factor on the wished number of false alarms.
func sensitivityFactor(word int) float64 { return [...]float64{.05, 1, 20}[word] }

// wished is an episode's severity as the operator's policy has it: weighed,
// and none while the deviation is too small to be told.
func wished(sev float64, m *telemetry.Series, ep *episode, p telemetry.Point, expected float64) float64 {
	if m.Policy == nil {
		return sev
	}
	otherWay := m.Policy.OnlyWay != telemetry.BothBad && telemetry.Direction(ep.dir) == -m.Policy.OnlyWay
	if otherWay || ep.ended == endNone && !m.Policy.Matters(p.V, expected) {
		return 0
	}
	_, member := kindOf(ep)
	return min(1, sev*m.Policy.Factor(member))
}

// Series gives the description of a watched series.
func (e *Engine) Series(id telemetry.SeriesID) (*telemetry.Series, bool) {
	s := e.lock(id)
	if s == nil {
		var m *telemetry.Series
		ok := e.withCounter(id, func(c *counter) { m = c.meta })
		return m, ok
	}
	defer s.row.mu.Unlock()
	return s.meta, true
}

// Drop forgets the series that match and returns how many. Their anomalies
// that were told end at now (Unix ms), with the next Tick. match must not call
// the engine.
func (e *Engine) Drop(now int64, match func(*telemetry.Series) bool) int {
	n := 0
	e.each(func(s *series) bool {
		if !match(s.meta) {
			return true
		}
		for _, r := range s.reports() {
			if r != nil && r.sent && r.a.Ended == 0 {
				r.a.Ended = now
				e.tellLater(&r.a)
			}
		}
		e.leave(s)
		n++
		return true
	})
	return n + e.dropCounters(now, match)
}

func (e *Engine) dropCounters(now int64, match func(*telemetry.Series) bool) int {
	var ids []telemetry.SeriesID
	e.eachCounter(func(_ uint32, c *counter) bool {
		if match(c.meta) {
			ids = append(ids, c.meta.ID)
		}
		return true
	})
	n := 0
	for _, id := range ids {
		if c, ok := e.strike(id); ok {
			if r := c.silent; r != nil && r.sent {
				r.a.Ended = now
				e.tellLater(&r.a)
			}
			e.count.Add(-1)
			n++
		}
	}
	return n
}
