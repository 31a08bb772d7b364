package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/stats"
	"github.com/norn-aiops/norn/internal/store"
	"github.com/norn-aiops/norn/internal/telemetry"
)

type changedInput struct {
	Range
	AgainstFrom string `query:"against_from" doc:"Start of the range to compare with. Default: four times the window (30 minutes to a day) right before it."`
	AgainstTo   string `query:"against_to" doc:"End of the range to compare with."`
	Entity      string `query:"entity" doc:"kind/name; empty is all."`
	Limit       int    `query:"limit" minimum:"1" maximum:"500" default:"50"`
}

// Finding is one thing that is different within the window.
type Finding struct {
	Kind      string              `json:"kind" enum:"metric,pattern,anomaly"`
	Entity    telemetry.Entity    `json:"entity"`
	Peer      telemetry.Entity    `json:"peer" doc:"Callee, for series of an edge."`
	Title     string              `json:"title" doc:"Name of the series, or text of the pattern."`
	Sentence  string              `json:"sentence"`
	Example   string              `json:"example,omitempty" doc:"A line."`
	Signal    telemetry.Signal    `json:"signal"`
	Severity  string              `json:"severity,omitempty" doc:"Of a pattern."`
	Direction telemetry.Direction `json:"direction" doc:"Which way it went: 1 up, -1 down."`
	Bad       bool                `json:"bad" doc:"It went the way that is bad for it."`
	Before    float64             `json:"before" doc:"Median of the series, or lines a second."`
	Within    float64             `json:"within"`
	Unit      string              `json:"unit"`
	P         float64             `json:"p_value"`
	Q         float64             `json:"q_value" doc:"For all that was examined together (Benjamini and Hochberg)."`
	Score     float64             `json:"score" doc:"-log10 of the p-value, at most 50; findings are in this order."`
	Onset     int64               `json:"onset_unix_ms" doc:"Of the anomaly; else 0."`

	SeriesID  string `json:"series_id,omitempty"`
	Expr      string `json:"expr,omitempty" doc:"PromQL that draws it."`
	Query     string `json:"query,omitempty" doc:"LogsQL that finds the lines."`
	Pattern   string `json:"pattern_id,omitempty"`
	AnomalyID string `json:"anomaly_id,omitempty"`
}

// Changed is what is different within a window, the surest first.
type Changed struct {
	From        int64              `json:"from_unix_ms"`
	To          int64              `json:"to_unix_ms"`
	AgainstFrom int64              `json:"against_from_unix_ms"`
	AgainstTo   int64              `json:"against_to_unix_ms"`
	Findings    []Finding          `json:"findings" nullable:"false"`
	Total       int                `json:"total" doc:"Findings before the limit."`
	Changes     []telemetry.Change `json:"changes" nullable:"false" doc:"Deploys and the like within the window."`
	Series      int                `json:"series_examined"`
	Skipped     int                `json:"series_skipped" doc:"Series that there was no time for; a narrower entity examines them."`
	Patterns    int                `json:"patterns_examined"`
	TookMS      int64              `json:"took_ms"`
}

// Bounds of one answer.
const (
	changedSeries = 3000            // series that are read
	changedFor    = 5 * time.Second // time for reading them
	changedPoints = 240             // of the time before
	changedQ      = .01
	topScore      = 50
)

// whatChanged compares a window with the time before it.
func (s *Server) whatChanged(ctx context.Context, in *changedInput) (*body[Changed], error) {
	began := time.Now()
	from, to, err := in.resolve(s.now(), 15*time.Minute)
	if err != nil {
		return nil, err
	}
	r := span{from, to}
	fallback := min(max(4*(to-from+1), (30*time.Minute).Milliseconds()), day.Milliseconds())
	against, err := resolveAgainst(in.AgainstFrom, in.AgainstTo, s.now(), r, fallback)
	if err != nil {
		return nil, err
	}
	ctx, done := limitTime(ctx)
	defer done()
	e := telemetry.ParseEntity(in.Entity)
	out := Changed{From: from, To: to, AgainstFrom: against.from, AgainstTo: against.to}
	found, err := s.changedSeries(ctx, e, r, against, &out)
	if err != nil {
		return nil, tooSlow(ctx, err)
	}
	patterns, err := s.changedPatterns(ctx, e, r, against, &out)
	if err != nil {
		return nil, tooSlow(ctx, err)
	}
	found = append(found, patterns...)
	found, err = s.withAnomalies(ctx, found, e, r)
	if err != nil {
		return nil, tooSlow(ctx, err)
	}
	out.Findings = surest(found)
	out.Total = len(out.Findings)
	out.Findings = out.Findings[:min(out.Total, in.Limit)]
	changes, err := s.state.Changes(ctx, from, to)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("read changes: %w", err)
	}
	out.Changes = nonNil(slices.DeleteFunc(changes, func(c telemetry.Change) bool { return !e.IsZero() && c.Entity != e }))
	out.TookMS = time.Since(began).Milliseconds()
	return ok(out), nil
}

