package normalize

import (
	"slices"
	"sync"
	"time"
)

// Skew says how a sender's clock (and delay) differs from Norn's.
type Skew struct {
	Offset  time.Duration `json:"offset_ns"` // median of now - record time: positive when the sender is behind or slow
	Samples uint64        `json:"samples"`
	Last    int64         `json:"last_unix_nano"`
}

// skewWindow is how many of the newest fresh records the median is of.
const skewWindow = 63

// fresh bounds what can be skew: older records were delayed or replayed.
const fresh = int64(10 * time.Minute)

type skewTable struct {
	mu    sync.Mutex
	limit int
	m     map[string]*skewRing
}

type skewRing struct {
	ring [skewWindow]int64
	n    uint64
	last int64
}

func newSkewTable(limit int) *skewTable {
	return &skewTable{limit: limit, m: map[string]*skewRing{}}
}

// observe takes now - time of one record. Beyond the limit of senders, the one
// that was not heard of for longest gives way.
func (s *skewTable) observe(sender string, diff, now int64) {
	if diff > fresh || diff < -fresh {
		return
	}
	sender = stripPort(sender)
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.m[sender]
	if r == nil {
		if len(s.m) >= s.limit {
			s.evict()
		}
		r = &skewRing{}
		s.m[sender] = r
	}
	r.ring[r.n%skewWindow] = diff
	r.n++
	r.last = max(r.last, now)
}

func (s *skewTable) evict() {
	oldest, when := "", int64(1<<63-1)
	for k, r := range s.m {
		if r.last < when || r.last == when && k < oldest {
			oldest, when = k, r.last
		}
	}
	delete(s.m, oldest)
}

// Skews returns the measured skew of each sender (address without port).
func (n *LogNormalizer) Skews() map[string]Skew {
	s := n.skew
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(map[string]Skew, len(s.m))
	for k, r := range s.m {
		vals := slices.Clone(r.ring[:min(r.n, skewWindow)])
		slices.Sort(vals)
		out[k] = Skew{Offset: time.Duration(vals[len(vals)/2]), Samples: r.n, Last: r.last}
	}
	return out
}
