package telemetry

import "math"

// Policy is what an operator set for a series. Many series share one; nobody
// changes it.
type Policy struct {
	Rules       []string           // names of the rules that it comes from, in their order
	Weight      float64            // factor on severity; 0: the series is not watched
	MinAbsolute float64            // deviations below it, in the series' unit, are not told
	MinRelative float64            // and below this share of what is expected
	Low, High   float64            // values outside are bad data; infinite when not set
	Sensitivity int8               // -1 low, 0 normal, 1 high
	OnlyWay     Direction          // deviations the other way are not told, of whatever kind
	Plugins     uint16             // bit by bit, those of the user's own detectors that want its points
	Members     map[string]float64 // factor on the severity of what one member says
}

// Takes reports whether a value is to be judged.
func (p *Policy) Takes(v float64) bool { return p.Weight > 0 && v >= p.Low && v <= p.High }

// Guards reports whether [Policy.Takes] ever says no.
func (p *Policy) Guards() bool {
	return p.Weight <= 0 || !math.IsInf(p.Low, -1) || !math.IsInf(p.High, 1)
}

// Factor is what the severity of a member's word is multiplied with. A nil
// policy leaves it as it is.
func (p *Policy) Factor(member string) float64 {
	if p == nil {
		return 1
	}
	if f, ok := p.Members[member]; ok {
		return p.Weight * f
	}
	return p.Weight
}

// Matters reports whether a deviation from what is expected is large enough to
// be told.
func (p *Policy) Matters(observed, expected float64) bool {
	if p == nil {
		return true
	}
	d := math.Abs(observed - expected)
	return d >= p.MinAbsolute && d >= p.MinRelative*math.Abs(expected)
}
