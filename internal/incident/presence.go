package incident

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/norn-aiops/norn/internal/ops"
)

// presence knows how often other tools' alerts speak. Such a tool says nothing
// of calm times, so that the unit is a ten-minute turn that begins with an
// alert: one that comes in most turns says nothing of what is wrong in one.
type presence struct {
	turn   int64   // number of the running turn
	from   int64   // Unix ms when it began
	turns  float64 // decayed count of the turns before
	series map[uint64]*spoken
	class  map[string]*spoken
}

// spoken is the part of one series, or of all series of a class together.
type spoken struct {
	Count float64 `json:"count"`           // decayed count of turns before Turn in which it spoke
	Turn  int64   `json:"turn"`            // the newest turn that is known of it
	Now   float64 `json:"now,omitempty"`   // 1 when it spoke in Turn; of a class, the series that did
	Stuck bool    `json:"stuck,omitempty"` // it also spoke in the turn before Turn
	Last  int64   `json:"last,omitempty"`  // Unix ms when it spoke
	Known float64 `json:"known,omitempty"` // of a class: how many series it has
	Class string  `json:"class,omitempty"` // of a series
}

const (
	presenceDecay = .95              // per turn
	classStrength = 4                // turns that the class's share counts for
	classPrior    = .03              // turns in which every class is taken to have spoken
	stuckFactor   = .3               // on the surprise of a series that spoke in the turn before...
	stuckWithin   = 60 * 60_000      // ...at most so many ms ago
	onceWorth     = .5               // least surprise while there is but one turn behind: once is no habit
	calmFor       = 12 * 60 * 60_000 // ms of silence after which a series speaks of something again,
	calmWorth     = .5               // and has at least this surprise
	neverAbove    = .25              // share of turns from which a series says nothing
	alwaysBelow   = .02              // share under which it says all
)

func newPresence() *presence {
	return &presence{series: map[uint64]*spoken{}, class: map[string]*spoken{}}
}

// at brings s to the given turn.
func (s *spoken) at(turn int64) {
	n := turn - s.Turn
	if n <= 0 {
		return
	}
	s.Stuck = n == 1 && s.Now > 0
	s.Count = (presenceDecay*s.Count + s.Now) * math.Pow(presenceDecay, float64(min(n-1, 10_000)))
	s.Now, s.Turn = 0, turn
}

// classOf gathers alerts that are alike: of one name on one kind of entity; log
// alerts, whose names are many, by kind of entity alone.
func classOf(a *ops.Anomaly) string {
	if f := a.Family(); f == "log" {
		return f + "|" + string(a.Entity.Kind)
	}
	return a.Series + "|" + string(a.Entity.Kind)
}

// advance begins a new turn when the running one is over.
func (p *presence) advance(now int64) {
	if p.from == 0 || now-p.from >= bucket {
		if p.from != 0 {
			p.turns = presenceDecay*p.turns + 1
		}
		p.turn++
		p.from = now
	}
}

// surprise says how unusual it is that this alert speaks now (1: it never did,
// 0: it does in a quarter of the turns) and notes that it did. Only the first
// time of a turn is noted; what it is worth does not depend on that.
func (p *presence) surprise(key uint64, a *ops.Anomaly, now int64, limit int) float64 {
	p.advance(now)
	name := classOf(a)
	s, c := p.series[key], p.class[name]
	if c == nil {
		c = &spoken{Turn: p.turn}
		p.class[name] = c
	}
	c.at(p.turn)
	if s == nil {
		if len(p.series) >= limit {
			p.forget()
		}
		s = &spoken{Turn: p.turn, Class: name}
		p.series[key] = s
		c.Known++
	}
	s.at(p.turn)
	group := (c.Count/max(c.Known, 1) + classPrior) / (p.turns + 1)
	share := (s.Count + classStrength*group) / (p.turns + classStrength)
	w := clip(math.Log(neverAbove/max(share, alwaysBelow))/math.Log(neverAbove/alwaysBelow), 0, 1)
	if s.Stuck && now-s.Last <= stuckWithin {
		w *= stuckFactor
	}
	if p.turns < 1.5 {
		w = max(w, onceWorth)
	}
	if s.Last != 0 && now-s.Last >= calmFor { // a trouble that comes back now and then is no habit
		w = max(w, calmWorth)
	}
	if s.Now == 0 {
		s.Now, s.Last = 1, now
		c.Now++
	}
	return w
}

// forget drops the half of the series that spoke longest ago.
func (p *presence) forget() {
	turns := make([]int64, 0, len(p.series))
	for _, s := range p.series {
		turns = append(turns, s.Turn)
	}
	slices.Sort(turns)
	cut := turns[len(turns)/2]
	for k, s := range p.series {
		if s.Turn > cut || s.Turn == p.turn {
			continue
		}
		delete(p.series, k)
		if c := p.class[s.Class]; c != nil {
			if c.Known--; c.Known <= 0 {
				delete(p.class, s.Class)
			}
		}
	}
}

// kept is presence as it is stored over a restart.
type keptPresence struct {
	Turn   int64              `json:"turn"`
	From   int64              `json:"from_unix_ms"`
	Turns  float64            `json:"turns"`
	Series map[uint64]*spoken `json:"series"`
	Class  map[string]*spoken `json:"class"`
}

// SavePresence writes how often which alert speaks, for LoadPresence after a
// restart.
func (c *Correlator) SavePresence(w io.Writer) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.presence
	if err := json.NewEncoder(w).Encode(keptPresence{p.turn, p.from, p.turns, p.series, p.class}); err != nil {
		return fmt.Errorf("write how often alerts speak: %w", err)
	}
	return nil
}

// LoadPresence takes what SavePresence wrote. After an error nothing has
// changed.
func (c *Correlator) LoadPresence(r io.Reader) error {
	var in keptPresence
	if err := json.NewDecoder(r).Decode(&in); err != nil {
		return fmt.Errorf("read how often alerts speak: %w", err)
	}
	p := newPresence()
	p.turn, p.from, p.turns = in.Turn, in.From, max(in.Turns, 0)
	for k, s := range in.Series {
		if s != nil && len(p.series) < c.cfg.MaxSeries {
			p.series[k] = s
		}
	}
	for k, s := range in.Class {
		if s != nil {
			p.class[k] = s
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.presence = p
	return nil
}

// Presence learns how often alerts speak, apart from a correlator: for methods
// that are compared with it. It is not safe for concurrent use.
type Presence struct{ p *presence }

// NewPresence makes an empty one.
func NewPresence() *Presence { return &Presence{newPresence()} }

// Surprise says how unusual it is that the alert speaks at now (Unix ms), from
// 0 to 1, and learns that it did.
func (p *Presence) Surprise(a *ops.Anomaly, now int64) float64 {
	return p.p.surprise(seriesKey(a), a, now, maxApart)
}

// maxApart bounds the series of a Presence.
const maxApart = 1_000_000
