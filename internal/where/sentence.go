package where

import (
	"fmt"
	"math"
	"strings"

	"github.com/norn-aiops/norn/internal/cause/drilldown"
)

// Where names an element for people: "region=eu, version=2.4".
func Where(e drilldown.Element) string {
	var parts []string
	for _, p := range e.Pairs {
		v := p.Value
		if v == "" {
			v = "(none)"
		}
		parts = append(parts, p.Dim+"="+v)
	}
	return strings.Join(parts, ", ")
}

func (a *Answer) sentence() string {
	switch {
	case a.Leaves == 0:
		return "Nothing was found in these times."
	case len(a.Elements) == 0 && a.Excess == 0:
		return "Nothing differs from the time compared with."
	case len(a.Elements) == 0:
		return fmt.Sprintf("No combination of %s stands out: what changed, changed everywhere or by chance.", strings.Join(a.Dims, ", "))
	}
	var parts []string
	for _, e := range a.Elements[:min(3, len(a.Elements))] {
		parts = append(parts, a.say(e))
	}
	return strings.Join(parts, " ")
}

func (a *Answer) say(e drilldown.Element) string {
	what := fmt.Sprintf("%s: %s instead of %s", Where(e), a.number(e.Observed), a.number(e.Expected))
	if a.Kind == "share" || a.Kind == "mean" {
		what += fmt.Sprintf(", with %s of the traffic", percent(e.Traffic))
	}
	if e.Share > 0 && e.Share <= 1.02 {
		what += fmt.Sprintf("; that is %s of the change", percent(min(e.Share, 1)))
	} else if e.Share > 1.02 {
		what += "; others made up for a part of it"
	}
	return what + "."
}

func (a *Answer) number(v float64) string {
	if a.Kind == "share" && v <= 1 {
		return percent(v)
	}
	if math.Abs(v) >= 1000 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3g", v)
}

func percent(v float64) string {
	if p := 100 * v; p < 10 && p != math.Trunc(p) {
		return fmt.Sprintf("%.2g %%", p)
	}
	return fmt.Sprintf("%.0f %%", 100*v)
}

// Place is the sentence of the strongest element, for an incident.
func (a *Answer) Place() string {
	if len(a.Elements) == 0 {
		return ""
	}
	e := a.Elements[0]
	return fmt.Sprintf("Where: %s (%s instead of %s%s).", Where(e), a.number(e.Observed)+a.unit(), a.number(e.Expected), a.share(e))
}

func (a *Answer) unit() string {
	switch {
	case a.Kind == "share":
		return " fail"
	case strings.HasPrefix(a.Counted, "seconds of "):
		return " s on average"
	case strings.HasPrefix(a.Counted, "lines: "):
		return " lines"
	}
	return ""
}

func (a *Answer) share(e drilldown.Element) string {
	if e.Share <= 0 {
		return ""
	}
	return fmt.Sprintf(", %s of the change", percent(min(e.Share, 1)))
}