// surest gives findings their q-values, keeps those that are sure (anomalies
// were judged before) and puts the surest first.
func surest(found []Finding) []Finding {
	ps := make([]float64, len(found))
	for i := range found {
		ps[i] = found[i].P
	}
	out := []Finding{}
	for i, q := range stats.BenjaminiHochberg(ps) {
		f := found[i]
		f.Q = q
		f.Score = min(-math.Log10(max(f.P, 1e-300)), topScore)
		if q <= changedQ || f.AnomalyID != "" {
			out = append(out, f)
		}
	}
	slices.SortStableFunc(out, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(flag(b.AnomalyID != ""), flag(a.AnomalyID != "")), cmp.Compare(flag(b.Bad), flag(a.Bad)),
			cmp.Compare(ratioOf(b), ratioOf(a)), strings.Compare(a.Title, b.Title))
	})
	return out
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

// ratioOf is by what factor a finding moved, either way.
func ratioOf(f Finding) float64 {
	return math.Abs(math.Log((math.Abs(f.Within) + 1e-9) / (math.Abs(f.Before) + 1e-9)))
}

// changedSeries examines watched series, those that deviate first, until the
// time for it is up. The rates of single templates are left to the patterns.
func (s *Server) changedSeries(ctx context.Context, e telemetry.Entity, r, against span, out *Changed) ([]Finding, error) {
	list, total := s.live.Series(SeriesMatch{Entity: e, Limit: changedSeries})
	slices.SortStableFunc(list, func(a, b SeriesInfo) int {
		return cmp.Or(cmp.Compare(flag(b.AnomalyID != ""), flag(a.AnomalyID != "")), cmp.Compare(signalRank(a.Meta.Signal), signalRank(b.Meta.Signal)))
	})
	out.Skipped = total - len(list)
	end := time.Now().Add(changedFor)
	var found []Finding
	for i := range list {
		if time.Now().After(end) {
			out.Skipped += len(list) - i
			break
		}
		m := list[i].Meta
		if strings.Contains(m.Expr, "norn_log_template_rate") {
			continue
		}
		before, within, err := s.readBoth(ctx, m, r, against)
		if err != nil {
			return nil, err
		}
		out.Series++
		x := stats.MedianShift(before, within)
		if x.Z == 0 {
			continue
		}
		f := Finding{Kind: "metric", Entity: m.Entity, Peer: m.Peer, Title: m.Name, Signal: m.Signal, Unit: m.Unit, Expr: m.Expr,
			SeriesID: strconv.FormatUint(uint64(m.ID), 10), AnomalyID: "", Before: x.Before, Within: x.Within, P: x.P, Direction: telemetry.UpBad}
		if x.Z < 0 {
			f.Direction = telemetry.DownBad
		}
		f.Bad = m.Direction == f.Direction
		f.Sentence = fmt.Sprintf("%s of %s: median %s, before %s", m.Name, m.Entity, amount(x.Within, m.Unit), amount(x.Before, m.Unit))
		found = append(found, f)
	}
	return found, nil
}

// signalRank puts what users feel first.
func signalRank(s telemetry.Signal) int {
	order := []telemetry.Signal{telemetry.SignalErrors, telemetry.SignalLatency, telemetry.SignalTraffic, telemetry.SignalSaturation}
	if k := slices.Index(order, s); k >= 0 {
		return k
	}
	return len(order)
}

// readBoth reads a series before and within the window, thinned alike.
func (s *Server) readBoth(ctx context.Context, m *telemetry.Series, r, against span) (before, within []float64, err error) {
	step := max(niceStep(against.to-against.from, changedPoints), 10_000)
	read := func(x span) ([]float64, error) {
		from := alignUp(x.from, step)
		if from > x.to {
			from = x.to
		}
		list, err := s.metrics.QueryRange(ctx, m.Expr, from, x.to, step)
		if err != nil || len(list) == 0 {
			return nil, err
		}
		vs := make([]float64, 0, len(list[0].Samples))
		for _, p := range list[0].Samples {
			if !math.IsNaN(p.V) && !math.IsInf(p.V, 0) {
				vs = append(vs, p.V)
			}
		}
		return vs, nil
	}
	if before, err = read(against); err == nil {
		within, err = read(r)
	}
	if errors.Is(err, store.ErrBadQuery) { // drawn otherwise; no loss for the rest
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read %s: %w", m.Expr, err)
	}
	return before, within, nil
}

