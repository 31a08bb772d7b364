package logmine

import "github.com/norn-aiops/norn/internal/telemetry"

// Retract takes back the count of a record that [Miner.Add] mined and that
// then turned out to be a repetition of one already stored. The template
// itself stays known. Safe for concurrent use.
func (m *Miner) Retract(rec *telemetry.LogRecord) {
	s := m.service(rec.Entity)
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if w := &s.rates.window[severityRange(rec.Severity)]; *w > 0 && !rec.History {
		*w--
	}
	t := s.ids[m.aliases.resolve(rec.Template)]
	if t == nil {
		return
	}
	if t = t.live(); t.window > 0 && !rec.History {
		t.window--
	}
	if t.count > 0 {
		t.count--
	}
	for _, n := range s.novelty.active {
		if n.t == t { // so that the next line counts as growth
			n.counted = min(n.counted, t.count)
		}
	}
}
