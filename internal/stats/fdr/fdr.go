// Package fdr decides, one question after the other and without knowing the
// later ones, which findings may be reported so that few of them are chance.
//
// It exists because a limit on each series' own alarms says nothing of the
// fleet: with more series, more alarms are chance. [Control] spends an
// allowance of expected false reports over an endless stream of p-values
// (online false-discovery control); [Merge] makes one p-value of many that
// may depend on each other in any way, [Cauchy] one of the tests of one thing. It knows nothing of incidents, keeps
// no clock (times are arguments), and does no I/O. A Control is for one
// goroutine at a time; Merge is pure.
package fdr

import (
	"fmt"
	"math"
)

// Config says what a [Control] holds.
type Config struct {
	// Allowance is how many false reports are expected, at most, within Memory
	// while reports are few: the start of the wealth, w0 of LORD++.
	Allowance float64
	// Rate is the share of all reports within Memory that may be false when
	// there are so many that Rate x reports exceeds Allowance: alpha of LORD++.
	Rate float64
	// Share of the wealth that one test spends, in (0, 1).
	Share float64
	// Memory is the time (in the caller's unit) after which a test and a
	// report count 1/e; 0 forgets nothing.
	Memory float64
	// Most is the highest level that a test gets, in (0, 1]; 0 means 1.
	Most float64
}

// State is all that a [Control] remembers: three numbers, however long the
// stream.
type State struct {
	Spent   float64 `json:"spent"`   // sum of levels, decayed: the expected number of false reports, at most
	Reports float64 `json:"reports"` // decayed count of reports
	At      float64 `json:"at"`      // time of the last decay
}

// Control is LORD++ (Ramdas, Yang, Wainwright, Jordan: Online control of the
// false discovery rate with decaying memory, 2017) with the geometric sequence
// g(j) = Share (1-Share)^(j-1): level t is
//
//	Share x (max(Allowance, Rate x reports so far) - sum of the levels so far),
//
// which for Allowance <= Rate and Memory 0 is LORD++ term by term and needs no
// list of earlier reports. Then the estimate of the false discovery proportion,
// sum of levels / max(Allowance/Rate, reports), never exceeds Rate, and levels
// rise with every earlier report. No level depends on the p-value that it is
// for. With Memory both sums decay, so that the control
// neither dies of old tests nor lives on old reports; then the expected number
// of false reports within Memory is held, not the mean of their share.
type Control struct {
	cfg Config
	s   State
}

// New makes a control. The error names the value that is out of range.
func New(cfg Config) (*Control, error) {
	if cfg.Most == 0 {
		cfg.Most = 1
	}
	switch {
	case !(cfg.Allowance > 0) || math.IsInf(cfg.Allowance, 0):
		return nil, fmt.Errorf("allowance %g must be above 0", cfg.Allowance)
	case !(cfg.Rate >= 0 && cfg.Rate <= 1):
		return nil, fmt.Errorf("rate %g must be between 0 and 1", cfg.Rate)
	case !(cfg.Share > 0 && cfg.Share < 1):
		return nil, fmt.Errorf("share %g must be between 0 and 1", cfg.Share)
	case !(cfg.Memory >= 0) || math.IsInf(cfg.Memory, 0):
		return nil, fmt.Errorf("memory %g must not be below 0", cfg.Memory)
	case !(cfg.Most > 0 && cfg.Most <= 1):
		return nil, fmt.Errorf("most %g must be above 0 and at most 1", cfg.Most)
	}
	return &Control{cfg: cfg}, nil
}

// decay moves the sums on to time t. A time that goes back changes nothing.
func (c *Control) decay(t float64) {
	if !(t > c.s.At) {
		return
	}
	if c.cfg.Memory > 0 && c.s.At != 0 {
		f := math.Exp(-(t - c.s.At) / c.cfg.Memory)
		c.s.Spent *= f
		c.s.Reports *= f
	}
	c.s.At = t
}

// Level is the level that a test at time t would get. Nothing is spent.
func (c *Control) Level(t float64) float64 {
	c.decay(t)
	wealth := max(c.cfg.Allowance, c.cfg.Rate*c.s.Reports) - c.s.Spent
	return min(c.cfg.Most, c.cfg.Share*max(0, wealth))
}

