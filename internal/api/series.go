package api

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/store"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// Series is one watched series.
type Series struct {
	ID        string              `json:"id" doc:"Decimal; 64 bits do not fit a JavaScript number."`
	Name      string              `json:"name"`
	Expr      string              `json:"expr" doc:"PromQL that draws it."`
	Labels    map[string]string   `json:"labels"`
	Entity    telemetry.Entity    `json:"entity"`
	Peer      telemetry.Entity    `json:"peer" doc:"Callee, for series of an edge."`
	Instance  telemetry.Entity    `json:"instance"`
	Signal    telemetry.Signal    `json:"signal"`
	Direction telemetry.Direction `json:"direction" doc:"1: up is bad, -1: down is bad, 0: both."`
	Unit      string              `json:"unit"`
	Derived   bool                `json:"derived"`
	Tier      string              `json:"tier" enum:"full,basic,counter"`
	Less      string              `json:"less,omitempty" doc:"Why it is watched less than it could be."`
	LastTime  int64               `json:"last_time_unix_ms"`
	Last      *float64            `json:"last"`
	AnomalyID string              `json:"anomaly_id,omitempty"`
}

func toSeries(in SeriesInfo) Series {
	m := in.Meta
	return Series{
		ID: strconv.FormatUint(uint64(m.ID), 10), Name: m.Name, Expr: m.Expr, Labels: m.Labels.Map(), Entity: m.Entity, Peer: m.Peer,
		Instance: m.Instance, Signal: m.Signal, Direction: m.Direction, Unit: m.Unit, Derived: m.Derived, Tier: in.Tier, Less: in.Less,
		LastTime: in.LastTime, Last: finite(in.Last), AnomalyID: in.AnomalyID,
	}
}

type listSeriesInput struct {
	Q      string `query:"q" maxLength:"500" doc:"Words that must occur in name, labels or entity."`
	Entity string `query:"entity" doc:"kind/name"`
	Signal string `query:"signal"`
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"50"`
}

// SeriesList is the series that match, deviating ones first.
type SeriesList struct {
	Series []Series `json:"series" nullable:"false"`
	Total  int      `json:"total" doc:"How many match in all."`
}

func (s *Server) listSeries(_ context.Context, in *listSeriesInput) (*body[SeriesList], error) {
	list, total := s.live.Series(SeriesMatch{Text: in.Q, Entity: telemetry.ParseEntity(in.Entity),
		Signal: telemetry.Signal(in.Signal), Limit: in.Limit})
	out := make([]Series, 0, len(list))
	for _, si := range list[:min(len(list), in.Limit)] {
		out = append(out, toSeries(si))
	}
	return ok(SeriesList{Series: out, Total: total}), nil
}

type seriesInput struct {
	ID string `path:"id" maxLength:"20"`
}

// SeriesDetail is one series and how it is judged.
type SeriesDetail struct {
	Series      Series      `json:"series"`
	Explanation Explanation `json:"explanation"`
}

func (s *Server) getSeries(_ context.Context, in *seriesInput) (*body[SeriesDetail], error) {
	id, err := parseSeriesID(in.ID)
	if err != nil {
		return nil, err
	}
	info, err := s.findSeries(id)
	if err != nil {
		return nil, err
	}
	e, found := s.live.Explain(id)
	if !found {
		return nil, fmt.Errorf("series %d: %w: detection does not hold it", id, store.ErrNotFound)
	}
	e.fill()
	return ok(SeriesDetail{Series: toSeries(info), Explanation: e}), nil
}

func (s *Server) findSeries(id telemetry.SeriesID) (SeriesInfo, error) {
	list, _ := s.live.Series(SeriesMatch{ID: id, Limit: 1})
	if len(list) == 0 || list[0].Meta == nil {
		return SeriesInfo{}, fmt.Errorf("series %d: %w: detection does not hold it", id, store.ErrNotFound)
	}
	return list[0], nil
}

type seriesDataInput struct {
	Range
	ID     string `path:"id" maxLength:"20"`
	Points int    `query:"points" minimum:"10" maximum:"5000" default:"600" doc:"About how many points to send: twice the pixels is enough."`
}

// Curve is a line to draw: values by time, null where there is none.
type Curve struct {
	T []int64    `json:"t_unix_ms" nullable:"false"`
	V []*float64 `json:"v" nullable:"false"`
}

// BandCurve is an expected band to draw, in columns of equal length.
type BandCurve struct {
	T        []int64    `json:"t_unix_ms" nullable:"false"`
	Expected []*float64 `json:"expected" nullable:"false"`
	Low      []*float64 `json:"low" nullable:"false"`
	High     []*float64 `json:"high" nullable:"false"`
}

// SeriesData is what a chart of one series needs.
type SeriesData struct {
	Series    Series        `json:"series"`
	From      int64         `json:"from_unix_ms"`
	To        int64         `json:"to_unix_ms"`
	StepMS    int64         `json:"step_ms"`
	Values    Curve         `json:"values"`
	Band      BandCurve     `json:"band"`
	Anomalies []ops.Anomaly `json:"anomalies" nullable:"false"`
}

func (s *Server) getSeriesData(ctx context.Context, in *seriesDataInput) (*body[SeriesData], error) {
	id, err := parseSeriesID(in.ID)
	if err != nil {
		return nil, err
	}
	from, to, err := in.resolve(s.now(), time.Hour)
	if err != nil {
		return nil, err
	}
	info, err := s.findSeries(id)
	if err != nil {
		return nil, err
	}
	out := SeriesData{Series: toSeries(info), From: from, To: to, StepMS: niceStep(to-from, in.Points)}
	samples, err := s.readSamples(ctx, info.Meta, from, to)
	if err != nil {
		return nil, fmt.Errorf("read series %d: %w", id, err)
	}
	out.Values = toCurve(breakGaps(thin(samples, in.Points)))
	out.Band = toBand(s.live.Bands(id, alignUp(from, out.StepMS), to, out.StepMS))
	if out.Anomalies, err = s.anomaliesOf(ctx, id, from, to); err != nil {
		return nil, err
	}
	return ok(out), nil
}

// readSamples reads a raw series as stored and evaluates a derived one finely
// enough that thinning, not the step, decides what is seen.
func (s *Server) readSamples(ctx context.Context, m *telemetry.Series, from, to int64) ([]telemetry.Sample, error) {
	if !m.Derived {
		var ms []*labels.Matcher
		m.Labels.Range(func(l labels.Label) {
			ms = append(ms, labels.MustNewMatcher(labels.MatchEqual, l.Name, l.Value)) // equality cannot fail to compile
		})
		list, err := s.metrics.Select(ctx, from, to, ms...)
		if err != nil {
			return nil, fmt.Errorf("select: %w", err)
		}
		for _, sd := range list { // equality on all labels also matches series with more labels
			if labels.Equal(sd.Labels, m.Labels) {
				return sd.Samples, nil
			}
		}
		return nil, nil
	}
	step := fineStep(to - from)
	list, err := s.metrics.QueryRange(ctx, m.Expr, min(alignUp(from, step), to), to, step)
	if err != nil {
		return nil, fmt.Errorf("query: %w", err)
	}
	if len(list) == 0 {
		return nil, nil
	}
	return list[0].Samples, nil
}

func (s *Server) anomaliesOf(ctx context.Context, id telemetry.SeriesID, from, to int64) ([]ops.Anomaly, error) {
	list, err := s.state.Anomalies(ctx, from, to, anomalyCap)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("read anomalies: %w", err)
	}
	return nonNil(slices.DeleteFunc(list, func(a ops.Anomaly) bool { return a.SeriesID != id })), nil
}
