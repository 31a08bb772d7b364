package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/rules"
	"github.com/norn-aiops/norn/internal/store"
	"github.com/norn-aiops/norn/internal/telemetry"
)

const (
	blobMuted = "detection_muted"
	maxMuted  = 1000    // muted anomalies that are kept to be listed
	maxRaised = 100_000 // anomalies of which it is remembered that they were raised
)

// Muted is an anomaly that was not raised because of a mute.
type Muted struct {
	Mute    string      `json:"mute"`
	Anomaly ops.Anomaly `json:"anomaly"` // the last word on it
}

// muteLog remembers which anomalies were raised, so that what is known goes on
// and ends when a mute begins, and which were muted.
type muteLog struct {
	mu     sync.Mutex
	raised map[string]bool
	muted  []Muted // oldest first
	counts map[string]uint64
}

// mute takes the anomalies out that are not to be raised now. An anomaly that
// outlasts its mute is raised after it.
func (p *Pipeline) mute(as []ops.Anomaly, now int64) []ops.Anomaly {
	set := p.wishes.now.Load()
	l := &p.muted
	l.mu.Lock()
	defer l.mu.Unlock()
	kept := as[:0]
	for _, a := range as {
		var series *telemetry.Series
		if a.SeriesID != 0 {
			series, _ = p.engine.Series(a.SeriesID)
		}
		wanted := Weigh(&a, series)
		if wanted && !p.held(set, &a, series, now) {
			kept = append(kept, a)
		}
	}
	clear(as[len(kept):])
	return kept
}

// held decides about one anomaly. The log is locked.
func (p *Pipeline) held(set *rules.Set, a *ops.Anomaly, series *telemetry.Series, now int64) bool {
	l := &p.muted
	if l.raised[a.ID] {
		if a.Ended != 0 {
			delete(l.raised, a.ID)
		}
		return false
	}
	t := a.LastSeen
	if t == 0 {
		t = now
	}
	if name, is := set.Muted(a, series, t); is {
		if l.note(name, *a) {
			p.met.muted.WithLabelValues(name).Inc()
		}
		return true
	}
	if a.Ended == 0 {
		if l.raised == nil || len(l.raised) >= maxRaised {
			l.raised = map[string]bool{}
		}
		l.raised[a.ID] = true
	}
	return false
}

// least is the severity below which nothing is raised.
const least = .15

// Weigh applies a series' policy to the word of a member that stands beside
// the engine, which has weighed its own, and tells whether it is to be heard.
// An end always is.
func Weigh(a *ops.Anomaly, series *telemetry.Series) bool {
	if series == nil || series.Policy == nil || !beside(a.Member) {
		return true
	}
	pol := series.Policy
	a.Severity = min(1, a.Severity*pol.Factor(a.Member))
	if a.Ended != 0 {
		return true
	}
	other := pol.OnlyWay != telemetry.BothBad && a.Direction == -pol.OnlyWay
	return !other && a.Severity >= least && pol.Matters(a.Observed, a.Expected)
}

func beside(member string) bool { return member == "load" || strings.HasPrefix(member, "plugin:") }

// note keeps the last word on a muted anomaly and tells whether it is new.
func (l *muteLog) note(name string, a ops.Anomaly) bool {
	for i := len(l.muted) - 1; i >= 0; i-- {
		if l.muted[i].Anomaly.ID == a.ID {
			l.muted[i] = Muted{name, a}
			return false
		}
	}
	if l.counts == nil {
		l.counts = map[string]uint64{}
	}
	l.counts[name]++
	l.muted = append(l.muted, Muted{name, a})
	if len(l.muted) > maxMuted {
		l.muted = l.muted[1:]
	}
	return true
}

// Muted lists the anomalies that were not raised because of a mute, the newest
// first, at most limit, and how many each mute has had (since it is counted;
// restarts included).
func (p *Pipeline) Muted(limit int) (list []Muted, counts map[string]uint64) {
	l := &p.muted
	l.mu.Lock()
	defer l.mu.Unlock()
	counts = map[string]uint64{}
	for k, v := range l.counts {
		counts[k] = v
	}
	for i := len(l.muted) - 1; i >= 0 && len(list) < limit; i-- {
		list = append(list, l.muted[i])
	}
	return list, counts
}

// MuteState is how one mute does.
type MuteState struct {
	Name  string
	Open  bool   // now
	Muted uint64 // anomalies that it kept from being raised
}

// Mutes tells how every mute does, in their order.
func (p *Pipeline) Mutes() []MuteState {
	set, now := p.wishes.now.Load(), p.Now()
	_, counts := p.Muted(0)
	var out []MuteState
	for _, name := range set.Mutes() {
		out = append(out, MuteState{Name: name, Open: set.Open(name, now), Muted: counts[name]})
	}
	return out
}

// RefusedValues counts the values outside of the range that a rule gives their
// series, since start.
func (p *Pipeline) RefusedValues() uint64 { return p.derive.Stats().OutOfRange }

// keptMuted is the form in the state store.
type keptMuted struct {
	Muted  []Muted           `json:"muted"`
	Counts map[string]uint64 `json:"counts"`
}

func (p *Pipeline) saveMuted(ctx context.Context) error {
	p.muted.mu.Lock()
	raw, err := json.Marshal(keptMuted{p.muted.muted, p.muted.counts})
	p.muted.mu.Unlock()
	if err != nil {
		return err
	}
	return p.st.State.PutBlob(ctx, blobMuted, raw)
}

func (p *Pipeline) loadMuted(ctx context.Context) {
	raw, err := p.st.State.Blob(ctx, blobMuted)
	if errors.Is(err, store.ErrNotFound) {
		return
	}
	var kept keptMuted
	if err == nil {
		err = json.Unmarshal(raw, &kept)
	}
	if err != nil {
		p.log.Error("the list of muted anomalies is left aside", "err", err)
		return
	}
	p.muted.muted, p.muted.counts = kept.Muted, kept.Counts
}
