package api

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/norn-aiops/norn/internal/stats"
	"github.com/norn-aiops/norn/internal/store"
	"github.com/norn-aiops/norn/internal/telemetry"
)

type patternsInput struct {
	Range
	AgainstFrom string `query:"against_from" doc:"Start of the range to compare with. Default: as long as the range, right before it."`
	AgainstTo   string `query:"against_to" doc:"End of the range to compare with."`
	Entity      string `query:"entity" doc:"kind/name; empty is all."`
	Sort        string `query:"sort" enum:"change,count" default:"change" doc:"change: the surest changes first."`
	Limit       int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}

// Pattern is one log template with how often it came.
type Pattern struct {
	ID         string           `json:"id" doc:"Decimal."`
	Entity     telemetry.Entity `json:"entity"`
	Text       string           `json:"text" doc:"<*> stands for what varies."`
	Example    string           `json:"example"`
	Severity   string           `json:"severity"`
	Query      string           `json:"query" doc:"LogsQL that finds its lines."`
	Count      uint64           `json:"count" doc:"In the range."`
	Before     uint64           `json:"before" doc:"In the range that it is compared with."`
	Rate       float64          `json:"rate" doc:"Lines a second in the range."`
	BeforeRate float64          `json:"before_rate"`
	Change     *float64         `json:"change" doc:"rate / before_rate; null when there were none before."`
	P          float64          `json:"p_value" doc:"That both ranges have one rate: binomial test, with the variance of the counts themselves where that is more than Poisson's."`
	Q          float64          `json:"q_value" doc:"The same for all patterns together (Benjamini and Hochberg)."`
	Changed    bool             `json:"changed" doc:"q_value is at most 0.01."`
	FirstSeen  int64            `json:"first_seen_unix_ms"`
	LastSeen   int64            `json:"last_seen_unix_ms"`
	New        bool             `json:"new" doc:"First seen within the range."`

	Parameters []TemplateParam   `json:"parameters" nullable:"false" doc:"The places of the text that vary, in order."`
	Versions   []TemplateVersion `json:"versions" nullable:"false" doc:"The texts that the pattern had, oldest first."`
}

// PatternList is the patterns of a range, the surest changes first.
type PatternList struct {
	Patterns    []Pattern `json:"patterns" nullable:"false"`
	Total       int       `json:"total"`
	Changed     int       `json:"changed" doc:"How many changed for certain."`
	From        int64     `json:"from_unix_ms"`
	To          int64     `json:"to_unix_ms"`
	AgainstFrom int64     `json:"against_from_unix_ms"`
	AgainstTo   int64     `json:"against_to_unix_ms"`
}

// span is a range of time in Unix ms, both ends included.
type span struct{ from, to int64 }

func (r span) seconds() float64 { return float64(r.to-r.from+1) / 1000 }

// resolveAgainst gives the range to compare with. fallback is its length when
// nothing is said.
func resolveAgainst(fromText, toText string, now time.Time, r span, fallback int64) (span, error) {
	a := span{r.from - fallback, r.from - 1}
	var err error
	if toText != "" {
		if a.to, err = ParseTime("against_to", toText, now); err != nil {
			return a, err
		}
		a.from = a.to - fallback
	}
	if fromText != "" {
		if a.from, err = ParseTime("against_from", fromText, now); err != nil {
			return a, err
		}
	}
	a.from, a.to = max(a.from, 1), max(a.to, 1)
	if a.from > a.to {
		return a, fmt.Errorf("%w: against_from (%d) is after against_to (%d)", errBadRequest, a.from, a.to)
	}
	return a, nil
}

func (s *Server) logPatterns(ctx context.Context, in *patternsInput) (*body[PatternList], error) {
	from, to, err := in.resolve(s.now(), time.Hour)
	if err != nil {
		return nil, err
	}
	r := span{from, to}
	against, err := resolveAgainst(in.AgainstFrom, in.AgainstTo, s.now(), r, to-from+1)
	if err != nil {
		return nil, err
	}
	ctx, done := limitTime(ctx)
	defer done()
	list, err := s.comparePatterns(ctx, telemetry.ParseEntity(in.Entity), r, against)
	if err != nil {
		return nil, tooSlow(ctx, err)
	}
	if in.Sort == "count" {
		slices.SortStableFunc(list, func(a, b Pattern) int { return cmp.Compare(b.Count, a.Count) })
	}
	out := PatternList{Total: len(list), From: from, To: to, AgainstFrom: against.from, AgainstTo: against.to}
	for i := range list {
		if list[i].Changed {
			out.Changed++
		}
	}
	out.Patterns = list[:min(len(list), in.Limit)]
	return ok(out), nil
}

// sureQ is the q-value up to which a change is called one.
const sureQ = .01

