// Package ops holds the words for what Norn concludes: anomalies, incidents,
// causes with roles, evidence and timelines.
//
// It exists so that there is one road into incidents (an [Anomaly], measured,
// predicted or taken from another tool's alert) and one form of a verdict that
// storage, API, console and command line all show. It holds no logic beyond
// naming. All types are plain values and serialise to stable snake_case JSON;
// the OpenAPI document is generated from them.
package ops

import "github.com/norn-aiops/norn/internal/telemetry"

// AnomalyKind names the shape of a deviation.
type AnomalyKind string

// Kinds of anomaly.
const (
	AnomalySpike       AnomalyKind = "spike"
	AnomalyDip         AnomalyKind = "dip"
	AnomalyLevel       AnomalyKind = "level_shift"
	AnomalyShape       AnomalyKind = "shape" // novelty of the sequence
	AnomalySilence     AnomalyKind = "silence"
	AnomalyFlat        AnomalyKind = "flat_line"       // a series that always moved repeats one value
	AnomalyVariance    AnomalyKind = "variance_change" // the noise grew or shrank, and stayed so
	AnomalyTrend       AnomalyKind = "trend_change"    // it rises or falls day after day
	AnomalyNewTemplate AnomalyKind = "new_template"
	AnomalyLogRate     AnomalyKind = "log_rate"
	AnomalyRare        AnomalyKind = "rare_template"  // a message of failure that came seldom, long ago, and is back
	AnomalySeverity    AnomalyKind = "severity_shift" // the share of lines that warn or report errors
	AnomalySequence    AnomalyKind = "sequence"       // the order of log lines within requests
	AnomalyJoint       AnomalyKind = "joint"          // of all metrics of an entity together
	AnomalyAlert       AnomalyKind = "alert"          // another tool's alert
	AnomalySLOBurn     AnomalyKind = "slo_burn"       // a declared objective's error budget goes too fast
	AnomalyPredicted   AnomalyKind = "predicted"      // a limit will be reached before anybody can act
)

// Anomaly is a deviation of one series, template or entity over a span of
// time. The same ID is sent again when it grows, worsens or ends.
type Anomaly struct {
	ID        string              `json:"id"`
	SeriesID  telemetry.SeriesID  `json:"series_id,string"`
	Series    string              `json:"series"`         // display name, or the template's text
	Expr      string              `json:"expr,omitempty"` // PromQL or LogsQL that draws it
	Entity    telemetry.Entity    `json:"entity"`
	Peer      telemetry.Entity    `json:"peer"`     // callee, for series of an edge
	Instance  telemetry.Entity    `json:"instance"` // process or pod, when the series belongs to one
	Signal    telemetry.Signal    `json:"signal"`
	Unit      string              `json:"unit,omitempty"`
	Kind      AnomalyKind         `json:"kind"`
	Direction telemetry.Direction `json:"direction"` // which way it went: 1 up, -1 down
	Onset     int64               `json:"onset_unix_ms"`
	LastSeen  int64               `json:"last_seen_unix_ms"`
	Ended     int64               `json:"ended_unix_ms"` // 0 while it lasts
	Severity  float64             `json:"severity"`      // 0..1 by evidence
	P         float64             `json:"p_value"`       // against the series' own past
	Score     float64             `json:"score"`         // raw, of the member that spoke
	Member    string              `json:"member"`        // which detector spoke
	Observed  float64             `json:"observed"`
	Expected  float64             `json:"expected"`
	Low       float64             `json:"low"` // expected band
	High      float64             `json:"high"`
	Text      string              `json:"text,omitempty"`          // example line, alert summary
	Usual     string              `json:"usual,omitempty"`         // what is normal, beside Text
	Query     string              `json:"query,omitempty"`         // LogsQL that finds the lines
	Source    string              `json:"source"`                  // "norn" or the other tool
	Severe    string              `json:"severity_text,omitempty"` // the other tool's word
	Surprise  float64             `json:"surprise,omitempty"`      // 0 speaks all the time .. 1 never spoke before; 0 also before it was grouped
	Why       []Reason            `json:"why,omitempty"`           // in an incident: the grounds for its place there, strongest first
}

// Reason is one ground for an anomaly's place in an incident.
type Reason struct {
	Name   string  `json:"name"` // topology, time, surprise, founder, flapping, cause
	Text   string  `json:"text"`
	Weight float64 `json:"weight"` // 0..1
}

// Band is what a detector expects of a series at one moment.
type Band struct {
	T        int64   `json:"t_unix_ms"`
	Expected float64 `json:"expected"`
	Low      float64 `json:"low"`
	High     float64 `json:"high"`
}

