// Package simulate answers "what if": what breaks first, and at what load,
// when traffic grows, an endpoint is flooded, machines are lost or a
// dependency gets slow.
//
// It exists because the past holds the answer long before the day comes: each
// service's capacity is read off how its utilisation and its own time moved
// with its load, and load is carried along the learned calls. It does not
// guess: a service whose past holds no spread of load, or no sign of a limit,
// is listed as unknown with the load that it is known to bear. It reads no
// store and knows no clock; chance is seeded. All functions are safe for
// concurrent use, as they share nothing. The main types are [Estate],
// [Question] and [Answer].
//
// Sources: L. Kleinrock, Queueing Systems (M/M/c, M/G/1 with processor
// sharing); N. Gunther, Guerrilla Capacity Planning (universal scalability
// law); P. Denning and J. Buzen, The Operational Analysis of Queueing Network
// Models (utilisation law, Little's law); H. Künsch, block bootstrap (1989).
package simulate

import "github.com/norn-aiops/norn/internal/telemetry"

// Service is one thing that serves requests, and its past on the estate's
// grid: columns of equal length, oldest first, NaN where nothing is known.
type Service struct {
	Entity      telemetry.Entity
	Load        []float64 // requests a second
	Latency     []float64 // mean seconds of own work, its calls left out where that is measured
	Whole       []float64 // mean seconds of a request, its calls included; nil when not measured
	Utilisation []float64 // of its scarcest measured resource, 0..1; may be nil
	Instances   int       // at least 1
	Operations  []Operation
}

// Operation is one endpoint of a service.
type Operation struct {
	Name string
	Load []float64 // requests a second on the grid
}

// Call is what one service asks of another.
type Call struct {
	From, To telemetry.Entity
	Rate     []float64 // calls a second on the grid
}

// Place says that one thing is part of, or runs on, another.
type Place struct{ What, On telemetry.Entity }

// Estate is all that an answer is worked out from.
type Estate struct {
	Services []Service
	Calls    []Call
	Places   []Place  // instance on host, host in zone
	Parts    []Place  // instance (What) of a service (On)
	Outlook  *Outlook // nil: no forecast
}

// Outlook is a forecast of the estate's load as a multiple of its present
// one, by time.
type Outlook struct {
	Times         []int64 // Unix ms, ascending
	P10, P50, P90 []float64
}

// Kind is what happens.
type Kind string

// Kinds of question.
const (
	Surge Kind = "surge" // traffic times Factor: all of it, or of one entity or operation
	Flood Kind = "ddos"  // Extra requests a second at one entity or operation
	Loss  Kind = "loss"  // an instance, host or zone goes
	Slow  Kind = "slow"  // a dependency takes By seconds longer
	Users Kind = "users" // Factor times as many users: all traffic
)

// Question says what happens.
type Question struct {
	Kind      Kind
	Entity    telemetry.Entity // zero: all of it
	Operation string           // "": all of the entity's
	Factor    float64          // of surge and users
	Extra     float64          // requests a second, of ddos
	By        float64          // seconds, of slow
	Limit     float64          // own time that counts as broken, as a multiple of the usual; 0 means 3
	Seed      uint64
	Draws     int // of the bootstrap; 0 means 200
}

// Range is a quantity with its uncertainty.
type Range struct {
	P10 float64 `json:"p10"`
	P50 float64 `json:"p50"`
	P90 float64 `json:"p90"`
}

// Curve is what the past says of one service's capacity.
type Curve struct {
	Entity    telemetry.Entity `json:"entity"`
	Known     bool             `json:"known"`
	Refusal   string           `json:"refusal,omitempty"`                                                       // why it is not known
	Model     string           `json:"model" enum:",utilisation,queue,utilisation+queue,universal scalability"` // what gave the breaking load
	Points    int              `json:"points"`                                                                  // of the past
	Load      float64          `json:"load_per_second"`                                                         // usual peak: 95th percentile
	Most      float64          `json:"most_seen_per_second"`                                                    // 99th percentile: borne so far
	Breaks    Range            `json:"breaking_load_per_second"`                                                // own time or utilisation passes the limit; 0 when not known
	Servers   int              `json:"servers"`                                                                 // parallel servers that fit best; 0 when not told
	Base      float64          `json:"base_seconds"`                                                            // own time at little load
	Usual     float64          `json:"usual_seconds"`                                                           // median own time
	Rho       float64          `json:"utilisation"`                                                             // at the usual peak, share of the saturating load
	Instances int              `json:"instances"`

	draws []float64
}

// Effect is what becomes of one service.
type Effect struct {
	Entity       telemetry.Entity `json:"entity"`
	Load         float64          `json:"load_per_second"`      // usual peak
	LoadThen     float64          `json:"load_then_per_second"` // after what is asked
	Curve        Curve            `json:"curve"`
	BreakingLoad Range            `json:"breaking_load_per_second"` // its own, what is lost taken off
	BreakingAt   Range            `json:"breaking_at"`              // in the question's unit: factor, requests a second more, seconds; 0 when not known
	Probability  float64          `json:"probability"`              // that it breaks under what is asked
	Gone         bool             `json:"gone"`                     // nothing of it is left
	Latency      float64          `json:"latency_then_seconds"`     // own time then; of slow: whole; 0 when not known
	Waiting      float64          `json:"in_flight_then"`           // requests under way then (Little's law); 0 when not known
	Add          int              `json:"add_instances"`            // that would bear it, at the 10th percentile of capacity
	Text         string           `json:"text"`
}

// When says when the forecast load breaks something even so.
type When struct {
	Early *int64 `json:"early_unix_ms"` // null: not within the forecast
	Usual *int64 `json:"expected_unix_ms"`
	Late  *int64 `json:"late_unix_ms"`
}

// Answer is what happens.
type Answer struct {
	Kind     Kind             `json:"kind" enum:"surge,ddos,loss,slow,users"`
	Entity   telemetry.Entity `json:"entity"`
	Asked    float64          `json:"asked"`
	Unit     string           `json:"unit"` // factor, requests a second, seconds
	Sentence string           `json:"sentence"`
	Breaks   bool             `json:"breaks"`          // something does, more likely than not
	First    *Effect          `json:"first,omitempty"` // the first to break, whether what is asked reaches it or not; absent: nothing is known
	When     *When            `json:"when,omitempty"`  // absent without a forecast
	Effects  []Effect         `json:"effects" nullable:"false"`
	Unknown  []Effect         `json:"unknown" nullable:"false"` // touched, but the past does not tell their limits
}
