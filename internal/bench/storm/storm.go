// Package storm measures what a storm of alerts costs: very many different
// alerts of a large estate that all begin within seconds and stay open.
//
// The alerts go the way of all alerts: normalised, stored, grouped, judged.
// Time is the data's own; what is measured is the time that the work takes.
// It asserts nothing. [Run] owns no goroutine; the main type is [Report].
package storm

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"time"

	"github.com/norn-aiops/norn/internal/graph"
	"github.com/norn-aiops/norn/internal/ingest"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// Target is the pipeline as the storm sees it.
type Target interface {
	Alerts(ctx context.Context, alerts []telemetry.Alert) (ingest.Result, error)
	ObserveEdges(edges []graph.Edge)
	Tick(ctx context.Context, now int64) error
	OpenIncidents() []ops.Incident
}

// Options says how large the storm is. Zero means the default in brackets.
type Options struct {
	Alerts   int    // [100,000]
	Rate     int    // alerts a second of the data's clock [5,000]
	Services int    // each with three instances [1,000]
	Seed     uint64 // [1]
	Start    int64  // Unix ms
	Progress func(done, all int)
}

// Report is the outcome.
type Report struct {
	Alerts          int     `json:"alerts"`
	Services        int     `json:"services"`
	Seed            uint64  `json:"seed"`
	AlertsPerSecond float64 `json:"alerts_per_second"` // of time that the work took, ticks included
	SlowestTickMS   float64 `json:"slowest_tick_ms"`
	HeapBytes       uint64  `json:"heap_bytes"`   // in use at the end with all alerts open, after collection
	HeapGrowth      int64   `json:"heap_growth"`  // against before the storm
	Incidents       int     `json:"incidents"`    // open at the end
	InIncidents     int     `json:"in_incidents"` // alerts that they hold
	MostListed      int     `json:"most_listed"`  // alerts listed singly in one incident; the others are counted
}

const (
	batch  = 500
	rules  = 40
	hosts  = 100
	tickMS = 5_000
)

// estate makes services that call each other like a tree with shortcuts, their
// instances, and the hosts of these.
func estate(n int, rng *rand.Rand, now int64) (edges []graph.Edge, instances []telemetry.Entity) {
	svc := func(i int) telemetry.Entity {
		return telemetry.Entity{Kind: telemetry.KindService, Name: fmt.Sprintf("service-%d", i)}
	}
	add := func(from, to telemetry.Entity, k graph.EdgeKind) {
		edges = append(edges, graph.Edge{From: from, To: to, Kind: k, FirstSeen: now, LastSeen: now})
	}
	for i := range n {
		for range min(i, 2) {
			add(svc(rng.IntN(i)), svc(i), graph.Calls)
		}
		for j := range 3 {
			e := telemetry.Entity{Kind: telemetry.KindInstance, Name: fmt.Sprintf("service-%d-%d", i, j)}
			add(svc(i), e, graph.PartOf)
			add(e, telemetry.Entity{Kind: telemetry.KindHost, Name: fmt.Sprintf("host-%d", rng.IntN(hosts))}, graph.RunsOn)
			instances = append(instances, e)
		}
	}
	return edges, instances
}

func (o Options) withDefaults() Options {
	if o.Alerts <= 0 {
		o.Alerts = 100_000
	}
	if o.Rate <= 0 {
		o.Rate = 5000
	}
	if o.Services <= 0 {
		o.Services = 1000
	}
	if o.Seed == 0 {
		o.Seed = 1
	}
	return o
}

// Run sends the storm and measures.
func Run(ctx context.Context, to Target, o Options) (*Report, error) {
	o = o.withDefaults()
	rng := rand.New(rand.NewPCG(o.Seed, 7))
	edges, instances := estate(o.Services, rng, o.Start)
	to.ObserveEdges(edges)
	r := &Report{Alerts: o.Alerts, Services: o.Services, Seed: o.Seed}
	before := heap()
	s := sender{to: to, o: o, r: r, now: o.Start}
	for ticked := o.Start; s.sent < o.Alerts; {
		if err := s.send(ctx, rng, instances); err != nil {
			return nil, fmt.Errorf("cannot send alerts: %w", err)
		}
		if s.now-ticked >= tickMS {
			ticked = s.now
			if err := s.tick(ctx); err != nil {
				return nil, err
			}
		}
		if o.Progress != nil {
			o.Progress(s.sent, o.Alerts)
		}
	}
	for range 24 { // two minutes on, so that all is grouped and judged
		s.now += tickMS
		if err := s.tick(ctx); err != nil {
			return nil, err
		}
	}
	r.AlertsPerSecond = float64(o.Alerts) / max(s.work.Seconds(), 1e-9)
	r.HeapBytes = heap()
	r.HeapGrowth = int64(r.HeapBytes) - int64(before)
	for _, in := range to.OpenIncidents() {
		r.Incidents++
		r.InIncidents += in.Alerts
		r.MostListed = max(r.MostListed, len(in.Anomalies))
	}
	return r, nil
}

// sender measures the time that the work takes.
type sender struct {
	to   Target
	o    Options
	r    *Report
	now  int64
	sent int
	work time.Duration
}

// send makes and sends the next batch.
func (s *sender) send(ctx context.Context, rng *rand.Rand, instances []telemetry.Entity) error {
	list := make([]telemetry.Alert, 0, batch)
	for ; len(list) < batch && s.sent < s.o.Alerts; s.sent++ {
		s.now = s.o.Start + int64(s.sent)*1000/int64(s.o.Rate)
		name := fmt.Sprintf("Rule%d", s.sent%rules)
		list = append(list, telemetry.Alert{Source: "storm", Name: name, Severity: "warning", StartsAt: s.now, Entity: instances[rng.IntN(len(instances))],
			Labels: map[string]string{"alertname": name, "series": fmt.Sprint(s.sent)}})
	}
	at := time.Now()
	_, err := s.to.Alerts(ctx, list)
	s.work += time.Since(at)
	return err
}

func (s *sender) tick(ctx context.Context) error {
	at := time.Now()
	err := s.to.Tick(ctx, s.now)
	took := time.Since(at)
	s.work += took
	s.r.SlowestTickMS = max(s.r.SlowestTickMS, took.Seconds()*1000)
	if err != nil {
		return fmt.Errorf("cannot tick: %w", err)
	}
	return nil
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// Print writes the report.
func (r *Report) Print(w io.Writer) error {
	_, err := fmt.Fprintf(w, `a storm of %d alerts over %d services (seed %d), all open at the end

alerts a second        %.0f (ticks included; slowest tick %.0f ms)
heap at the end        %.1f MiB (%.1f MiB more than before)
open incidents         %d, holding %d alerts, at most %d of one listed singly
`, r.Alerts, r.Services, r.Seed, r.AlertsPerSecond, r.SlowestTickMS, float64(r.HeapBytes)/(1<<20), float64(r.HeapGrowth)/(1<<20), r.Incidents, r.InIncidents, r.MostListed)
	return err
}
