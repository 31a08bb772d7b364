package pipeline

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/norn-aiops/norn/internal/logmine"
	"github.com/norn-aiops/norn/internal/store"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// logHistory remembers which past was brought in by log records, until their
// rates are made from what is stored.
type logHistory struct {
	mu       sync.Mutex
	from, to int64 // Unix ms; to is 0 when nothing waits
	arrived  time.Time
	touched  map[telemetry.Entity]struct{}
}

func (h *logHistory) note(rec *telemetry.LogRecord) {
	t := rec.Time / 1e6
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.to == 0 {
		h.from, h.to, h.touched = t, t, map[telemetry.Entity]struct{}{}
	}
	h.from, h.to, h.arrived = min(h.from, t), max(h.to, t), time.Now()
	if len(h.touched) < maxHistoryServices {
		h.touched[rec.Entity] = struct{}{}
	}
}

// Bounds of the rates of imported logs.
const (
	maxHistoryServices = 500
	historyTemplates   = 100             // with a series, a service
	historyRates       = 14 * 24 * 3.6e6 // ms back from the newest record
	historyStep        = 10_000          // ms; as live windows
	historySlice       = 6 * 3600_000    // ms that one query counts
	historyZeros       = 10 * 60_000     // ms for which a silent series gives zeros, as live
	historyLeast       = 3               // lines before a template has a series
)

// LogHistoryWaits reports whether log records of the past came, the last one at
// least quiet ago, whose rates are not made yet.
func (p *Pipeline) LogHistoryWaits(quiet time.Duration) bool {
	h := &p.logHistory
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.to != 0 && time.Since(h.arrived) >= quiet
}

// WriteLogHistory makes the rates of imported log records, as live ones have
// them, from what is stored, and writes them into imp. It returns the entities
// whose rates they are, and how many samples were given. What arrives meanwhile
// waits for the next call.
func (p *Pipeline) WriteLogHistory(ctx context.Context, imp store.Import) (touched map[telemetry.Entity]struct{}, samples int, err error) {
	h := &p.logHistory
	h.mu.Lock()
	from, to, touched := h.from, h.to, h.touched
	h.to, h.touched = 0, nil
	h.mu.Unlock()
	if to == 0 {
		return nil, 0, nil
	}
	defer func() {
		if err != nil { // it waits again
			h.mu.Lock()
			defer h.mu.Unlock()
			if h.to == 0 {
				h.from, h.to, h.arrived, h.touched = from, to, time.Now(), touched
			}
		}
	}()
	p.st.Logs.FlushLogs()
	from = max(from, to-int64(historyRates))
	from -= mod(from, historyStep)
	alias := p.miner.Aliases()
	for e := range touched {
		n, err := p.writeRates(ctx, imp, e, from, to, alias)
		if err != nil {
			return touched, samples, fmt.Errorf("cannot make the rates of imported logs of %s: %w", e, err)
		}
		samples += n
	}
	if err := imp.Flush(ctx); err != nil {
		return touched, samples, fmt.Errorf("cannot store the rates of imported logs: %w", err)
	}
	return touched, samples, nil
}

func mod(a, b int64) int64 { return ((a % b) + b) % b }

// pastSeries is one rate while it is written.
type pastSeries struct {
	ls   labels.Labels
	last int64 // end of the last window with lines; 0 before the first
	buf  []store.ImportSample
}

