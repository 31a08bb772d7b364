package choice

import (
	"fmt"
	"math"
	"strings"
)

// Rules are the weights by which a choice is made. The records of jumps and
// spikes carry most; how much the mere size of a jump counts is what the
// profile decides.
type Rules struct {
	Record   float32 // of Jump and Spike, for each e-fold above the record
	Distance float32 // of Distance
	Far      float32 // of Distance, for each e-fold above e times the usual
	Run      float32 // of Run
	Level    float32 // of Level
	Novelty  float32 // of Novelty in a young series
	Known    float32 // more of Novelty once the series is known
	Chance   float32 // share of that which even noise takes away
	Even     float32 // of Size in evenly noisy series, for each e-fold above e times the usual
	Smooth   float32 // of Size in smooth series
	Limit    float32 // sum at which an alarm is due
}

// DefaultRules were set by hand on six public sets (NAB, SMAP, MSL, SKAB,
// merlion's synthetic series, sample KPIs), on which values within a fifth of
// these do about as well.
func DefaultRules() Rules {
	return Rules{Record: 4, Distance: 1, Far: .5, Run: 2, Level: 3, Novelty: 1, Known: 2, Chance: .3, Even: 2.5, Smooth: 2, Limit: 4.1}
}

const (
	nearRecord = .15 // e-folds below the record from which it counts
	perFold    = .5  // sum that makes a score 30 % larger
)

// Profile says what a series is like.
type Profile struct {
	Points  uint32  `json:"points"`
	Even    float32 `json:"even"`    // 0..1: noise with a light tail and without repeats
	Smooth  float32 `json:"smooth"`  // 0..1: changes are small against the distance from the mean
	Repeats float32 `json:"repeats"` // share of values that equal the one before
	Tail    float32 `json:"tail"`    // log ratio of the 99 % and 90 % quantile of distances: .45 Gaussian, more for bursts
	Novel   float32 `json:"novel"`   // mean novelty
	Known   float32 `json:"known"`   // 0..1 over the first thousand points
}

// Points is how many points were read.
func (c *Chooser) Points() uint32 { return c.n }

// Bursty says that the distances from the median have so heavy a tail that
// single scales say little of what is usual.
func (c *Chooser) Bursty() bool { return c.tail.index() > 1 }

// Profile gives the present profile.
func (c *Chooser) Profile() Profile {
	p := Profile{Points: c.n, Repeats: c.repeat, Tail: c.tail.index(), Novel: c.habit, Known: min(1, float32(c.n)/1000)}
	p.Even = unit((.7-p.Tail)/.2) * unit((c.tail.share-.6)/.3) * unit((float32(c.tail.total)-200)/500)
	if a, b := c.g[Jump].rms, c.g[Distance].rms; b > 0 {
		p.Smooth = unit((log(b/max(a, 1e-6*b)) - .7) / 2)
	}
	return p
}

func unit(x float32) float32 { return min(1, max(0, x)) }

// weigh adds up the evidence of the members.
func (c *Chooser) weigh(raw *[gauges]float32, novelty float32) (out Verdict) {
	e := &out.Evidence
	for i, w := range [gauges]float32{c.rules.Record, c.rules.Record, c.rules.Distance, c.rules.Run, c.rules.Level} {
		e[i] = w * c.record(i, raw[i])
	}
	e[Distance] += c.rules.Far * c.size(Distance, raw[Distance])
	size := max(c.size(Jump, raw[Jump]), c.size(Spike, raw[Spike]))
	nov := min(2, max(0, log(novelty+.001)+2))
	sum := float32(0)
	for _, x := range e[:gauges] {
		sum += x
	}
	if sum == 0 && size == 0 && nov == 0 {
		return out // nearly always
	}
	p := c.Profile()
	e[Size] = c.sizeWeight(&p) * size
	e[Novelty] = c.noveltyWeight(&p) * nov
	sum += e[Size] + e[Novelty] - c.rules.Limit
	for i, x := range e {
		if x > e[out.Member] {
			out.Member = i
		}
	}
	out.Score = float32(math.Exp(float64(sum) * (math.Log(1.3) / perFold)))
	return out
}

