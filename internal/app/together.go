package app

import (
	"strconv"

	"github.com/norn-aiops/norn/internal/api"
	"github.com/norn-aiops/norn/internal/detect/driver"
	"github.com/norn-aiops/norn/internal/detect/joint"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// driverOf says which load explains a series.
func driverOf(d *driver.Driver) *api.Driver {
	out := &api.Driver{Name: d.Name, Entity: d.Entity, Skill: d.Skill, Load: d.Load, Usual: d.Usual, LoadUnit: d.LoadUnit,
		Expected: d.Expected, Low: d.Low, High: d.High, Sentence: d.Sentence}
	if d.Series != nil {
		out.SeriesID = strconv.FormatUint(uint64(d.Series.ID), 10)
	}
	return out
}

// togetherOf says how an entity's metrics are judged together.
func (l *live) togetherOf(j *joint.Explanation) *api.Together {
	c := &j.Choice
	out := &api.Together{
		Phase: j.Phase, Rows: j.Rows, Metrics: j.Columns, Judged: j.Judged, Constant: j.Constant, Young: j.Young,
		Adopting: j.Adopting, Sentence: j.Sentence,
		Contest: api.Contest{Leads: c.Member, Held: c.Contests, Won: c.Won, InARow: c.Row, Linear: c.Linear, Neural: c.Neural,
			T: c.T, HeldBack: c.HeldBack, Episodes: c.Episodes, At: c.At, Training: j.Training},
	}
	for _, m := range j.Members {
		out.Members = append(out.Members, api.TogetherMember(m))
	}
	for _, b := range j.Blame {
		x := api.TogetherBlame{SeriesID: b.Name, Name: b.Name, Share: b.Share, Observed: b.Observed, Expected: b.Expected}
		if id, err := strconv.ParseUint(b.Name, 10, 64); err == nil {
			if s, found := l.pipe.Engine().Series(telemetry.SeriesID(id)); found {
				x.Name, x.Labels, x.Unit = s.Name, s.Labels.Map(), s.Unit
			}
		}
		out.Blame = append(out.Blame, x)
	}
	return out
}
