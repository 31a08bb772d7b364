package logmine

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/norn-aiops/norn/internal/telemetry"
)

// Names of the series that the miner gives, both in {line}/s.
const (
	MetricLogRate      = "norn_log_rate"
	MetricTemplateRate = "norn_log_template_rate"
)

// Labels returns the labels of the rate of an entity's lines of one severity.
func Labels(entity telemetry.Entity, severity telemetry.Severity) labels.Labels {
	return labels.FromStrings(
		model.MetricNameLabel, MetricLogRate,
		"entity", entity.String(),
		"severity", severity.String(),
	)
}

// TemplateLabels returns the labels of the rate of one template's lines.
func TemplateLabels(entity telemetry.Entity, template uint64) labels.Labels {
	return labels.FromStrings(
		model.MetricNameLabel, MetricTemplateRate,
		"entity", entity.String(),
		"template", strconv.FormatUint(template, 10),
	)
}

// RateSample is one value of a series: lines a second, or the mean of a number
// that lines carry, over the window that ends at T.
type RateSample struct {
	Labels labels.Labels
	T      int64 // Unix milliseconds
	V      float64
}

// severityRange numbers the ranges of severity from 0 (unknown) to 6 (fatal).
func severityRange(s telemetry.Severity) int {
	if s <= 0 {
		return 0
	}
	return min(int(s-1)/4+1, ranges-1)
}

const ranges = 7

// rates counts a service's lines for the next flush.
type rates struct {
	window [ranges]uint64
	active [ranges]int64 // Unix ms of the last flush that saw a line; 0 never
	labels [ranges]labels.Labels
	rated  int  // templates with a rate series
	whole  bool // the service was there when this window began
}

func (r *rates) count(s telemetry.Severity) { r.window[severityRange(s)]++ }

// drop takes a dead template out of the rated.
func (r *rates) drop(t *template) {
	if t.rated {
		t.rated = false
		r.rated--
	}
}

// Flush ends the windows that are complete at now (Unix ms) and returns their
// rates: one value a series, for each severity an entity logged and for its
// most frequent templates ([Config.RatedTemplates], each seen
// [Config.RatedMin] times), and the means of the numbers that their lines carry
// ([Config.ParamSeries]; none for a window without such lines). A rate series that falls silent gives zeros for
// [Config.ZeroFor] and then ends. Lines count in the window in which they
// arrive; the window in which a service is first heard of, or heard of again
// after a restart, is cut short and gives none. Flush returns nil when no window is complete; when several are, they
// are averaged into one value. Services without lines for [Config.IdleFor] are
// forgotten. Safe for concurrent use with Add.
func (m *Miner) Flush(now int64) []RateSample {
	width := m.cfg.Window.Milliseconds()
	end := now - mod(now, width)
	m.mu.Lock()
	start := m.lastEnd
	if start == 0 || end < start-width {
		start = end - width // first flush, or the clock was set back
	}
	if end <= start {
		m.mu.Unlock()
		return nil
	}
	m.lastEnd = end
	m.mu.Unlock()
	seconds := float64(end-start) / 1000
	var out []RateSample
	for _, s := range m.all() {
		s.mu.Lock()
		out = s.flush(out, end, seconds)
		s.shrink()
		idle := s.idle(end)
		s.mu.Unlock()
		if idle {
			m.forget(s)
		}
	}
	return out
}

func mod(a, b int64) int64 { return ((a % b) + b) % b }

// idle reports whether the service gave no line for the configured time.
func (s *service) idle(end int64) bool {
	newest := slices.Max(s.rates.active[:])
	return newest > 0 && end-newest > s.cfg.IdleFor.Milliseconds()
}

func (m *Miner) forget(s *service) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.services, s.entity)
	m.shared.services.Store(int64(len(m.services)))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.account(-s.bytes)
	s.cache = cache{}
	s.accountCache()
}

func (s *service) flush(out []RateSample, end int64, seconds float64) []RateSample {
	if !s.rates.whole { // a part of a window is no rate
		s.rates.whole = true
		s.clearWindow(end)
		return out
	}
	zeroFor := s.cfg.ZeroFor.Milliseconds()
	r := &s.rates
	s.shares.note(end, &r.window)
	for k := range ranges {
		if r.window[k] > 0 {
			if r.active[k] == 0 {
				r.labels[k] = Labels(s.entity, telemetry.Severity(max(0, 4*k-3)))
			}
			r.active[k] = end
		}
		if r.active[k] > 0 && end-r.active[k] <= zeroFor {
			out = append(out, RateSample{r.labels[k], end, float64(r.window[k]) / seconds})
		}
		r.window[k] = 0
	}
	s.choose(end)
	s.chooseParams()
	for _, t := range s.templates {
		if t == nil || t.into != nil {
			continue
		}
		if t.rated {
			out = append(out, RateSample{t.labels, end, float64(t.window) / seconds})
		}
		out = t.flushParams(out, end)
		t.window = 0
		if t.count >= uint64(s.cfg.RatedMin) { // what came once or twice has no history
			s.note(t)
		}
	}
	return out
}

// clearWindow forgets the lines of a window that gives no values.
func (s *service) clearWindow(end int64) {
	for k := range ranges {
		if s.rates.window[k] > 0 {
			s.rates.labels[k] = Labels(s.entity, telemetry.Severity(max(0, 4*k-3)))
			s.rates.active[k] = end
		}
		s.rates.window[k] = 0
	}
	for _, t := range s.templates {
		if t != nil {
			t.window = 0
		}
	}
}

// choose says which templates have a rate series in this window: those seen
// often enough and not silent for too long; when there are too many, the most
// frequent, where one that has a series already counts double so that the
// choice does not flutter.
func (s *service) choose(end int64) {
	zeroFor := s.cfg.ZeroFor.Milliseconds()
	var candidates []*template
	for _, t := range s.templates {
		if t == nil || t.into != nil {
			continue
		}
		if t.window > 0 {
			t.active = end
		}
		if t.active > 0 && end-t.active <= zeroFor && t.count >= uint64(s.cfg.RatedMin) {
			candidates = append(candidates, t)
			continue
		}
		s.rates.drop(t)
	}
	if len(candidates) > s.cfg.RatedTemplates {
		weight := func(t *template) uint64 {
			if t.rated {
				return 2 * t.count
			}
			return t.count
		}
		slices.SortFunc(candidates, func(a, b *template) int {
			return cmp.Or(cmp.Compare(weight(b), weight(a)), cmp.Compare(a.id, b.id))
		})
		for _, t := range candidates[s.cfg.RatedTemplates:] {
			s.rates.drop(t)
		}
		candidates = candidates[:s.cfg.RatedTemplates]
	}
	for _, t := range candidates {
		if t.rated {
			continue
		}
		t.rated = true
		s.rates.rated++
		if t.labels.IsEmpty() {
			t.labels = TemplateLabels(s.entity, t.id)
		}
	}
}
