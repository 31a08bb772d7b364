package logmine

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/norn-aiops/norn/internal/telemetry"
)

// Names of the series of numbers that lines carry: the mean of a window's
// lines, in seconds, in bytes, or in what the line counts.
const (
	MetricParam        = "norn_log_param"
	MetricParamSeconds = "norn_log_param_seconds"
	MetricParamBytes   = "norn_log_param_bytes"
)

// ParamLabels returns the labels of the mean of one parameter of a template.
func ParamLabels(metric string, entity telemetry.Entity, template uint64, param string) labels.Labels {
	return labels.FromStrings(
		model.MetricNameLabel, metric,
		"entity", entity.String(),
		"template", strconv.FormatUint(template, 10),
		"param", param,
	)
}

// Bounds of measuring parameters.
const (
	paramLines   = 64 // of a template and window that are measured: the first ones
	paramTracked = 16 // lines after which it is known which places vary
	paramsOfLine = 4  // series of one template
)

// param is a number in a template's lines that has a series.
type param struct {
	name   string
	metric string
	weight int // of usefulness
	head   int // of the token in the pattern that its run begins with
	tail   int // tokens behind that one
	run    int // length of the run: lines with another are left out

	on     bool
	labels labels.Labels
	sum    float64
	n      int
}

// measure adds the numbers of the scanner's line.
func (t *template) measure(s *scanner) {
	t.measured++
	head := -1
	for i := 0; i < len(s.toks); {
		n := tailsOf(s.toks, i)
		if s.toks[i].flags&flagTail == 0 {
			head++
		}
		for k := range t.params {
			p := &t.params[k]
			if !p.on || p.head != head || p.run != n {
				continue
			}
			if v, ok := numberAt(s, i+p.tail); ok {
				p.sum += v
				p.n++
			}
		}
		i += n
	}
}

// numberAt reads token i with the unit in it or behind it.
func numberAt(s *scanner, i int) (float64, bool) {
	text := s.line[s.toks[i].start:s.toks[i].end]
	unit := ""
	if i+1 < len(s.toks) && s.toks[i+1].flags&(flagTime|flagSize) != 0 {
		unit = s.line[s.toks[i+1].start:s.toks[i+1].end]
	}
	return parseNumber(text, unit)
}

// parseNumber reads 12, 12.5, 1,234, 12ms, 1m2s or 3KB, in seconds or bytes
// where there is a unit.
func parseNumber(text, unit string) (float64, bool) {
	text = strings.TrimPrefix(text, "<")
	k := 0
	for k < len(text) && (classes[text[k]]&isDigit != 0 || text[k] == '.' || text[k] == '-' && k == 0) {
		k++
	}
	if k == 0 {
		return 0, false
	}
	v, err := strconv.ParseFloat(text[:k], 64)
	if err != nil {
		return 0, false
	}
	if rest := text[k:]; rest != "" {
		if unit != "" {
			return 0, false
		}
		if f, ok := unitFactor(rest); ok {
			return v * f, true
		}
		d, err := time.ParseDuration(text) // 1m2.5s
		return d.Seconds(), err == nil
	}
	if unit == "" {
		return v, true
	}
	f, ok := unitFactor(unit)
	return v * f, ok
}

// unitFactor brings a unit to seconds or bytes; other units stay.
func unitFactor(u string) (float64, bool) {
	switch u {
	case "ns", "nanoseconds":
		return 1e-9, true
	case "us", "µs", "microseconds":
		return 1e-6, true
	case "ms", "millis", "milliseconds":
		return 1e-3, true
	case "s", "sec", "secs", "second", "seconds", "B", "byte", "bytes", "%", "Hz":
		return 1, true
	case "m", "min", "mins", "minute", "minutes":
		return 60, true
	case "h", "hr", "hrs", "hour", "hours":
		return 3600, true
	case "day", "days":
		return 86400, true
	case "KB", "kB":
		return 1e3, true
	case "MB":
		return 1e6, true
	case "GB":
		return 1e9, true
	case "TB":
		return 1e12, true
	case "KiB":
		return 1 << 10, true
	case "MiB":
		return 1 << 20, true
	case "GiB":
		return 1 << 30, true
	case "TiB":
		return 1 << 40, true
	}
	return 0, false
}

// telling are words beside a number that say that it measures something. What
// a number is called decides, since ids, ports and codes are numbers too.
const telling = " took elapsed duration latency time wait waited delay lag age size length len depth queue queued backlog pending inflight " +
	"connections conns active idle threads workers goroutines heap memory mem used free usage utilization load percent pct ratio count total " +
	"rows records items messages entries requests retries attempts failed dropped hits misses batch bytes "

// milliseconds are endings of names of durations without a unit of their own.
func namedUnit(name string) (metric string, factorless bool) {
	low := strings.ToLower(name)
	switch {
	case strings.HasSuffix(low, "_seconds"), strings.HasSuffix(low, "_secs"):
		return MetricParamSeconds, true
	case strings.HasSuffix(low, "bytes"):
		return MetricParamBytes, true
	}
	return MetricParam, true
}

