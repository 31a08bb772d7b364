package forecast

import (
	"slices"

	"github.com/norn-aiops/norn/internal/stats"
)

// Part is the history of one sub-series of a sum.
type Part struct {
	Name   string
	Values []float64 // as in [Supply]
}

// Share is how much of the growth one sub-series has.
type Share struct {
	Name   string  `json:"name"`
	Growth float64 `json:"growth_per_day"`
	Share  float64 `json:"share"` // of all that grows, 0..1
}

// Drivers says which parts of a sum grow: the median slope of the peaks (Theil
// 1950, Sen 1968) of each part, as share of those that go the way of the sum;
// largest first, at most ten. Parts that cannot be judged are left out.
func Drivers(parts []Part, step int64, falling bool) []Share {
	sign := 1.0
	if falling {
		sign = -1
	}
	out, total := []Share{}, 0.0
	for _, p := range parts {
		bucket, _ := bucketOf(int64(len(p.Values)) * step)
		y, err := peaks(p.Values, step, bucket, sign)
		if err != nil {
			continue
		}
		y = y[max(0, len(y)-56):]
		var slopes []float64
		for i := range y {
			for j := i + 1; j < len(y); j++ {
				slopes = append(slopes, (y[j]-y[i])/float64(j-i))
			}
		}
		g := stats.QuantileInPlace(slopes, .5) * float64(day) / float64(bucket)
		if g > 0 {
			out = append(out, Share{Name: p.Name, Growth: sign * g, Share: g})
			total += g
		}
	}
	slices.SortStableFunc(out, func(a, b Share) int {
		if a.Share > b.Share {
			return -1
		}
		return 1
	})
	for i := range out {
		out[i].Share /= total
	}
	return out[:min(len(out), 10)]
}
