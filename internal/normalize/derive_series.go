package normalize

import (
	"strconv"
	"unsafe"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/norn-aiops/norn/internal/telemetry"
)

// selector writes the PromQL selector that matches exactly these labels.
func selector(ls labels.Labels) string { return around("", ls, "") }

// around writes it between two texts.
func around(before string, ls labels.Labels, after string) string {
	name := ls.Get(labels.MetricName)
	legacy := isLegacyName(name, true)
	b := make([]byte, 0, len(before)+len(textOf(&ls))+4*ls.Len()+8+len(after))
	b = append(b, before...)
	if legacy {
		b = append(b, name...)
	}
	b = append(b, '{')
	n := 0
	if !legacy {
		b = strconv.AppendQuote(b, name)
		n++
	}
	ls.Range(func(l labels.Label) {
		if l.Name == labels.MetricName {
			return
		}
		if n++; n > 1 {
			b = append(b, ',')
		}
		if isLegacyName(l.Name, false) {
			b = append(b, l.Name...)
		} else {
			b = strconv.AppendQuote(b, l.Name)
		}
		b = append(b, '=')
		b = strconv.AppendQuote(b, l.Value)
	})
	if legacy && n == 0 {
		b = b[:len(b)-1] // the name alone
	} else {
		b = append(b, '}')
	}
	b = append(b, after...)
	return unsafe.String(unsafe.SliceData(b), len(b)) // nobody writes to b again
}

// isLegacyName reports whether PromQL takes the name without quotes.
func isLegacyName(s string, colon bool) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == ':' && colon || c >= '0' && c <= '9' && i > 0 {
			continue
		}
		return false
	}
	return s != ""
}

// scaled multiplies a PromQL expression.
func scaled(expr string, factor float64) string {
	if factor == 1 {
		return expr
	}
	return "(" + expr + ") * " + strconv.FormatFloat(factor, 'g', -1, 64)
}

// rangeFor chooses the window of rate() for samples that come every interval
// ms: one minute, or the whole minutes that hold four samples.
func rangeFor(interval int64) string {
	if interval <= 15_000 {
		return "[1m]"
	}
	return "[" + strconv.FormatInt((4*interval+59_999)/60_000, 10) + "m]"
}

// gaugeSeries describes a raw series that is watched as it is. When its unit
// is converted, Derived is set, because only Expr then gives the same numbers.
func (e *entry) gaugeSeries(d *Deriver) *telemetry.Series {
	name := e.labels.Get(labels.MetricName)
	s := &telemetry.Series{
		ID: telemetry.SeriesID(e.labels.Hash()), Labels: e.labels, Name: name,
		Expr: scaled(selector(e.labels), e.factor), Unit: e.unit, Derived: e.factor != 1,
	}
	s.Entity, s.Peer, s.Instance = EntityOfLabels(e.labels)
	s.Signal, s.Direction = d.signals.of(name, e.labels, e.unit, false)
	return s
}

func (e *entry) rateSeries(d *Deriver, interval int64) *telemetry.Series {
	name := e.labels.Get(labels.MetricName)
	expr := around("rate(", e.labels, rangeFor(interval)+")")
	unit := perSecond(e.unit)
	m := d.signals.meaning(name, e.labels, e.unit, true)
	s := derived(e.labels, m.own, m.show, scaled(expr, e.factor), unit)
	s.Signal, s.Direction = m.signal, m.direction
	if e.unit == "" && s.Signal == telemetry.SignalTraffic && hasWord(name, "requests", "request") {
		s.Unit = "{request}/s"
	}
	return s
}

// derived makes a derived series. Its labels are those of the raw series (or
// family) with the name of the derived one, and its ID is their hash.
func derived(ls labels.Labels, name, display, expr, unit string) *telemetry.Series {
	own := labels.NewBuilder(ls).Set(labels.MetricName, name).Labels()
	s := &telemetry.Series{ID: telemetry.SeriesID(own.Hash()), Labels: own, Name: display, Expr: expr, Unit: unit, Derived: true}
	s.Entity, s.Peer, s.Instance = EntityOfLabels(ls)
	return s
}
