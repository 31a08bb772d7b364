package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/norn-aiops/norn/internal/report"
	"github.com/norn-aiops/norn/internal/store"
)

type reportInput struct {
	Range
	By string `query:"by" enum:"service,team,kind,cause" default:"cause" doc:"What incidents are grouped by."`
}

const (
	reportSpan = 90 * 24 * time.Hour
	// reportCap bounds the incidents of one report; the oldest are left out,
	// which is noted.
	reportCap = 50_000
	// repeatSpan is how long before the report an incident still makes a later
	// one a repeat.
	repeatSpan = 30 * 24 * time.Hour
)

func (s *Server) makeReport(ctx context.Context, in *reportInput) (*report.Report, error) {
	from, to, err := in.resolve(s.now(), reportSpan)
	if err != nil {
		return nil, err
	}
	list, err := s.state.Incidents(ctx, store.IncidentFilter{From: max(1, from-repeatSpan.Milliseconds()), To: to, Limit: reportCap})
	if err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	r, err := report.Make(list, report.Options{From: from, To: to, By: in.By, Seed: 1})
	if errors.Is(err, report.ErrOptions) {
		return nil, fmt.Errorf("%w: %w", errBadRequest, err)
	}
	if err != nil {
		return nil, err
	}
	if len(list) == reportCap {
		r.Notes = append(r.Notes, fmt.Sprintf("only the newest %d incidents were read", reportCap))
	}
	return &r, nil
}

func (s *Server) getReport(ctx context.Context, in *reportInput) (*body[report.Report], error) {
	r, err := s.makeReport(ctx, in)
	if err != nil {
		return nil, err
	}
	return ok(*r), nil
}

// page is a response that is no JSON.
type page struct {
	ContentType string `header:"Content-Type"`
	Body        []byte
}

func (s *Server) getReportPage(ctx context.Context, in *reportInput) (*page, error) {
	r, err := s.makeReport(ctx, in)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := report.HTML(&b, r); err != nil {
		return nil, err
	}
	return &page{ContentType: "text/html; charset=utf-8", Body: b.Bytes()}, nil
}
