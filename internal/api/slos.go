package api

import (
	"context"
	"fmt"
	"slices"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

type slosInput struct {
	Entity   string `query:"entity" doc:"kind/name"`
	Inferred bool   `query:"inferred" default:"true" doc:"Whether to list objectives that were inferred as well."`
}

// SLOList is the service level objectives, declared ones first, then by how
// little of the error budget is left.
type SLOList struct {
	SLOs []ops.SLO `json:"slos" nullable:"false"`
}

func (s *Server) listSLOs(_ context.Context, in *slosInput) (*body[SLOList], error) {
	list, e := s.live.SLOs(), telemetry.ParseEntity(in.Entity)
	list = slices.DeleteFunc(list, func(x ops.SLO) bool {
		return x.Inferred && !in.Inferred || !e.IsZero() && x.Entity != e
	})
	return ok(SLOList{SLOs: nonNil(list)}), nil
}

// sloOf says how the entity's objective is kept that is worst off, "" when it
// has none.
func sloOf(list []ops.SLO, e telemetry.Entity) string {
	for i := range list {
		if x := &list[i]; x.Entity == e && x.SLI != nil {
			return fmt.Sprintf("SLO %.4g %%: %.4g %% kept, %.0f %% of budget left", 100*x.Objective, 100**x.SLI, 100*x.Left)
		}
	}
	return ""
}