// comparePatterns gives all patterns of an entity (zero: of all) that came in
// either range, the surest changes first.
func (s *Server) comparePatterns(ctx context.Context, e telemetry.Entity, r, against span) ([]Pattern, error) {
	alias := s.live.TemplateAliases()
	now, err := s.countTemplates(ctx, e, r, alias)
	if err != nil {
		return nil, err
	}
	before, err := s.countTemplates(ctx, e, against, alias)
	if err != nil {
		return nil, err
	}
	merged := map[uint64][]uint64{}
	for old, id := range alias {
		merged[id] = append(merged[id], old)
	}
	list, ps := []Pattern{}, []float64{}
	for _, t := range s.live.Templates(e) {
		a, b := now[t.ID], before[t.ID]
		na, nb := sum(a), sum(b)
		if na == 0 && nb == 0 {
			continue
		}
		id := strconv.FormatUint(t.ID, 10)
		p := Pattern{ID: id, Entity: t.Entity, Text: t.Text, Example: t.Example, Severity: t.Severity.String(), Query: templateQuery(t.ID, merged[t.ID]),
			Count: uint64(na), Before: uint64(nb), Rate: na / r.seconds(), BeforeRate: nb / against.seconds(),
			FirstSeen: t.FirstSeen, LastSeen: t.LastSeen, New: t.FirstSeen >= r.from && t.FirstSeen <= r.to,
			Parameters: append([]TemplateParam{}, t.Params...), Versions: append([]TemplateVersion{}, t.Versions...)}
		if nb > 0 {
			c := p.Rate / p.BeforeRate
			p.Change = &c
		}
		// The time before says how uneven the pattern is; within the range a
		// burst is what is looked for.
		p.P = stats.RateChange(na, r.seconds(), nb, against.seconds(), stats.Dispersion(b))
		list, ps = append(list, p), append(ps, p.P)
	}
	for i, q := range stats.BenjaminiHochberg(ps) {
		list[i].Q, list[i].Changed = q, q <= sureQ
	}
	slices.SortStableFunc(list, func(a, b Pattern) int {
		return cmp.Or(cmp.Compare(a.P, b.P), cmp.Compare(surprise(b), surprise(a)), cmp.Compare(b.Count, a.Count), strings.Compare(a.ID, b.ID))
	})
	return list, nil
}

// templateQuery finds the lines of a template, also those that were stored
// under the id of one that was merged into it.
func templateQuery(id uint64, merged []uint64) string {
	if len(merged) == 0 {
		return fmt.Sprintf(`template:="%d"`, id)
	}
	slices.Sort(merged)
	var b strings.Builder
	fmt.Fprintf(&b, "template:in(%d", id)
	for _, x := range merged[:min(len(merged), 50)] {
		fmt.Fprintf(&b, ", %d", x)
	}
	b.WriteString(")")
	return b.String()
}

func sum(xs []float64) (n float64) {
	for _, x := range xs {
		n += x
	}
	return n
}

// surprise is how far the two rates are apart, in units of their own noise.
func surprise(p Pattern) float64 {
	a, b := p.Rate, p.BeforeRate
	return math.Abs(a-b) / math.Sqrt(a+b+1e-9)
}

// patternParts is into how many parts a range is cut to see how uneven a
// pattern comes.
const patternParts = 20

// countTemplates counts the lines of a range by template, in parts of equal
// length.
func (s *Server) countTemplates(ctx context.Context, e telemetry.Entity, r span, alias map[uint64]uint64) (map[uint64][]float64, error) {
	query := "template:*"
	if !e.IsZero() {
		query += " service:=" + strconv.Quote(e.Name)
	}
	// Columns of equal length from the start on; the last may be short, which
	// counts for nothing when the range is a multiple, and for little else.
	step := max((r.to-r.from+patternParts)/patternParts, 1)
	query += fmt.Sprintf(" | stats by (_time:%dms offset %dms, template) count() n", step, r.from%step)
	out := map[uint64][]float64{}
	err := s.logs.SearchLogs(ctx, store.LogQuery{Query: query, From: max(1, r.from) * 1e6, To: r.to*1e6 + 999_999}, func(row store.Row) bool {
		n, err1 := strconv.ParseUint(row["n"], 10, 64)
		id, err2 := strconv.ParseUint(row["template"], 10, 64)
		t, err3 := time.Parse(time.RFC3339Nano, row["_time"])
		if err1 != nil || err2 != nil || err3 != nil {
			return true
		}
		if to, ok := alias[id]; ok {
			id = to
		}
		if out[id] == nil {
			out[id] = make([]float64, patternParts)
		}
		k := min(max((t.UnixMilli()-r.from)/step, 0), patternParts-1)
		out[id][k] += float64(n)
		return true
	})
	if err != nil {
		return nil, fmt.Errorf("count log patterns: %w", err)
	}
	return out, nil
}
