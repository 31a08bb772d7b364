package stats

import "math"

// Gumbel is the distribution of block maxima of a light-tailed score:
// P(max <= s) = exp(-exp(-(s-Mu)/Beta)). Beta > 0.
type Gumbel struct {
	Mu, Beta float64
}

// Reduced variates -ln(-ln p) of the two quantiles that [GumbelFit] uses.
const (
	gumbelY50 = 0.36651292058166435
	gumbelY80 = 1.4999399867595158
)

// GumbelFit fits a Gumbel law through the 50 % and 80 % quantiles of block
// maxima: Beta = (q80-q50)/(y80-y50), Mu = q50 - Beta y50. Up to one block in
// five may hold something that is not normal without moving the fit, which is
// why quantiles are used instead of moments (Gumbel 1958, section 5.2). Beta
// is at least minBeta.
func GumbelFit(q50, q80, minBeta float64) Gumbel {
	b := math.Max((q80-q50)/(gumbelY80-gumbelY50), minBeta)
	return Gumbel{Mu: q50 - b*gumbelY50, Beta: b}
}

// Tail is P(block maximum > s) = 1 - exp(-exp(-(s-Mu)/Beta)), in [0, 1].
func (g Gumbel) Tail(s float64) float64 {
	return -math.Expm1(-math.Exp(-(s - g.Mu) / g.Beta))
}

// Level is the s with Tail(s) = p, for 0 < p < 1.
func (g Gumbel) Level(p float64) float64 {
	return g.Mu - g.Beta*math.Log(-math.Log1p(-p))
}