// State is an incident's place in its life.
type State string

// States of an incident.
const (
	StateOpen         State = "open"
	StateAcknowledged State = "acknowledged"
	StateMitigating   State = "mitigating"
	StateResolved     State = "resolved"
	StateMuted        State = "muted"
)

// Role is what part an entity plays in an incident.
type Role string

// Roles.
const (
	RoleRoot         Role = "root"
	RoleIntermediate Role = "intermediate"
	RoleSymptom      Role = "symptom"
	RoleBystander    Role = "bystander"
)

// Verdict is the kind of answer that cause analysis gives.
type Verdict string

// Verdicts.
const (
	VerdictCause      Verdict = "cause"
	VerdictLocal      Verdict = "local"       // the target itself, nothing upstream
	VerdictUnknown    Verdict = "unknown"     // something is wrong, no cause stands out
	VerdictNoIncident Verdict = "no_incident" // explained by load, or too small
)

// Evidence is one fact that speaks for an entity's role.
type Evidence struct {
	Entity    telemetry.Entity `json:"entity"`
	Signal    telemetry.Signal `json:"signal"`
	Series    string           `json:"series"`
	Expr      string           `json:"expr,omitempty"`
	Unit      string           `json:"unit,omitempty"`
	Onset     int64            `json:"onset_unix_ms"`
	Observed  float64          `json:"observed"`
	Expected  float64          `json:"expected"`
	Low       float64          `json:"low"`
	High      float64          `json:"high"`
	Z         float64          `json:"z"`      // robust z-score in the bad direction
	Weight    float64          `json:"weight"` // 0..1 after the logistic
	AnomalyID string           `json:"anomaly_id,omitempty"`
	Text      string           `json:"text"` // one line of plain language
}

// Explained says which share of an entity's excess another entity carries.
type Explained struct {
	By    telemetry.Entity `json:"by"`
	Share float64          `json:"share"` // 0..1
}

// Cause is one entity's place in the verdict.
type Cause struct {
	Entity      telemetry.Entity   `json:"entity"`
	Role        Role               `json:"role"`
	Score       float64            `json:"score"`       // 0..1, not exclusive
	Probability float64            `json:"probability"` // 0..1
	Signal      telemetry.Signal   `json:"signal"`      // strongest kind of evidence
	Onset       int64              `json:"onset_unix_ms"`
	Sentence    string             `json:"sentence"`
	Unexplained float64            `json:"unexplained"` // share of its own excess that nothing below explains
	ExplainedBy []Explained        `json:"explained_by"`
	Path        []telemetry.Entity `json:"path"` // from the target to this entity
	Evidence    []Evidence         `json:"evidence"`
	Changes     []telemetry.Change `json:"changes"`
	Inferred    bool               `json:"inferred"` // unmonitored, deduced from its callers
}

// Judgement is what cause analysis says of one incident at one moment.
type Judgement struct {
	Verdict    Verdict `json:"verdict"`
	Title      string  `json:"title"`      // short: "orders: slow query on orders-db"
	Sentence   string  `json:"sentence"`   // plain language, one or two sentences
	Confidence float64 `json:"confidence"` // probability of the first cause
	Severity   float64 `json:"severity"`
	Impact     float64 `json:"impact"`
	ImpactText string  `json:"impact_text"`
	Causes     []Cause `json:"causes"` // best first, every role
	Links      []Link  `json:"links"`  // the part of the graph worth drawing
	Harm       Harm    `json:"harm"`   // what the objectives say
}

// Link is a directed dependency drawn in the incident's picture: From depends
// on To.
type Link struct {
	From telemetry.Entity `json:"from"`
	To   telemetry.Entity `json:"to"`
	Kind string           `json:"kind"` // calls, runs_on, part_of
}

// Suppressed is a candidate that the budget of false pages holds back: its
// evidence may well be chance. It opens when the evidence grows.
type Suppressed struct {
	ID        string             `json:"id"` // the incident would have it
	Title     string             `json:"title"`
	Sentence  string             `json:"sentence"`
	Why       string             `json:"why"`            // it is held back, in plain language
	Team      string             `json:"team"`           // whose it would be; "" when nobody's
	Scope     telemetry.Entity   `json:"scope"`          // service whose budget; zero is the team's or the fleet's
	ScopeTeam string             `json:"scope_team"`     // team whose budget; "" is the service's or the fleet's
	Onset     int64              `json:"onset_unix_ms"`  // of its evidence
	First     int64              `json:"first_unix_ms"`  // when it was first held back
	Last      int64              `json:"last_unix_ms"`   // when it was last held back
	Ended     int64              `json:"ended_unix_ms"`  // when it came to nothing; 0 while it may still open
	P         float64            `json:"p_value"`        // of its evidence, corrected for the series watched
	Level     float64            `json:"level"`          // the p-value that the budget allowed it
	Watched   int                `json:"series_watched"` // series that were watched meanwhile
	Severity  float64            `json:"severity"`       // 0..1
	Impact    float64            `json:"impact"`         // 0..1
	Anomalies int                `json:"anomalies"`      // that it is made of
	Entities  []telemetry.Entity `json:"entities"`       // strongest first
	Verdicts  []EntityVerdict    `json:"verdicts"`       // what all tests of each entity say together, least p first
}