// noveltyWeight is what novelty weighs: all of it once the series is known,
// less in even noise, where new patterns come by chance.
func (c *Chooser) noveltyWeight(p *Profile) float32 {
	return c.rules.Novelty + c.rules.Known*p.Known*(1-c.rules.Chance*p.Even)
}

// sizeWeight is what the size of a jump weighs.
func (c *Chooser) sizeWeight(p *Profile) float32 {
	return c.rules.Even*p.Even + c.rules.Smooth*p.Smooth
}

// record is by how many e-folds r exceeds the member's record, counted from a
// little below it, 0 to 1.
func (c *Chooser) record(i int, r float32) float32 {
	g := &c.g[i]
	top := (g.peak + .001*g.mean) * max(c.raise, 1)
	if r <= .86*top || r == 0 {
		return 0
	}
	if r >= 2.4*top {
		return 1
	}
	return min(1, max(0, log(r/top)+nearRecord))
}

// size is by how many e-folds r exceeds e times its usual size, 0 to 1.5.
func (c *Chooser) size(i int, r float32) float32 {
	s := c.g[i].rms
	if r <= 2.7*s || r == 0 {
		return 0
	}
	if r >= 12.2*s {
		return 1.5
	}
	return min(1.5, max(0, log(r/s)-1))
}

// Names of the members, in their order.
func Names() [Members]string {
	return [Members]string{"jump", "spike", "distance", "run", "level", "novelty", "size"}
}

// Limit is the evidence at which an alarm is due.
func (c *Chooser) Limit() float32 { return c.rules.Limit }

// Weights are the members' weights: evidence for each e-fold of deviation,
// against Limit.
type Weights struct {
	Jump     float32 `json:"jump"`
	Spike    float32 `json:"spike"`
	Distance float32 `json:"distance"`
	Run      float32 `json:"run"`
	Level    float32 `json:"level"`
	Novelty  float32 `json:"novelty"`
	Size     float32 `json:"size"`
}

// Weights are the members' present weights.
func (c *Chooser) Weights() Weights {
	p := c.Profile()
	return Weights{
		Jump: c.rules.Record, Spike: c.rules.Record, Distance: c.rules.Distance, Run: c.rules.Run, Level: c.rules.Level,
		Novelty: c.noveltyWeight(&p), Size: c.sizeWeight(&p),
	}
}

// Sentence says in words what was chosen and why.
func (c *Chooser) Sentence() string {
	p := c.Profile()
	if p.Points < 104 {
		return fmt.Sprintf("The choice of detectors waits for more points (%d so far).", p.Points)
	}
	var b strings.Builder
	switch w := c.sizeWeight(&p); {
	case p.Even >= .5 && p.Smooth >= .5:
		fmt.Fprintf(&b, "It moves smoothly and its noise is even, so the size of a single jump counts by itself (weight %.1f) beside records", w)
	case p.Even >= .5:
		fmt.Fprintf(&b, "The noise is even, so the size of a single jump counts by itself (weight %.1f) beside records", w)
	case p.Smooth >= .5:
		fmt.Fprintf(&b, "It moves smoothly, so the size of a single jump counts by itself (weight %.1f) beside records", w)
	case p.Repeats >= .5:
		fmt.Fprintf(&b, "It repeats itself (%.0f %% of values equal the last), so only records of jump, spike or level count", 100*p.Repeats)
	case p.Tail >= .7:
		b.WriteString("It comes in bursts, so a jump counts only when it breaks the record of the last week")
	default:
		fmt.Fprintf(&b, "Records of jump, spike and level count most, the size of a jump a little (weight %.1f)", w)
	}
	switch {
	case p.Known < 1:
		b.WriteString("; its habits are still too young for novelty to weigh fully.")
	case p.Novel > .08:
		b.WriteString("; new patterns come often.")
	default:
		b.WriteString("; new patterns are rare and count.")
	}
	return b.String()
}
