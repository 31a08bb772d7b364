package logmine

import (
	"fmt"
	"math"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/stats"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// Severity shift: the share of lines that warn or worse, in the last minutes
// against the hour before. A service that logs ten times as much of everything
// has none; one whose lines turn into errors has, however many there are.
const (
	shareSlot   = 60_000 // ms
	shareSlots  = 62     // that are kept: two are tested against sixty
	shareWindow = 2      // slots
	shareLeast  = 20     // slots with lines before a share is judged
	shareLines  = 10     // bad lines in the window
	shareP      = 1e-8
	shareFactor = 2.0
	shareRise   = .02
	sharePeak   = 1.25        // times the highest share of the last days
	peakHalf    = 3 * 24 * 60 // slots in which the memory of the highest share halves
	shareAccept = 30 * 60_000 // ms after which what lasts is usual
	shareQuiet  = 3           // slots of usual shares that end an anomaly
)

type shareCount struct {
	At         int64 // Unix ms of the slot's begin
	Bad, Total float64
	Odd        bool // was in a window that was an anomaly
}

// shares is how severe a service's lines are, by the clock of Flush.
type shares struct {
	slots  []shareCount // oldest first; the last is open
	peak   float64      // highest share of a window that was no anomaly, decaying
	active *ops.Anomaly
	calm   int
	judged int64  // begin of the last slot that was tested
	line   string // last severe line
	level  telemetry.Severity
}

// note adds what a window of Flush counted.
func (h *shares) note(end int64, window *[ranges]uint64) {
	at := end - 1 - mod(end-1, shareSlot)
	if n := len(h.slots); n == 0 || h.slots[n-1].At < at {
		if len(h.slots) >= shareSlots+1 {
			h.slots = append(h.slots[:0], h.slots[1:]...)
		}
		h.slots = append(h.slots, shareCount{At: at})
	}
	c := &h.slots[len(h.slots)-1]
	for k, n := range window {
		c.Total += float64(n)
		if k >= severityRange(telemetry.SeverityWarn) {
			c.Bad += float64(n)
		}
	}
}

// shift tests the last complete slots and returns the anomaly when it began,
// grew or ended.
func (s *service) shift() *ops.Anomaly {
	h := &s.shares
	n := len(h.slots) - 1 // complete ones
	if n < 1 || h.slots[n-1].At <= h.judged {
		return nil // once a slot, when the next has begun
	}
	h.judged = h.slots[n-1].At
	from := max(0, n-shareWindow)
	bad, total := 0.0, 0.0
	for _, c := range h.slots[from:n] {
		bad, total = bad+c.Bad, total+c.Total
	}
	var pastBad, pastTotal float64
	var each []float64
	for _, c := range h.slots[:from] {
		if c.Total > 0 && !c.Odd {
			pastBad, pastTotal = pastBad+c.Bad, pastTotal+c.Total
			each = append(each, c.Bad)
		}
	}
	if total == 0 {
		return s.calmDown()
	}
	share, usual := bad/total, pastBad/max(pastTotal, 1)
	h.peak *= math.Exp2(-1.0 / peakHalf)
	odd := len(each) >= shareLeast && s.learned(s.lastNs) && bad >= shareLines && share >= shareFactor*usual+shareRise && share >= sharePeak*h.peak
	p := 1.0
	if odd {
		p = stats.RateChange(bad, total, pastBad, pastTotal, stats.Dispersion(each))
		odd = p <= shareP
	}
	if !odd {
		if h.active == nil {
			h.peak = max(h.peak, share)
		}
		return s.calmDown()
	}
	h.mark(from, n)
	if h.active == nil {
		onset := h.slots[from].At
		h.active = &ops.Anomaly{ID: fmt.Sprintf("severity-%s-%d", s.entity, onset), Series: "share of lines that warn or worse", Entity: s.entity,
			Signal: telemetry.SignalLogs, Unit: "1", Kind: ops.AnomalySeverity, Direction: telemetry.UpBad, Onset: onset, Member: "severity_shift", Source: "norn",
			Query: s.query("severity:in(warn, error, fatal)"), Low: 0, Expected: usual, High: max(2*usual, h.peak),
			Usual: fmt.Sprintf("%.1f %% of the lines of the hour before, %.1f %% at most lately", 100*usual, 100*h.peak)}
	}
	a := h.active
	a.LastSeen, a.Observed, a.P = h.slots[n].At, share, max(p, 1e-15)
	a.Score = -math.Log10(a.P)
	a.Severity = max(a.Severity, min(.9, max(gravity(h.level), .4)*(.7+.3*share)))
	a.Text, a.Severe = h.line, h.level.String()
	out := *a
	return &out
}

// mark keeps the slots of an anomaly out of what is usual, unless it lasts.
func (h *shares) mark(from, n int) {
	h.calm = 0
	for i := from; i < n; i++ {
		h.slots[i].Odd = true
	}
	if h.active != nil && h.judged-h.active.Onset >= shareAccept { // it is how things are now
		for i := range h.slots {
			h.slots[i].Odd = false
		}
	}
}

// calmDown ends the anomaly after some slots of usual shares.
func (s *service) calmDown() *ops.Anomaly {
	h := &s.shares
	if h.active == nil {
		return nil
	}
	if h.calm++; h.calm < shareQuiet {
		return nil
	}
	a := h.active
	h.active, h.calm, h.line, h.level = nil, 0, "", 0
	a.Ended = max(a.LastSeen, a.Onset+1)
	return a
}

// query narrows a LogsQL filter to the service's lines.
func (s *service) query(filter string) string {
	return fmt.Sprintf("service:=%q %s", s.entity.Name, filter)
}
