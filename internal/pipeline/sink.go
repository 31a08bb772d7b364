package pipeline

import (
	"context"
	"fmt"
	"hash/fnv"
	"sync"
	"time"

	"github.com/norn-aiops/norn/internal/ingest"
	"github.com/norn-aiops/norn/internal/normalize"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

var _ ingest.Sink = (*Pipeline)(nil)

// Logs normalises, mines and stores log records. It returns when those that
// were accepted are durable.
func (p *Pipeline) Logs(ctx context.Context, recs []telemetry.LogRecord) (ingest.Result, error) {
	now := p.nowNano()
	var res ingest.Result
	kept := recs[:0:0]
	for i := range recs {
		if ok, reason := p.logs.Log(&recs[i], now); !ok {
			res.Rejected = append(res.Rejected, p.refuse("logs", i, reason))
			continue
		}
		kept = append(kept, recs[i])
	}
	normalize.HashBatch(kept)
	fresh := make([]*ops.Anomaly, len(kept))
	for i := range kept {
		_, fresh[i] = p.miner.Add(&kept[i])
	}
	accepted, err := p.st.Logs.AppendLogs(ctx, kept)
	if err != nil {
		p.retract(kept)
		return ingest.Result{}, fmt.Errorf("cannot store logs: %w", err)
	}
	for i := range kept {
		if !accepted[i] {
			res.Duplicates++
			p.miner.Retract(&kept[i])
			continue
		}
		res.Accepted++
		p.learnLog(ctx, &kept[i], fresh[i])
	}
	p.count("logs", res)
	return res, nil
}

// retract takes back what mining counted of records that were not stored.
func (p *Pipeline) retract(recs []telemetry.LogRecord) {
	for i := range recs {
		p.miner.Retract(&recs[i])
	}
}

// learnLog hands a stored record on. Of history the miner learns,
// and its rates are made later from what is stored.
func (p *Pipeline) learnLog(ctx context.Context, rec *telemetry.LogRecord, fresh *ops.Anomaly) {
	if rec.History {
		p.logHistory.note(rec)
		return
	}
	if fresh != nil && !p.quiet.Load() {
		p.queue.push(*fresh)
	}
	p.order.Add(rec, rec.Template)
	p.topo.Resource(rec.Entity, rec.Instance, rec.Resource, rec.Time/1e6)
	if ch, ok := p.logs.ChangeFromLog(rec); ok {
		if err := p.change(ctx, &ch); err != nil {
			p.log.Error("change from a log event not kept", "err", err)
		}
	}
}

// Spans normalises and stores spans, then feeds the topology.
func (p *Pipeline) Spans(ctx context.Context, spans []telemetry.Span) (ingest.Result, error) {
	now := p.nowNano()
	var res ingest.Result
	kept := spans[:0:0]
	for i := range spans {
		if ok, reason := p.logs.Span(&spans[i], now); !ok {
			res.Rejected = append(res.Rejected, p.refuse("spans", i, reason))
			continue
		}
		kept = append(kept, spans[i])
	}
	accepted, err := p.st.Traces.AppendSpans(ctx, kept)
	if err != nil {
		return ingest.Result{}, fmt.Errorf("cannot store spans: %w", err)
	}
	fresh := kept[:0]
	for i := range kept {
		if !accepted[i] {
			res.Duplicates++
			continue
		}
		fresh = append(fresh, kept[i])
		p.versionChange(ctx, &kept[i])
	}
	res.Accepted = len(fresh)
	p.topo.Spans(fresh)
	p.count("spans", res)
	return res, nil
}

// Alerts takes in other tools' alerts: each is an anomaly that Norn did not
// measure itself.
func (p *Pipeline) Alerts(ctx context.Context, alerts []telemetry.Alert) (ingest.Result, error) {
	var res ingest.Result
	for i := range alerts {
		p.logs.Alert(&alerts[i])
	}
	if err := p.st.State.PutAlerts(ctx, alerts); err != nil {
		return ingest.Result{}, fmt.Errorf("cannot store %d alerts: %w", len(alerts), err)
	}
	now := p.clock.Load()
	for i := range alerts {
		p.queue.push(AlertAnomaly(&alerts[i], now))
		res.Accepted++
	}
	p.count("alerts", res)
	return res, nil
}

// Changes takes in deploys, configuration changes and the like.
func (p *Pipeline) Changes(ctx context.Context, changes []telemetry.Change) (ingest.Result, error) {
	var res ingest.Result
	for i := range changes {
		if err := p.change(ctx, &changes[i]); err != nil {
			return ingest.Result{}, err
		}
		res.Accepted++
	}
	p.count("changes", res)
	return res, nil
}

func (p *Pipeline) change(ctx context.Context, ch *telemetry.Change) error {
	if ch.Time == 0 {
		ch.Time = p.nowNano() / 1e6
	}
	if ch.ID == "" {
		ch.ID = changeID(ch)
	}
	if err := p.st.State.PutChange(ctx, ch); err != nil {
		return fmt.Errorf("cannot store the change of %s: %w", ch.Entity, err)
	}
	p.deploys.note(ch)
	p.corr.Change(*ch)
	return nil
}

// changeID names a change by its content, so that one that is sent again is
// the same.
func changeID(ch *telemetry.Change) string {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s|%s|%d|%s", ch.Kind, ch.Entity, ch.Time, ch.Title)
	return fmt.Sprintf("change-%016x", h.Sum64())
}

// versionChange notices a deployment that nobody announced: spans with a new
// service.version.
func (p *Pipeline) versionChange(ctx context.Context, s *telemetry.Span) {
	ch, ok := p.logs.ChangeFromResource(s.Entity, s.Resource, s.End/1e6)
	if !ok || p.quiet.Load() || p.deploys.announced(s.Entity, ch.Time) {
		return
	}
	if err := p.change(ctx, &ch); err != nil {
		p.log.Error("change of version not kept", "entity", s.Entity.String(), "err", err)
	}
}

// deployTimes remembers the last deployment of each entity (at most 10,000).
type deployTimes struct {
	mu sync.Mutex
	m  map[telemetry.Entity]int64
}

// announcedWithin is how far (ms) a version may show up from the word that
// announced it.
const announcedWithin = 10 * 60_000

func (d *deployTimes) note(ch *telemetry.Change) {
	if ch.Kind != telemetry.ChangeDeploy {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.m == nil || len(d.m) >= 10_000 {
		d.m = map[telemetry.Entity]int64{}
	}
	d.m[ch.Entity] = max(d.m[ch.Entity], ch.Time)
}

func (d *deployTimes) announced(e telemetry.Entity, t int64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	last, ok := d.m[e]
	return ok && t-last < announcedWithin && last-t < announcedWithin
}

// AlertAnomaly is another tool's alert as the correlator takes it. now is Unix
// ms. An alert about a call is one of the caller, with the callee as peer.
func AlertAnomaly(a *telemetry.Alert, now int64) ops.Anomaly {
	severity := map[string]float64{"critical": 0.9, "warning": 0.6, "info": 0.3}[a.Severity]
	text := a.Annotations["summary"]
	if text == "" {
		text = a.Annotations["description"]
	}
	out := ops.Anomaly{
		ID: "alert-" + a.Fingerprint, Series: a.Name, Entity: a.Entity, Signal: telemetry.SignalOther,
		Kind: ops.AnomalyAlert, Direction: telemetry.UpBad, Onset: a.StartsAt, LastSeen: max(now, a.StartsAt),
		Severity: severity, P: 1, Member: a.Source, Text: text, Source: a.Source, Severe: a.Severity,
	}
	if !a.Caller.IsZero() && a.Caller != a.Entity {
		out.Entity, out.Peer = a.Caller, a.Entity
	}
	if a.EndsAt > 0 && a.EndsAt <= now {
		out.Ended, out.LastSeen = a.EndsAt, a.EndsAt
	}
	return out
}

func (p *Pipeline) refuse(signal string, i int, reason string) ingest.Rejected {
	p.met.rejected.WithLabelValues(signal, reason).Inc()
	return ingest.Rejected{Index: i, Reason: reason, Detail: reason}
}

func (p *Pipeline) count(signal string, r ingest.Result) {
	p.received.Store(p.nowNano() / 1e6)
	p.met.items.WithLabelValues(signal, "accepted").Add(float64(r.Accepted))
	p.met.items.WithLabelValues(signal, "duplicate").Add(float64(r.Duplicates))
	p.met.items.WithLabelValues(signal, "rejected").Add(float64(len(r.Rejected)))
}

// nowNano is the receive time: the wall clock, or in replay the data's clock.
func (p *Pipeline) nowNano() int64 {
	if p.cfg.DataClock {
		return p.clock.Load() * int64(time.Millisecond)
	}
	return time.Now().UnixNano()
}
