package pipeline

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"github.com/norn-aiops/norn/internal/ops"
)

// anomalyQueue holds what detection said since the last tick. It never
// blocks: when full, news of an anomaly that is already waiting replaces it,
// and a new one is dropped and counted.
type anomalyQueue struct {
	mu      sync.Mutex
	max     int
	items   []ops.Anomaly
	at      map[string]int
	dropped int
}

func (q *anomalyQueue) push(a ops.Anomaly) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if i, ok := q.at[a.ID]; ok {
		q.items[i] = a
		return
	}
	if len(q.items) >= q.max {
		q.dropped++
		return
	}
	if q.at == nil {
		q.at = map[string]int{}
	}
	q.at[a.ID] = len(q.items)
	q.items = append(q.items, a)
}

func (q *anomalyQueue) drain() (items []ops.Anomaly, dropped int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	items, dropped = q.items, q.dropped
	q.items, q.at, q.dropped = nil, nil, 0
	return items, dropped
}

// Event tells a subscriber that something changed.
type Event struct {
	Kind     string        `json:"kind"` // incident
	Incident *ops.Incident `json:"incident,omitempty"`
}

// subscribers hands events to whoever watches. A subscriber that does not
// keep up loses events, not the pipeline its time.
type subscribers struct {
	mu   sync.Mutex
	subs map[chan Event]struct{}
}

const subscriberQueue = 64

func (s *subscribers) publish(e Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for ch := range s.subs {
		select {
		case ch <- e:
		default: // the reader asks for the whole list again when it reconnects
		}
	}
}

func (s *subscribers) subscribe(ctx context.Context) <-chan Event {
	ch := make(chan Event, subscriberQueue)
	s.mu.Lock()
	if s.subs == nil {
		s.subs = map[chan Event]struct{}{}
	}
	s.subs[ch] = struct{}{}
	s.mu.Unlock()
	context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.subs, ch)
		close(ch)
	})
	return ch
}

// openIncidents keeps the newest word on every open incident.
type openIncidents struct {
	mu sync.Mutex
	m  map[string]ops.Incident
}

func (o *openIncidents) note(in *ops.Incident) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.m == nil {
		o.m = map[string]ops.Incident{}
	}
	if in.MergedInto != "" || in.State == ops.StateResolved || in.State == ops.StateMuted {
		delete(o.m, in.ID)
		return
	}
	o.m[in.ID] = *in
}

func (o *openIncidents) list() []ops.Incident {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := make([]ops.Incident, 0, len(o.m))
	for _, in := range o.m {
		out = append(out, in)
	}
	slices.SortFunc(out, func(a, b ops.Incident) int { return cmp.Or(cmp.Compare(b.Onset, a.Onset), cmp.Compare(a.ID, b.ID)) })
	return out
}
