package capacity

import (
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"time"

	"github.com/norn-aiops/norn/internal/capacity"
)

// Schedule is what weekly plans save: each plan is made from five weeks and
// tried on the sixth.
type Schedule struct {
	Services  int     `json:"services"`
	Risk      float64 `json:"risk"`
	Saved     float64 `json:"cost_saved"` // share of replica hours, against the static peak
	Exceeded  float64 `json:"violations"` // share of the sixth week's time in which demand exceeded the plan
	Static    float64 `json:"static_violations"`
	SavedSame float64 `json:"cost_saved_at_risk"` // with all plans scaled, in hindsight, to violations of exactly the risk on both sides
}

const perReplica = 10

// schedules makes demands with a rhythm of days and weeks, growth and noise
// every 15 minutes.
func schedules(ctx context.Context, o Options) (Schedule, error) {
	r := rand.New(rand.NewPCG(o.Seed, 0x5ced))
	s := Schedule{Risk: .01}
	const services, weeks, step = 20, 6, int64(900_000)
	var plans, statics, demands [][]float64
	for range services {
		if ctx.Err() != nil {
			return s, ctx.Err()
		}
		base, daily, weekend := 200+r.Float64()*800, .3+r.Float64()*.5, .4+r.Float64()*.6
		growth, noise := (r.Float64()-.3)*.03, .02+r.Float64()*.06
		n := weeks * 7 * int(day/step)
		d := capacity.Demand{PerReplica: perReplica, Risk: s.Risk, Zone: time.UTC}
		var future []float64
		e, peak := 0.0, 0.0
		hours := make([]int, 0, n)
		for i := range n {
			at := float64(i) * float64(step) / float64(day)
			e = .9*e + noise*math.Sqrt(1-.81)*r.NormFloat64()
			v := base * (1 + growth*at/7) * (1 - daily*math.Cos(2*math.Pi*at)) * math.Exp(e)
			if int(at)%7 >= 2 && int(at)%7 < 4 { // 1970 began on a Thursday
				v *= weekend
			}
			if i < n*5/6 {
				d.Times, d.Values = append(d.Times, int64(i)*step), append(d.Values, v)
				peak = max(peak, v)
				continue
			}
			future = append(future, v)
			hours = append(hours, capacity.HourOfWeek(int64(i)*step, time.UTC))
		}
		p, err := capacity.Make(d)
		if err != nil {
			return s, fmt.Errorf("made-up service: %w", err)
		}
		var plan, static []float64
		used := 0.0
		for i, v := range future {
			have := float64(p.Replicas[hours[i]]) * perReplica
			plan, static = append(plan, have), append(static, float64(p.Static)*perReplica)
			used += have / (float64(p.Static) * perReplica) / float64(len(future))
			if v > have {
				s.Exceeded += 1 / float64(len(future)) / services
			}
			if v > static[i] {
				s.Static += 1 / float64(len(future)) / services
			}
		}
		s.Services++
		s.Saved += (1 - used) / services
		plans, statics, demands = append(plans, plan), append(statics, static), append(demands, future)
	}
	s.SavedSame = 1 - scaledCost(plans, demands, s.Risk)/scaledCost(statics, demands, s.Risk)
	return s, nil
}

// scaledCost is the cost, relative to the demand, of plans times the least
// factor (one for all) at which they are exceeded at the rate risk at most.
func scaledCost(plans, demands [][]float64, risk float64) float64 {
	lo, hi := 0.0, 10.0
	for range 50 {
		mid, over, n := (lo+hi)/2, 0, 0
		for i := range plans {
			for k, v := range demands[i] {
				n++
				if v > mid*plans[i][k] {
					over++
				}
			}
		}
		if float64(over) > risk*float64(n) {
			lo = mid
		} else {
			hi = mid
		}
	}
	cost, used := 0.0, 0.0
	for i := range plans {
		for k, v := range demands[i] {
			cost += hi * plans[i][k]
			used += v
		}
	}
	return cost / used
}

func (s *Schedule) print(w io.Writer) {
	fmt.Fprintf(w, "\nWeekly schedules, %d made-up services, risk %.2g %%\n\n", s.Services, 100*s.Risk)
	fmt.Fprintf(w, "saved against the static peak\t%.1f %%\ndemand above the plan in the next week\t%.2f %%\nabove the static peak\t%.2f %%\nsaved with both at %.2g %% (hindsight)\t%.1f %%\n",
		100*s.Saved, 100*s.Exceeded, 100*s.Static, 100*s.Risk, 100*s.SavedSame)
}
