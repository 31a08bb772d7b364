package joint

import "math"

const (
	tailBins = 256
	tailLow  = -9.  // ln of the least score told apart
	tailStep = .075 // width of a bin in ln(score)
)

// tail turns a score > 0 into -log10 of the probability that normal life of
// the same entity gives as much. It counts ln(score) in bins; below the 98 %
// quantile u the probability is the share of scores above, beyond it an
// exponential law in ln(score), that is a Pareto tail (Pickands 1975), whose
// slope is the mean excess:
//
//	-log10 p = -log10 .02 + log10(e) ln(score/u) / h
type tail struct {
	count [tailBins]float32
	total float32
	table [tailBins]float32 // -log10 p at the lower edge of a bin, up to u
	u     float32           // ln of the 98 % quantile
	h     float32           // mean excess beyond u
	ready bool
}

const (
	tailShare    = .02
	leastExcess  = .02 // of a member's ln score
	leastVerdict = .2  // of the joint surprise, which is one already
)

func tailBin(ln float32) (i int, frac float32) {
	x := (ln - tailLow) / tailStep
	switch {
	case !(x > 0):
		return 0, 0
	case x >= tailBins-1:
		return tailBins - 1, 0
	}
	i = int(x)
	return i, x - float32(i)
}

// add counts a score of which the logarithm is given; w is its weight, limit
// the weight of the past that is remembered.
func (t *tail) add(ln, w, limit float32) {
	i, _ := tailBin(ln)
	t.count[i] += w
	t.total += w
	if t.total > limit {
		t.total = 0
		for i := range t.count {
			t.count[i] *= .5
			t.total += t.count[i]
		}
	}
}

// renew works out the law from the counts. The mean excess is at least least.
func (t *tail) renew(least float32) {
	if t.total < 50 {
		return
	}
	above := float32(0)
	top, excess := tailBins-1, 0.
	for i := tailBins - 1; i >= 0; i-- {
		t.table[i] = above / t.total
		if above+t.count[i] > tailShare*t.total {
			top = i
			break
		}
		above += t.count[i]
	}
	share := float32(0)
	if c := t.count[top]; c > 0 {
		share = 1 - (tailShare*t.total-above)/c
	}
	t.u = tailLow + tailStep*(float32(top)+share)
	mass := 0.
	for i := top; i < tailBins; i++ {
		mid := tailLow + tailStep*(float64(i)+.5)
		if e := mid - float64(t.u); e > 0 {
			excess += e * float64(t.count[i])
			mass += float64(t.count[i])
		}
	}
	t.h = least
	if mass > 0 {
		t.h = max(least, float32(excess/mass))
	}
	for i := top; i >= 0; i-- {
		if i < top {
			above += t.count[i+1]
		}
		p := (above + t.count[i] + .5) / (t.total + 1)
		t.table[i] = float32(-math.Log10(float64(min(p, 1))))
	}
	t.ready = true
}

// surprise gives -log10 p of a score of which the logarithm is given.
func (t *tail) surprise(ln float32) float32 {
	if !t.ready {
		return 0
	}
	if ln > t.u {
		return 1.69897 + .4342945*(ln-t.u)/t.h
	}
	i, frac := tailBin(ln)
	a := t.table[i]
	b := float32(1.69897)
	if edge := tailLow + tailStep*float32(i+1); edge < t.u {
		b = t.table[i+1]
	}
	return a + frac*(b-a)
}
