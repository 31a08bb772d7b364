package api

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"time"

	"github.com/norn-aiops/norn/internal/graph"
	"github.com/norn-aiops/norn/internal/store"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// Service is one cell of the health grid.
type Service struct {
	Entity      telemetry.Entity `json:"entity"`
	Health      float64          `json:"health" doc:"1 is well, 0 is down."`
	State       string           `json:"state" enum:"ok,degraded,failing,silent,unknown"`
	Text        string           `json:"text"`
	RequestRate *float64         `json:"request_rate" doc:"Requests a second; null when not measured."`
	ErrorRatio  *float64         `json:"error_ratio" doc:"0..1"`
	P95         *float64         `json:"p95_seconds"`
	Spark       []*float64       `json:"spark" nullable:"false" doc:"p95 (else the request rate) of the last half hour, a value a minute."`
	IncidentID  string           `json:"incident_id,omitempty"`
	Team        string           `json:"team,omitempty" doc:"Whose it is."`
	SLO         string           `json:"slo,omitempty" doc:"Its objective with the least budget left, in a line."`
	LastSeen    int64            `json:"last_seen_unix_ms"`
}

// ServiceList is the health grid, worst first.
type ServiceList struct {
	Services []Service `json:"services" nullable:"false"`
}

const (
	sparkSpan  = 30 * time.Minute
	sparkStep  = time.Minute
	cellsFresh = 3 * time.Second
	// freshPoints is how many of the newest minutes may be missing before a
	// cell's number counts as not measured.
	freshPoints = 3
)

func (s *Server) listServices(ctx context.Context, _ *struct{}) (*body[ServiceList], error) {
	s.cells.mu.Lock()
	defer s.cells.mu.Unlock()
	now := s.now()
	if age := now.Sub(s.cells.at); s.cells.rows == nil || age < 0 || age > cellsFresh {
		s.cells.rows, s.cells.at = s.readCells(ctx, now.UnixMilli()), now
	}
	return ok(ServiceList{Services: slices.Clone(s.cells.rows)}), nil
}

// readCells joins the pipeline's word on health with Norn's own series. A
// query that fails leaves its numbers out: the grid must show in any case.
func (s *Server) readCells(ctx context.Context, now int64) []Service {
	read := func(expr string) map[string][]*float64 {
		m, err := s.sparks(ctx, expr, now)
		if err != nil {
			s.log.Warn("service grid without some numbers", slog.String("expr", expr), slog.Any("error", err))
		}
		return m
	}
	rate := read(`sum by (entity) (norn_request_rate)`)
	errs := read(`max by (entity) (norn_error_ratio)`)
	p95 := read(`max by (entity) (norn_latency_seconds{quantile="0.95"})`)
	states, slos := s.live.Services(), s.live.SLOs()
	out := make([]Service, 0, len(states))
	for _, st := range states {
		key := st.Entity.String()
		c := Service{Entity: st.Entity, Health: st.Health, State: st.State, Text: st.Text, IncidentID: st.IncidentID,
			LastSeen: st.LastSeen, Team: s.live.TeamOf(st.Entity), SLO: sloOf(slos, st.Entity), RequestRate: newest(rate[key]), ErrorRatio: newest(errs[key]), P95: newest(p95[key]), Spark: p95[key]}
		if c.Spark == nil {
			c.Spark = rate[key]
		}
		c.Spark = nonNil(c.Spark)
		out = append(out, c)
	}
	slices.SortStableFunc(out, func(a, b Service) int {
		return cmp.Or(cmp.Compare(a.Health, b.Health), cmp.Compare(a.Entity.Name, b.Entity.Name), cmp.Compare(a.Entity.Kind, b.Entity.Kind))
	})
	return out
}

// sparks evaluates expr over the last half hour and gives the values by the
// label "entity", a value a minute, nil where there is none.
func (s *Server) sparks(ctx context.Context, expr string, now int64) (map[string][]*float64, error) {
	step := sparkStep.Milliseconds()
	n := int(sparkSpan / sparkStep)
	from := now - int64(n-1)*step
	list, err := s.metrics.QueryRange(ctx, expr, from, now, step)
	if err != nil {
		return nil, fmt.Errorf("query %s: %w", expr, err)
	}
	out := make(map[string][]*float64, len(list))
	for _, sd := range list {
		vals := make([]*float64, n)
		for _, p := range sd.Samples {
			if i := int((p.T - from) / step); i >= 0 && i < n {
				vals[i] = finite(p.V)
			}
		}
		out[sd.Labels.Get("entity")] = vals
	}
	return out, nil
}

func newest(vals []*float64) *float64 {
	for i := len(vals) - 1; i >= 0 && i >= len(vals)-freshPoints; i-- {
		if vals[i] != nil {
			return vals[i]
		}
	}
	return nil
}

type graphInput struct {
	At string `query:"at" doc:"Unix ms, RFC 3339 or an age such as -1h. Default: now."`
}

// Graph is the dependencies at one time.
type Graph struct {
	At    int64        `json:"at_unix_ms"`
	Edges []graph.Edge `json:"edges" nullable:"false"`
}

func (s *Server) getGraph(_ context.Context, in *graphInput) (*body[Graph], error) {
	now := s.now()
	at := now.UnixMilli()
	if in.At != "" {
		var err error
		if at, err = ParseTime("at", in.At, now); err != nil {
			return nil, err
		}
	}
	view := s.live.GraphAt(at)
	if view == nil {
		return nil, fmt.Errorf("graph at %d: %w", at, store.ErrNotFound)
	}
	edges := slices.Clone(view.Edges())
	for i := range edges {
		if math.IsNaN(edges[i].Weight) {
			edges[i].Weight = 0
		}
	}
	return ok(Graph{At: at, Edges: nonNil(edges)}), nil
}