// Test spends the level of one test at time t and returns it. The finding may
// be reported when its p-value is not above; tell the control with Report.
func (c *Control) Test(t float64) float64 {
	level := c.Level(t)
	c.s.Spent += level
	return level
}

// Report notes that a tested finding was reported at time t.
func (c *Control) Report(t float64) {
	c.decay(t)
	c.s.Reports++
}

// State returns what is remembered, decayed to time t.
func (c *Control) State(t float64) State {
	c.decay(t)
	return c.s
}

// Restore takes a remembered state. A state that no control can have is
// refused.
func (c *Control) Restore(s State) error {
	for _, v := range []float64{s.Spent, s.Reports, s.At} {
		if !(v >= 0) || math.IsInf(v, 0) {
			return fmt.Errorf("state of the control: %g is not possible", v)
		}
	}
	c.s = s
	return nil
}

// Floor is the least p-value that is believed: below it laws fitted to a few
// dozen values are guesses.
const Floor = 1e-12

// Merge makes one p-value of those of n hypotheses: that none of them is true.
// ps holds the small ones with their weights (nil: all 1; a weight is in [0,
// 1] and was known before the p-value); the others are taken as not speaking
// at all. It is 4 / (mean of p^(-1/2))^2, the generalised mean of power -1/2,
// which is valid whatever the dependence (Vovk and Wang: Combining p-values
// via averaging, Biometrika 2020); it lies between the harmonic mean (Wilson,
// PNAS 2019), which needs a factor that grows with n, and the arithmetic one.
// p below [Floor] count as Floor. The error names a value that is no p-value
// or weight, or says that n is too small.
func Merge(ps, weights []float64, n int) (float64, error) {
	if n < 1 || n < len(ps) {
		return 1, fmt.Errorf("%d p-values of %d hypotheses", len(ps), n)
	}
	if weights != nil && len(weights) != len(ps) {
		return 1, fmt.Errorf("%d weights for %d p-values", len(weights), len(ps))
	}
	sum := 0.0
	for i, p := range ps {
		w := 1.0
		if weights != nil {
			w = weights[i]
		}
		if !(p >= 0 && p <= 1) {
			return 1, fmt.Errorf("p-value %d is %g", i, p)
		}
		if !(w >= 0 && w <= 1) {
			return 1, fmt.Errorf("weight %d is %g", i, w)
		}
		sum += w / math.Sqrt(max(p, Floor))
	}
	if sum == 0 {
		return 1, nil
	}
	m := 2 * float64(n) / sum
	return min(1, m*m), nil
}

// Cauchy makes one p-value of those of tests of one hypothesis that depend on
// each other: with T the weighted mean of tan(pi (1/2 - p)), it is
// 1/2 - atan(T)/pi (Liu and Xie: Cauchy combination test, JASA 2020). It is
// close to exact for small p whatever their correlation, keeps a single value
// as it is, and never goes much below the least p over its weight. A p above
// 1/2 counts as 1/2, neither for nor against: tests that did not speak must
// not outweigh one that did. p below [Floor] count as Floor. weights (nil: all
// the same) are not below 0 and are scaled to sum 1. Without tests it is 1. The
// error names a value that is no p-value or weight.
func Cauchy(ps, weights []float64) (float64, error) {
	if weights != nil && len(weights) != len(ps) {
		return 1, fmt.Errorf("%d weights for %d p-values", len(weights), len(ps))
	}
	t, sum, spoke := 0.0, 0.0, 1.0
	for i, p := range ps {
		w := 1.0
		if weights != nil {
			w = weights[i]
		}
		if !(p >= 0 && p <= 1) {
			return 1, fmt.Errorf("p-value %d is %g", i, p)
		}
		if !(w >= 0) || math.IsInf(w, 0) {
			return 1, fmt.Errorf("weight %d is %g", i, w)
		}
		sum += w
		if p < .5 {
			t += w / math.Tan(math.Pi*max(p, Floor)) // tan(pi (1/2 - p))
		}
		spoke = min(spoke, p)
	}
	switch {
	case sum == 0:
		return 1, nil
	case t == 0:
		return spoke, nil
	}
	return math.Atan2(1, t/sum) / math.Pi, nil // 1/2 - atan(T)/pi without cancellation
}