// findParams looks for the numbers of a template that vary and measure
// something.
func (t *template) findParams() []param {
	var out []param
	head := -1
	for i := 0; i < len(t.places); {
		n := tails(t.places, i)
		if t.places[i].flags&flagTail == 0 {
			head++
		}
		for k := 0; k < n && len(out) < paramsOfLine && t.places[i].flags&flagRunVaries == 0; k++ {
			if p, ok := t.paramAt(i + k); ok {
				p.head, p.tail, p.run = head, k, n
				out = append(out, p)
			}
		}
		i += n
	}
	for i := range out { // two of one name are told apart by their order
		same := 0
		for k := range i {
			if out[k].name == out[i].name || strings.HasPrefix(out[k].name, out[i].name+"_") {
				same++
			}
		}
		if same > 0 {
			out[i].name += "_" + strconv.Itoa(same+1)
		}
	}
	return out
}

// paramAt judges one token.
func (t *template) paramAt(i int) (param, bool) {
	pl := t.places[i]
	if pl.kind == kindWord || pl.flags&(flagDate|flagTime|flagSize) != 0 || t.stats == nil || i >= len(t.stats) || !t.stats[i].varies {
		return param{}, false
	}
	value := t.line[pl.start:pl.end]
	unitBehind := ""
	kind := endsInUnit(value)
	if i+1 < len(t.places) && t.places[i+1].flags&(flagTime|flagSize) != 0 {
		unitBehind = t.line[t.places[i+1].start:t.places[i+1].end]
		kind = "size"
		if t.places[i+1].flags&flagTime != 0 {
			kind = "duration"
		}
	}
	if _, ok := parseNumber(value, unitBehind); !ok {
		return param{}, false
	}
	name := t.keyOf(i)
	word := strings.ToLower(name)
	if name == "" {
		word = t.wordBefore(i)
	}
	p := param{name: strings.Trim(word, " ._-")}
	switch kind {
	case "duration":
		p.metric, p.weight = MetricParamSeconds, 3
	case "size":
		p.metric, p.weight = MetricParamBytes, 2
		if strings.ContainsAny(value+unitBehind, "%z") { // percent, Hz
			p.metric = MetricParam
		}
	default:
		if !isTelling(word) {
			return param{}, false
		}
		p.metric, _ = namedUnit(word)
		p.weight = 2
	}
	if p.name == "" || len(p.name) > 40 {
		p.name = cmp.Or(kind, "value")
	}
	return p, true
}

// wordBefore is the word in front of token i, in small letters; "" when there
// is none nearby.
func (t *template) wordBefore(i int) string {
	for k := i - 1; k >= 0 && k >= i-2; k-- {
		if p := t.places[k]; p.kind == kindWord {
			return strings.ToLower(t.line[p.start:p.end])
		}
	}
	return ""
}

// isTelling looks for a telling word among the parts of a name.
func isTelling(name string) bool {
	for part := range strings.FieldsFuncSeq(name, func(r rune) bool { return r == '_' || r == '.' || r == '-' || r == ' ' }) {
		if strings.Contains(telling, " "+part+" ") {
			return true
		}
	}
	return false
}

// chooseParams gives series to the most useful numbers of the rated templates.
func (s *service) chooseParams() {
	changed := false
	for _, t := range s.templates {
		if t == nil || t.into != nil {
			continue
		}
		if !t.rated {
			t.params = nil
			t.paramsAt = 0
			continue
		}
		if t.tracked >= max(t.paramsAt, paramTracked) && t.paramsAt < 1<<12 {
			t.paramsAt = 8 * max(t.paramsAt, paramTracked)
			if found := t.findParams(); len(found) != len(t.params) {
				t.params, changed = found, true
			}
		}
	}
	if !changed {
		return
	}
	type candidate struct {
		t *template
		p *param
	}
	var all []candidate
	for _, t := range s.templates {
		if t == nil || t.into != nil {
			continue
		}
		for k := range t.params {
			all = append(all, candidate{t, &t.params[k]})
		}
	}
	slices.SortStableFunc(all, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(b.p.weight, a.p.weight), cmp.Compare(b.t.count, a.t.count), cmp.Compare(a.t.id, b.t.id))
	})
	for i, c := range all {
		c.p.on = i < s.cfg.ParamSeries
		if c.p.on && c.p.labels.IsEmpty() {
			c.p.labels = ParamLabels(c.p.metric, s.entity, c.t.id, c.p.name)
		}
	}
}

// flushParams gives the means of a window and begins the next.
func (t *template) flushParams(out []RateSample, end int64) []RateSample {
	t.measured = 0
	for k := range t.params {
		p := &t.params[k]
		if p.on && p.n > 0 {
			out = append(out, RateSample{p.labels, end, p.sum / float64(p.n)})
		}
		p.sum, p.n = 0, 0
	}
	return out
}
