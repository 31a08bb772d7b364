package seed

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/norn-aiops/norn/internal/store"
)

// shape is what a made-up series is like.
type shape uint8

const (
	daily    shape = iota // follows the day, with noise
	counter               // grows with what follows the day
	counts                // small whole numbers
	zeros                 // 0 nearly always, now and then a few
	flat                  // a level with noise
	hourly                // one point an hour
	thriceIn              // three points a day, not at fixed times
)

const (
	hourMS = 3600_000
	dayMS  = 24 * hourMS
)

// kinds are the series of one service; one in ten is sparse.
func kinds() []kind {
	return []kind{
		{"http_requests_total", "", counter, 40}, {"http_request_errors_total", "", counter, .05},
		{"http_request_duration_seconds", "0.5", daily, .02}, {"http_request_duration_seconds", "0.99", daily, .2},
		{"process_cpu_utilization", "", daily, .4}, {"process_memory_utilization", "", flat, .6},
		{"queue_length", "", counts, 6}, {"active_users", "", daily, 300}, {"retries", "", zeros, 1}, {"dropped_messages", "", zeros, 1},
		{"cache_entries", "", flat, 2e5}, {"open_connections", "", counts, 40}, {"goroutines", "", daily, 120}, {"gc_pause_seconds", "", flat, 4e-4},
		{"orders_per_minute", "", daily, 12}, {"basket_value", "", flat, 70}, {"threads", "", counts, 12}, {"disk_read_bytes", "", zeros, 4096},
		{"backup_duration_seconds", "", thriceIn, 800}, {"cleanup_duration_seconds", "", hourly, 30},
	}
}

type kind struct {
	name, quantile string
	shape          shape
	size           float64
}

// maker makes the samples of one series, range after range.
type maker struct {
	kind
	labels labels.Labels
	rng    *rand.Rand
	sum    float64
	next   int64 // Unix ms, of sparse ones
}

// fleet makes n series of services with twenty each.
func fleet(n int, seed uint64) []*maker {
	out := make([]*maker, n)
	list := kinds()
	for i := range out {
		k := list[i%len(list)]
		service := fmt.Sprintf("service-%d", i/len(list))
		b := labels.NewBuilder(labels.FromStrings(labels.MetricName, k.name, "job", service, "instance", service+":9090"))
		if k.quantile != "" {
			b.Set("quantile", k.quantile)
		}
		out[i] = &maker{kind: k, labels: b.Labels(), rng: rand.New(rand.NewPCG(seed, uint64(i)))}
	}
	return out
}

// samples appends those in [from, to) (Unix ms), step ms apart.
func (m *maker) samples(from, to, step int64, out []store.ImportSample) []store.ImportSample {
	if m.shape == hourly || m.shape == thriceIn {
		return m.sparse(from, to, out)
	}
	for t := from; t < to; t += step {
		out = append(out, store.ImportSample{T: t, V: m.value(t, step)})
	}
	return out
}

func (m *maker) sparse(from, to int64, out []store.ImportSample) []store.ImportSample {
	every := int64(hourMS)
	if m.shape == thriceIn {
		every = dayMS / 3
	}
	if m.next == 0 {
		m.next = from + m.rng.Int64N(every)
	}
	for ; m.next < to; m.next += every {
		t := m.next
		if m.shape == thriceIn {
			t += m.rng.Int64N(every / 2)
		}
		if t >= from && t < to {
			out = append(out, store.ImportSample{T: t, V: m.size * math.Exp(.1*m.rng.NormFloat64())})
		}
	}
	return out
}

func (m *maker) value(t, step int64) float64 {
	day := 1 + .6*math.Sin(2*math.Pi*float64(t%dayMS)/dayMS)
	switch m.shape {
	case daily:
		return m.size * day * (1 + .05*m.rng.NormFloat64())
	case counter:
		m.sum += math.Max(0, m.size*day*(1+.05*m.rng.NormFloat64())) * float64(step) / 1000
		return m.sum
	case counts:
		return math.Floor(math.Max(0, m.size*day+math.Sqrt(m.size)*m.rng.NormFloat64()))
	case zeros:
		if m.rng.IntN(20) > 0 {
			return 0
		}
		return m.size * float64(1+m.rng.IntN(4))
	}
	return m.size * (1 + .03*m.rng.NormFloat64())
}
