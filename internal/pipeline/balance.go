package pipeline

import (
	"sync/atomic"
	"time"

	"github.com/norn-aiops/norn/internal/detect"
	"github.com/norn-aiops/norn/internal/telemetry"
)

const (
	balanceEvery = 30_000      // ms between two looks at what detection takes
	notableFor   = 24 * 3600e3 // ms for which a change makes an entity notable
	leastWall    = time.Second // for a share of processor time to say something
)

// balance measures what detection takes and lets series step down or up. Its
// fields but nanos belong to the goroutine that ticks.
type balance struct {
	nanos atomic.Int64 // processor time that judging took
	spent int64        // of nanos, at the last look
	at    time.Time    // wall clock of the last look
	due   int64        // Unix ms of Tick's clock of the last look
}

// timed counts the processor time that f takes as detection's.
func (p *Pipeline) timed(f func()) {
	begin, done := threadTime()
	f()
	p.balance.nanos.Add(done() - begin)
}

// share gives the processor time since the last look as a share of one core,
// -1 when it is not known: in replay, which goes as fast as it can, and while
// history is read.
func (b *balance) share(now time.Time, known bool) float64 {
	spent, wall := b.nanos.Load(), now.Sub(b.at)
	before, first := b.spent, b.at.IsZero()
	b.spent, b.at = spent, now
	if !known || first || wall < leastWall {
		return -1
	}
	return float64(spent-before) / float64(wall)
}

// rebalance lets series step down or up when it is time.
func (p *Pipeline) rebalance(now int64) {
	b := &p.balance
	if now-b.due < balanceEvery && now >= b.due {
		return
	}
	b.due = now
	cpu := b.share(time.Now(), !p.cfg.DataClock && !p.quiet.Load())
	load := detect.Load{CPU: cpu, Notable: p.notable(now), Named: p.named()}
	out := p.engine.Balance(now, load)
	if out.Down > 0 || out.Up > 0 {
		p.log.Info("series changed their tier", "down", out.Down, "up", out.Up, "short", out.Short)
	}
	t := p.engine.Tiers()
	for tier, n := range map[string]int{"full": t.Full, "basic": t.Basic, "counter": t.Counter, "none": t.NotWatched} {
		p.met.tiers.WithLabelValues(tier).Set(float64(n))
	}
	p.met.reduced.Set(float64(t.Reduced))
	if cpu >= 0 {
		p.met.detectCPU.Set(cpu)
	}
	p.met.detectBytes.Set(float64(p.engine.StateBytes()))
}

// named says which series somebody named: as a custom metric, as the entity of a
// declared objective, or in an objective's expressions. nil: nobody did.
func (p *Pipeline) named() func(*telemetry.Series) bool {
	metrics := map[string]bool{}
	for _, c := range p.wishes.now.Load().Custom() {
		metrics[c.Name] = true
	}
	return p.slos.named(metrics)
}

// notable gives the entities of open incidents, and those that were changed
// within a day.
func (p *Pipeline) notable(now int64) map[telemetry.Entity]bool {
	out := p.deploys.since(now - notableFor)
	for _, in := range p.openNow.list() {
		for _, e := range in.Entities {
			out[e] = true
		}
	}
	return out
}

func (d *deployTimes) since(t int64) map[telemetry.Entity]bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := map[telemetry.Entity]bool{}
	for e, at := range d.m {
		if at >= t {
			out[e] = true
		}
	}
	return out
}
