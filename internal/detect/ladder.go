package detect

import (
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/norn-aiops/norn/internal/detect/choice"
	"github.com/norn-aiops/norn/internal/detect/ladder"
	"github.com/norn-aiops/norn/internal/detect/season"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// shortage is why a series is watched less than it could be.
type shortage uint8

const (
	shortNone shortage = iota
	shortMemory
	shortCPU
	shortages
)

func (s shortage) String() string {
	return [...]string{"", "memory is short", "processor time is short"}[min(s, shortages-1)]
}

// less is what a series gave up when it stepped down.
type less struct {
	from    ladder.Tier // what it had
	why     shortage
	dropped bool  // what it had learned there is gone
	since   int64 // Unix ms
	pick    *choice.Chooser
	season  *season.Tracker
}

// drop lets go of what was kept.
func (l *less) drop() {
	if l != nil && (l.pick != nil || l.season != nil) {
		l.pick, l.season, l.dropped = nil, nil, true
	}
}

func (l *less) text() string {
	if l == nil {
		return ""
	}
	state := "what was learned for the full tier is kept"
	if l.dropped {
		state = "what was learned for the full tier was dropped"
	}
	return fmt.Sprintf("stepped down from %s at %s because %s; %s", l.from, clockText(l.since), l.why, state)
}

func clockText(t int64) string { return time.UnixMilli(t).UTC().Format("2006-01-02 15:04 UTC") }

// bytes is what is kept of the full tier.
func (l *less) bytes() int {
	if l == nil {
		return 0
	}
	n := int(unsafe.Sizeof(*l))
	if l.pick != nil {
		n += int(unsafe.Sizeof(*l.pick))
	}
	if l.season != nil {
		n += l.season.Bytes()
	}
	return n
}

// tier is how the series is judged.
func (s *series) tier() ladder.Tier {
	if s.det.pick != nil || s.det.base.season != nil {
		return ladder.Full
	}
	return ladder.Basic
}

// text says why a series is only counted.
func (c *counter) text() string {
	state := "nothing was learned before"
	switch {
	case c.parked != nil:
		state = "what was learned before is kept"
	case c.since > 0:
		state = "what was learned before was dropped"
	}
	since := c.since
	if since == 0 {
		return fmt.Sprintf("only counted from the start because %s; %s", c.why, state)
	}
	return fmt.Sprintf("only counted since %s because %s; %s", clockText(since), c.why, state)
}

func (c *counter) info() SeriesInfo {
	in := SeriesInfo{Series: c.meta, T: c.t, V: c.last, Expected: c.mean, Low: c.low, High: c.high, P: 1, Tier: ladder.Counter, Less: c.text()}
	if c.silent != nil && c.silent.sent {
		in.Anomalous, in.Severity, in.P = true, c.silent.a.Severity, c.silent.a.P
	}
	return in
}

// Tiers counts series by how they are judged.
type Tiers struct {
	Full    int `json:"full"`
	Basic   int `json:"basic"`
	Counter int `json:"counter"`
	// Reduced is how many of Basic and Counter would be judged better if there
	// were room.
	Reduced int `json:"reduced"`
	// NotWatched is about how many series beyond MaxSeries sent lately.
	NotWatched int `json:"not_watched"`
	// Short says what was short when series last stepped down, "" when nothing
	// is reduced.
	Short string `json:"short"`
}

// Tiers counts series by how they are judged.
func (e *Engine) Tiers() Tiers {
	var t Tiers
	why := shortNone
	e.each(func(s *series) bool {
		if s.tier() == ladder.Full {
			t.Full++
		} else {
			t.Basic++
		}
		if l := s.extra().less; l != nil {
			t.Reduced++
			why = l.why
		}
		return true
	})
	e.eachCounter(func(_ uint32, c *counter) bool {
		t.Counter++
		t.Reduced++
		why = c.why
		return true
	})
	t.NotWatched, t.Short = e.unseen.estimate(), why.String()
	return t
}

// unwatched estimates how many different series found no place: linear
// counting (Whang, Vander-Zanden, Taylor 1990) in a map of bits, renewed every
// hour. It is safe for concurrent use.
type unwatched struct {
	mu        sync.Mutex
	now, last []uint64
	renewed   int64 // Unix ms
}

const unwatchedBits = 1 << 18

func (u *unwatched) note(id telemetry.SeriesID) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.now == nil {
		u.now = make([]uint64, unwatchedBits/64)
	}
	h := uint64(id) * 0x9e3779b97f4a7c15 >> 46
	u.now[h/64] |= 1 << (h % 64)
}

// renew begins a new map when the present one is an hour old.
func (u *unwatched) renew(now int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if now-u.renewed >= 3600_000 || now < u.renewed {
		u.last, u.now, u.renewed = u.now, nil, now
	}
}

// estimate gives the number of series of the last one or two hours.
func (u *unwatched) estimate() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	free := 0
	for i := range unwatchedBits / 64 {
		var w uint64
		if u.now != nil {
			w = u.now[i]
		}
		if u.last != nil {
			w |= u.last[i]
		}
		free += 64 - onesCount(w)
	}
	return int(math.Round(-unwatchedBits * math.Log(float64(max(free, 1))/unwatchedBits)))
}

// ladderState is what the engine remembers of its shortages.
type ladderState struct {
	mu       sync.Mutex
	governor ladder.Governor
	ranked   int64 // Unix ms of the last look at who has which place
	aged     int64 // Unix ms at which looks were last halved

	tight atomic.Uint32 // shortage: new series begin as counters
	per   atomic.Int64  // bytes of a series with a detector
}

// usualBytes is what a series with a detector takes until it is measured.
const usualBytes = 2100

// crowded says what is short for a new series.
func (e *Engine) crowded() shortage {
	if s := shortage(e.ladder.tight.Load()); s != shortNone {
		return s
	}
	if e.cfg.Memory <= 0 {
		return shortNone
	}
	per := e.ladder.per.Load()
	if per == 0 {
		per = usualBytes
	}
	if n := e.count.Load() - e.counters.count.Load(); n*per > e.cfg.Memory {
		return shortMemory
	}
	return shortNone
}

// importance is how much it would matter not to see a series: what its signal
// says of users, what an operator said of it, whether it was looked at, and
// whether something happens at its entity.
func importance(m *telemetry.Series, looks uint8, l *Load) float64 {
	v := 1.
	switch m.Signal {
	case telemetry.SignalUp:
		v = 6
	case telemetry.SignalErrors, telemetry.SignalLatency:
		v = 4
	case telemetry.SignalTraffic:
		v = 3
	case telemetry.SignalSaturation:
		v = 2
	case telemetry.SignalNetwork, telemetry.SignalLogs:
		v = 1.5
	}
	if m.Policy != nil {
		v *= clamp(m.Policy.Weight, .05, 10)
		if m.Policy.Weight >= 1 {
			v *= 2 // a rule names it
		}
	}
	if l.Named != nil && l.Named(m) {
		v *= 3
	}
	if !m.Instance.IsZero() {
		v *= .7 // one of several
	}
	if l.Notable[m.Entity] || l.Notable[m.Peer] {
		v *= 2
	}
	return v * (1 + .5*math.Log2(1+float64(looks)))
}
