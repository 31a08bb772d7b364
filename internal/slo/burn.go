package slo

import (
	"math"
	"time"

	"gonum.org/v1/gonum/mathext"

	"github.com/norn-aiops/norn/internal/ops"
)

// pair is one of the workbook's pairs of windows. Both must burn: the long one
// shows that it matters, the short one that it lasts. Where the short one is
// long itself, the last hour must burn as well, lest a trouble be told for hours
// after it ended.
type pair struct {
	name        string
	share       float64 // of the budget of 30 days that goes within the long window at the limit
	long, short time.Duration
	severity    float64 // of the anomaly
}

// pairs are those of the workbook, table 5-8, worst first: at 30 days the
// limits are 14.4, 6 and 1.
func pairs() [3]pair {
	return [3]pair{
		{"fast", .02, time.Hour, 5 * time.Minute, .95},
		{"medium", .05, 6 * time.Hour, 30 * time.Minute, .8},
		{"slow", .1, 72 * time.Hour, 6 * time.Hour, .5},
	}
}

// limit is the burn rate at which the share of the budget goes within the long
// window; never below 1, at which the budget just lasts.
func (p pair) limit(window time.Duration) float64 {
	return max(1, p.share*float64(window)/float64(p.long))
}

// The rule of least evidence: so many bad requests in the long window at
// least, and so many that the limit itself would give them with at most this
// probability.
const (
	leastBad   = 5
	leastProof = 1e-3
)

// Tail is the probability that n requests, each bad with probability p, hold k
// bad ones or more (exact binomial; the regularised incomplete beta function).
// Fractions of requests are rounded, k down and n up.
func Tail(k, n, p float64) float64 {
	k, n = math.Floor(k+1e-3), math.Ceil(n-1e-3)
	switch {
	case !(k > 0):
		return 1
	case k > n || !(p > 0):
		return 0
	case p >= 1:
		return 1
	}
	return mathext.RegIncBeta(k, n-k+1, p)
}

// LeastShare is the share of bad requests that k of n prove: the lower bound of
// Clopper and Pearson (Biometrika 1934) at 99.9 % confidence.
func LeastShare(k, n float64) float64 {
	k, n = math.Floor(k+1e-3), math.Ceil(n-1e-3)
	if !(k > 0) || k > n {
		return 0
	}
	return mathext.InvRegIncBeta(k, n-k+1, leastProof)
}

// burns measures all pairs.
func (o *Objective) burns() []ops.Burn {
	out := make([]ops.Burn, 0, 3)
	allowed := 1 - o.Target
	for _, p := range pairs() {
		long, short := o.over(p.long), o.over(p.short)
		b := ops.Burn{Name: p.name, Long: p.long.Milliseconds(), Short: p.short.Milliseconds(), Limit: p.limit(o.Window),
			LongRate: long.share() / allowed, ShortRate: short.share() / allowed}
		b.Enough = enough(long, b.Limit*allowed)
		b.Burning = b.Enough && b.LongRate >= b.Limit && b.ShortRate >= b.Limit && o.over(min(p.short, time.Hour)).share()/allowed >= b.Limit
		out = append(out, b)
	}
	return out
}

func enough(c Counts, share float64) bool {
	return c.Bad >= leastBad && Tail(c.Bad, c.Total, min(share, 1)) <= leastProof
}

// over counts the newest stretch of this length.
func (o *Objective) over(d time.Duration) Counts {
	if m := int64(d / time.Minute); m <= fineMinutes {
		return o.h.recent(m)
	}
	return o.h.byHour(int64(d / time.Hour))
}

// began estimates the minute in which the burn began: the beginning of the
// stretch up to now that holds most bad requests beyond what the limit allows
// (the change point of a cumulative sum; Page, Biometrika 1954).
func (o *Objective) began(limit float64) int64 {
	allowed := min(limit*(1-o.Target), 1)
	best, top, sum := o.h.last, math.Inf(-1), 0.0
	for m := o.h.last; m > max(0, o.h.last-fineMinutes); m-- {
		c := o.h.fine[m%fineMinutes]
		sum += float64(c.bad) - allowed*float64(c.total)
		if sum > top && c.bad > 0 {
			best, top = m, sum
		}
	}
	return best
}