// writeRates counts the lines of an entity in slices of time and writes the
// rates of its severities and most frequent templates.
func (p *Pipeline) writeRates(ctx context.Context, imp store.Import, e telemetry.Entity, from, to int64, alias map[uint64]uint64) (n int, err error) {
	filter := "service:=" + strconv.Quote(e.Name)
	if e.Kind == telemetry.KindService {
		filter += ` entity:=""`
	} else {
		filter += " entity:=" + strconv.Quote(e.String())
	}
	chosen, err := p.frequent(ctx, filter, from, to, alias)
	if err != nil {
		return 0, err
	}
	series := map[string]*pastSeries{}
	for start := from; start <= to; start += historySlice {
		end := min(start+historySlice, to+historyStep)
		windows, err := p.countPast(ctx, filter, start, end, alias, chosen)
		if err != nil {
			return n, err
		}
		for key := range keysOf(windows) {
			if series[key] == nil {
				series[key] = &pastSeries{ls: pastLabels(e, key)}
			}
		}
		for _, key := range slices.Sorted(maps.Keys(series)) {
			s := series[key]
			for w := start + historyStep; w <= end; w += historyStep {
				s.put(w, windows[w][key])
			}
			n += len(s.buf)
			if err := imp.Add(s.ls, s.buf); err != nil {
				p.log.Debug("rates of imported logs refused", "series", s.ls.String(), "err", err)
			}
			s.buf = s.buf[:0]
		}
		if imp.Full() {
			if err := imp.Flush(ctx); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

// countPast counts lines by the end of their window and by series: s and the
// severity, t and the template.
func (p *Pipeline) countPast(ctx context.Context, filter string, start, end int64, alias map[uint64]uint64, chosen map[uint64]bool) (map[int64]map[string]float64, error) {
	windows := map[int64]map[string]float64{} // end of window; series; lines
	query := fmt.Sprintf("%s | stats by (_time:%dms, severity, template) count() n", filter, historyStep)
	err := p.st.Logs.SearchLogs(ctx, store.LogQuery{Query: query, From: start * 1e6, To: end*1e6 - 1}, func(r store.Row) bool {
		t, err1 := time.Parse(time.RFC3339Nano, r["_time"])
		lines, err2 := strconv.ParseFloat(r["n"], 64)
		if err1 != nil || err2 != nil {
			return true
		}
		w := t.UnixMilli() + historyStep
		if windows[w] == nil {
			windows[w] = map[string]float64{}
		}
		windows[w]["s"+r["severity"]] += lines
		if id, err := strconv.ParseUint(r["template"], 10, 64); err == nil {
			if to, ok := alias[id]; ok {
				id = to
			}
			if chosen[id] {
				windows[w]["t"+strconv.FormatUint(id, 10)] += lines
			}
		}
		return true
	})
	if err != nil {
		return nil, err
	}
	return windows, nil
}

// put gives the window that ends at w a value, zeros only for a while after the
// last line.
func (s *pastSeries) put(w int64, lines float64) {
	if lines > 0 {
		s.last = w
	}
	if s.last > 0 && w-s.last <= historyZeros {
		s.buf = append(s.buf, store.ImportSample{T: w, V: lines * 1000 / historyStep})
	}
}

func keysOf(windows map[int64]map[string]float64) map[string]struct{} {
	out := map[string]struct{}{}
	for _, w := range windows {
		for k := range w {
			out[k] = struct{}{}
		}
	}
	return out
}

func pastLabels(e telemetry.Entity, key string) labels.Labels {
	if id, ok := strings.CutPrefix(key, "t"); ok {
		n, _ := strconv.ParseUint(id, 10, 64) // written from a number
		return logmine.TemplateLabels(e, n)
	}
	return labels.FromStrings(labels.MetricName, logmine.MetricLogRate, "entity", e.String(), "severity", key[1:])
}

// frequent chooses the templates that get a series.
func (p *Pipeline) frequent(ctx context.Context, filter string, from, to int64, alias map[uint64]uint64) (map[uint64]bool, error) {
	counts := map[uint64]float64{}
	err := p.st.Logs.SearchLogs(ctx, store.LogQuery{Query: filter + " template:* | stats by (template) count() n", From: from * 1e6, To: to*1e6 + 999_999}, func(r store.Row) bool {
		id, err1 := strconv.ParseUint(r["template"], 10, 64)
		n, err2 := strconv.ParseFloat(r["n"], 64)
		if err1 != nil || err2 != nil {
			return true
		}
		if to, ok := alias[id]; ok {
			id = to
		}
		counts[id] += n
		return true
	})
	if err != nil {
		return nil, err
	}
	ids := slices.SortedFunc(maps.Keys(counts), func(a, b uint64) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	out := map[uint64]bool{}
	for _, id := range ids[:min(len(ids), historyTemplates)] {
		if counts[id] >= historyLeast {
			out[id] = true
		}
	}
	return out, nil
}
