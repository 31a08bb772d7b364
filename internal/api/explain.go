package api

import "github.com/norn-aiops/norn/internal/telemetry"

// Together says how the metrics of a series' entity are judged together.
type Together struct {
	Phase    string           `json:"phase" enum:"learning,ready"`
	Rows     int64            `json:"rows" doc:"Seen so far."`
	Metrics  int              `json:"metrics"`
	Judged   int              `json:"judged" doc:"Metrics that take part."`
	Constant []string         `json:"constant" nullable:"false" doc:"Metrics that never move."`
	Young    []string         `json:"young" nullable:"false" doc:"Metrics that were seen too short to take part."`
	Members  []TogetherMember `json:"members" nullable:"false"`
	Blame    []TogetherBlame  `json:"blame" nullable:"false" doc:"Metrics that deviate most now, the most first; there whether or not it is an anomaly."`
	Contest  Contest          `json:"contest"`
	Adopting bool             `json:"adopting" doc:"Strangeness has lasted so long that it is being learned as normal."`
	Sentence string           `json:"sentence"`
}

// TogetherMember is what one member says of the last row.
type TogetherMember struct {
	Name     string  `json:"name"`
	Surprise float64 `json:"surprise" doc:"-log10 of how rare its score is."`
	Ready    bool    `json:"ready"`
	Leads    bool    `json:"leads" doc:"Carries the joint score."`
}

// TogetherBlame is one metric's part in what is strange now.
type TogetherBlame struct {
	SeriesID string            `json:"series_id"`
	Name     string            `json:"name"`
	Labels   map[string]string `json:"labels"`
	Unit     string            `json:"unit"`
	Share    float64           `json:"share" doc:"Of all metrics' parts, which add up to 1."`
	Observed float64           `json:"observed"`
	Expected float64           `json:"expected"`
}

// Contest is the record of the neural network against the linear member, on
// rows of this entity that neither had seen.
type Contest struct {
	Leads    string  `json:"leads" doc:"Member that leads the score."`
	Held     int     `json:"held" doc:"Contests so far."`
	Won      int     `json:"won" doc:"By the network."`
	InARow   int     `json:"in_a_row" doc:"The last ones, won in a row."`
	Linear   float64 `json:"linear" doc:"Mean surprise at disturbances in the last contest."`
	Neural   float64 `json:"neural"`
	T        float64 `json:"t" doc:"Paired t of the difference."`
	HeldBack int     `json:"held_back_rows"`
	Episodes int     `json:"disturbances"`
	At       int64   `json:"at_unix_ms" doc:"Of the last contest; 0 before the first."`
	Training bool    `json:"training" doc:"A network learns, or waits for its contest."`
}

// Driver is the series that explains another's level: its load.
type Driver struct {
	SeriesID string           `json:"series_id"`
	Name     string           `json:"name"`
	Entity   telemetry.Entity `json:"entity"`
	Skill    float64          `json:"skill" doc:"Share of the variation that it explains."`
	Load     float64          `json:"load" doc:"The driver now."`
	Usual    float64          `json:"usual" doc:"Its mean."`
	LoadUnit string           `json:"load_unit"`
	Expected float64          `json:"expected" doc:"The series at this load."`
	Low      float64          `json:"low"`
	High     float64          `json:"high"`
	Sentence string           `json:"sentence"`
}

func (e *Explanation) fill() {
	e.Members, e.Facts, e.Rules = nonNil(e.Members), nonNil(e.Facts), nonNil(e.Rules)
	if t := e.Together; t != nil {
		t.Constant, t.Young, t.Members, t.Blame = nonNil(t.Constant), nonNil(t.Young), nonNil(t.Members), nonNil(t.Blame)
	}
}