// EntityVerdict is what all tests of one entity say together: of its single
// series, of all its metrics jointly, and of what is dear for its load.
type EntityVerdict struct {
	Entity telemetry.Entity `json:"entity"`
	P      float64          `json:"p_value"`        // of all its tests together
	Single float64          `json:"p_single"`       // of its single series, for their number; 1 when none spoke
	Joint  float64          `json:"p_joint"`        // of all its metrics together; 1 when they did not speak
	Load   float64          `json:"p_load"`         // given its load; 1 when it did not speak
	Series int              `json:"series_watched"` // of the entity
}

// Budget is the state of the budget of false pages.
type Budget struct {
	PagesPerWeek float64 `json:"false_pages_per_week"` // expected at most; 0: no budget
	PerService   bool    `json:"per_service"`          // each service has its own; then the fields below but the last are 0
	Spent        float64 `json:"spent"`                // of the last week's, in expected false pages
	Pages        float64 `json:"pages"`                // opened by the budget in the last week, decayed
	Level        float64 `json:"level"`                // p-value that the next candidate may have
	Suppressed   int     `json:"suppressed"`           // candidates held back since start

	Teams []TeamBudget `json:"teams" nullable:"false"` // with a budget of their own
}

// TeamBudget is the state of one team's budget of false pages.
type TeamBudget struct {
	Team         string  `json:"team"`
	PagesPerWeek float64 `json:"false_pages_per_week"` // 0: the team bears none
	Spent        float64 `json:"spent"`                // of the last week's, in expected false pages
	Pages        float64 `json:"pages"`                // opened by the budget in the last week, decayed
	Level        float64 `json:"level"`                // p-value that the next candidate may have
}

// Event is one line of an incident's timeline.
type Event struct {
	Time   int64            `json:"time_unix_ms"`
	Kind   string           `json:"kind"` // opened, anomaly, alert, change, cause, merged, acknowledged, resolved, comment
	Entity telemetry.Entity `json:"entity"`
	Text   string           `json:"text"`
}

// Mark is an operator's verdict on an incident, which later changes of
// detection are tried on.
type Mark string

// Marks.
const (
	MarkReal  Mark = "real"  // somebody had to know
	MarkNoise Mark = "noise" // nobody had to
)

// Incident is anomalies and alerts that share a cause.
type Incident struct {
	ID         string             `json:"id"`
	State      State              `json:"state"`
	Title      string             `json:"title"` // the cause sentence, short
	Sentence   string             `json:"sentence"`
	Verdict    Verdict            `json:"verdict"`
	Severity   float64            `json:"severity"` // 0..1
	Level      Level              `json:"severity_level" enum:"critical,major,minor,info"`
	Grounds    string             `json:"severity_text"` // why it has this level
	Team       string             `json:"team"`          // whose it is; "" when nobody's
	Harm       Harm               `json:"harm"`          // what the objectives say
	Impact     float64            `json:"impact"`        // 0..1: share of the estate's requests that suffer
	ImpactText string             `json:"impact_text"`
	Confidence float64            `json:"confidence"` // probability of the first cause
	Onset      int64              `json:"onset_unix_ms"`
	Opened     int64              `json:"opened_unix_ms"`
	Updated    int64              `json:"updated_unix_ms"`
	Resolved   int64              `json:"resolved_unix_ms"` // 0 while open
	MergedInto string             `json:"merged_into,omitempty"`
	Apart      []string           `json:"apart,omitempty"` // incidents that an operator split it from
	Causes     []Cause            `json:"causes"`          // best first, every role
	Entities   []telemetry.Entity `json:"entities"`
	Links      []Link             `json:"links"`
	Anomalies  []Anomaly          `json:"anomalies"`
	Changes    []telemetry.Change `json:"changes"`
	Timeline   []Event            `json:"timeline"`
	Alerts     int                `json:"alerts"` // raw alerts and anomalies folded in
	Mark       Mark               `json:"mark,omitempty" enum:"real,noise"`
}
