package api

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/norn-aiops/norn/internal/ops"
)

type mergeInput struct {
	ID   string `path:"id" maxLength:"200"`
	Body struct {
		Who  string `json:"who,omitempty" maxLength:"200" doc:"The person; 'console' when empty."`
		Into string `json:"into" maxLength:"200" doc:"The incident that goes on."`
	}
}

// Rearranged is what became of incidents that an operator merged or split.
type Rearranged struct {
	Incidents []ops.Incident `json:"incidents" nullable:"false" doc:"Merged: the one that ended, the one that goes on. Split: the old one, the new one."`
}

func (s *Server) mergeIncident(ctx context.Context, in *mergeInput) (*body[Rearranged], error) {
	list, err := s.live.Merge(ctx, in.ID, in.Body.Into, cmp.Or(strings.TrimSpace(in.Body.Who), "console"))
	if err != nil {
		return nil, fmt.Errorf("merge incident %q: %w", in.ID, err)
	}
	return ok(Rearranged{Incidents: nonNil(list)}), nil
}

type splitInput struct {
	ID   string `path:"id" maxLength:"200"`
	Body struct {
		Who       string   `json:"who,omitempty" maxLength:"200" doc:"The person; 'console' when empty."`
		Anomalies []string `json:"anomalies" minItems:"1" maxItems:"1000" doc:"IDs of the anomalies that go into the new incident; neither none nor all."`
	}
}

func (s *Server) splitIncident(ctx context.Context, in *splitInput) (*body[Rearranged], error) {
	list, err := s.live.Split(ctx, in.ID, in.Body.Anomalies, cmp.Or(strings.TrimSpace(in.Body.Who), "console"))
	if err != nil {
		return nil, fmt.Errorf("split incident %q: %w", in.ID, err)
	}
	return ok(Rearranged{Incidents: nonNil(list)}), nil
}