func (s *Server) changedPatterns(ctx context.Context, e telemetry.Entity, r, against span, out *Changed) ([]Finding, error) {
	list, err := s.comparePatterns(ctx, e, r, against)
	if err != nil {
		return nil, err
	}
	out.Patterns = len(list)
	found := make([]Finding, 0, len(list))
	for i := range list {
		p := &list[i]
		f := Finding{Kind: "pattern", Entity: p.Entity, Title: p.Text, Example: p.Example, Signal: telemetry.SignalLogs, Severity: p.Severity, Unit: "{line}/s",
			Before: p.BeforeRate, Within: p.Rate, P: p.P, Query: p.Query, Pattern: p.ID, Direction: telemetry.UpBad}
		if p.Rate < p.BeforeRate {
			f.Direction = telemetry.DownBad
		}
		f.Bad = f.Direction == telemetry.UpBad && severityRank(p.Severity) <= severityRank("warn")
		switch {
		case p.New:
			f.Sentence = fmt.Sprintf("new message of %s: %d lines", p.Entity, p.Count)
		case p.Before == 0:
			f.Sentence = fmt.Sprintf("message of %s came back: %d lines, none before", p.Entity, p.Count)
		case p.Count == 0:
			f.Sentence = fmt.Sprintf("message of %s stopped: no line, before %s", p.Entity, amount(p.BeforeRate, "{line}/s"))
		default:
			f.Sentence = fmt.Sprintf("message of %s: %s, before %s", p.Entity, amount(p.Rate, "{line}/s"), amount(p.BeforeRate, "{line}/s"))
		}
		found = append(found, f)
	}
	return found, nil
}

// amount writes a value with its unit.
func amount(v float64, unit string) string {
	unit = strings.NewReplacer("{", "", "}", "").Replace(unit)
	if unit == "1" {
		unit = ""
	}
	return strings.TrimSpace(strconv.FormatFloat(v, 'g', 3, 64) + " " + unit)
}

// withAnomalies marks findings whose series has an anomaly in the window, and
// adds the anomalies of everything else.
func (s *Server) withAnomalies(ctx context.Context, found []Finding, e telemetry.Entity, r span) ([]Finding, error) {
	list, err := s.state.Anomalies(ctx, r.from, r.to, anomalyCap)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("read anomalies: %w", err)
	}
	bySeries, byQuery := map[string]int{}, map[string]int{}
	for i := range found {
		if found[i].SeriesID != "" {
			bySeries[found[i].SeriesID] = i
		}
		if found[i].Query != "" {
			byQuery[found[i].Query] = i
		}
	}
	for _, a := range list {
		if !e.IsZero() && a.Entity != e && a.Peer != e && a.Instance != e {
			continue
		}
		i, known := bySeries[strconv.FormatUint(uint64(a.SeriesID), 10)]
		if !known || a.SeriesID == 0 {
			i, known = byQuery[a.Query]
		}
		if known && (a.SeriesID != 0 || a.Query != "") {
			f := &found[i]
			f.AnomalyID, f.Onset, f.P = a.ID, a.Onset, min(f.P, max(a.P, 1e-300))
			continue
		}
		found = append(found, findingOf(&a))
	}
	return found, nil
}

func findingOf(a *ops.Anomaly) Finding {
	f := Finding{Kind: "anomaly", Entity: a.Entity, Peer: a.Peer, Title: a.Series, Example: a.Text, Signal: a.Signal, Direction: a.Direction, Bad: true,
		Before: a.Expected, Within: a.Observed, Unit: a.Unit, P: min(max(a.P, 1e-300), 1), Onset: a.Onset, AnomalyID: a.ID, Query: a.Query,
		Sentence: fmt.Sprintf("%s of %s: %s", strings.ReplaceAll(string(a.Kind), "_", " "), a.Entity, a.Series)}
	if a.SeriesID != 0 {
		f.SeriesID, f.Expr = strconv.FormatUint(uint64(a.SeriesID), 10), a.Expr
		f.Sentence += fmt.Sprintf(", %s, expected %s to %s", amount(a.Observed, a.Unit), amount(a.Low, a.Unit), amount(a.High, a.Unit))
	}
	return f
}
