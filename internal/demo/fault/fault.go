// Package fault is the language in which faults of the demo's shop are
// written: what breaks, how, how much, in which shape over time.
//
// It exists so that a fault that nobody prepared can be composed from YAML, by
// file or over HTTP, and means the same as a prepared one. It checks and
// evaluates; it breaks nothing itself (package shop does, inside the
// processes). It is pure: time is an argument. Values are plain data and safe
// to share once parsed. The main type is [Spec].
package fault

import (
	"fmt"
	"time"

	"github.com/norn-aiops/norn/internal/demo/plan"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// Kind says how a thing breaks.
type Kind string

// The kinds of fault.
const (
	Latency      Kind = "latency"        // a service waits (or, on an edge, the caller); magnitude in seconds
	Error        Kind = "error"          // a service answers 500 and logs why (on an edge, calls fail); magnitude is the share of requests
	CPU          Kind = "cpu"            // an instance burns processor time; magnitude is the share of one core
	MemoryLeak   Kind = "memory_leak"    // an instance keeps memory; magnitude in MiB
	Kill         Kind = "kill"           // an instance is killed and started again at the end
	Stall        Kind = "consumer_stall" // a worker stops consuming
	QueueFull    Kind = "queue_full"     // junk fills the queue; magnitude is the share of its places
	CacheBad     Kind = "cache_bad"      // the cache loses entries; magnitude is the share of reads that miss
	SlowQuery    Kind = "slow_query"     // a database's statements scan far too much; magnitude in seconds, roughly
	Surge        Kind = "surge"          // more visitors: not a fault; magnitude is the factor
	NetworkDelay Kind = "network_delay"  // packets to a service or along an edge take longer; magnitude in seconds
	LogNoise     Kind = "log_noise"      // an instance logs nonsense; magnitude in lines a second
	Deploy       Kind = "deploy"         // only a new version, nothing breaks
)

// Onset is the shape in which a fault comes.
type Onset string

// The shapes of onset.
const (
	Step  Onset = "step"  // full strength at once
	Ramp  Onset = "ramp"  // grows evenly, full at two thirds of the duration
	Spike Onset = "spike" // full strength at once, gone after a quarter of the duration, a tenth stays
)

// Fault is one thing that breaks.
type Fault struct {
	// Target is a service ("service/cart" or "cart"), an instance
	// ("instance/cart-2" or "cart-2"), a database, cache or queue, or an edge
	// ("orders->orders-db").
	Target    string    `yaml:"target" json:"target"`
	Kind      Kind      `yaml:"kind" json:"kind"`
	Magnitude Magnitude `yaml:"magnitude,omitempty" json:"magnitude,omitempty"`
	Onset     Onset     `yaml:"onset,omitempty" json:"onset,omitempty"`       // step unless given
	Duration  Duration  `yaml:"duration,omitempty" json:"duration,omitempty"` // 2m30s unless given
	After     Duration  `yaml:"after,omitempty" json:"after,omitempty"`       // wait before it begins
	Share     float64   `yaml:"share,omitempty" json:"share,omitempty"`       // share of requests affected, 1 unless given
	Deploy    string    `yaml:"deploy,omitempty" json:"deploy,omitempty"`     // version that is rolled out as the fault begins

	target Target
}

// Spec is a fault with its name: one or several [Fault] at once.
type Spec struct {
	Name        string   `yaml:"name" json:"name"`
	Description string   `yaml:"description,omitempty" json:"description,omitempty"`
	NotAFault   bool     `yaml:"not_a_fault,omitempty" json:"not_a_fault,omitempty"` // Norn should stay silent
	Truth       []string `yaml:"truth,omitempty" json:"truth,omitempty"`             // root entities, "service/cart"; deduced unless given
	Faults      []Fault  `yaml:"faults" json:"faults"`
}

// TargetKind says what a target names.
type TargetKind string

// The kinds of target.
const (
	OnService  TargetKind = "service"
	OnInstance TargetKind = "instance"
	OnEdge     TargetKind = "edge"
	OnUsers    TargetKind = "users"
)

// Target is a fault's target, resolved against the shop.
type Target struct {
	Kind     TargetKind
	Service  string // whose processes are affected; the caller, for an edge
	Instance string // only this one, "" for all
	Peer     string // callee of an edge
}

// Resolved returns the target as resolved by [Parse].
func (f *Fault) Resolved() Target { return f.target }

// Effect is what a process is told to do to itself.
type Effect struct {
	Kind  Kind    `json:"kind"`
	Level float64 `json:"level"`          // current strength, in the kind's unit
	Share float64 `json:"share"`          // of requests
	Peer  string  `json:"peer,omitempty"` // only on the way to this service, database, cache or queue
}

// Length is how long the whole spec lasts.
func (s *Spec) Length() time.Duration {
	var d time.Duration
	for i := range s.Faults {
		d = max(d, time.Duration(s.Faults[i].After+s.Faults[i].Duration))
	}
	return d
}

// Level gives the fault's strength when the spec has run for t: 0 before it
// begins and after it ends.
func (f *Fault) Level(t time.Duration) float64 {
	t -= time.Duration(f.After)
	d := time.Duration(f.Duration)
	if t < 0 || t >= d {
		return 0
	}
	full := float64(f.Magnitude)
	switch f.Onset {
	case Ramp:
		return full * min(1, float64(t)/(float64(d)*2/3))
	case Spike:
		if t >= d/4 {
			return full / 10
		}
	}
	return full
}

// On reports whether the fault is under way when the spec has run for t.
func (f *Fault) On(t time.Duration) bool {
	t -= time.Duration(f.After)
	return t >= 0 && t < time.Duration(f.Duration)
}

// Touches reports whether the fault's effect must be told to the given
// instance of a service, and as which effect. Kill, surge and deploy are done
// by the shop's supervisor and touch nobody.
func (f *Fault) Touches(service, instance string, t time.Duration) (Effect, bool) {
	if !f.On(t) {
		return Effect{}, false
	}
	tg := f.target
	e := Effect{Kind: f.Kind, Level: f.Level(t), Share: f.Share, Peer: tg.Peer}
	switch f.Kind {
	case Kill, Surge, Deploy:
		return Effect{}, false
	case NetworkDelay:
		// The delay is in the way to the target: its callers feel it.
		if tg.Kind == OnService {
			e.Peer = tg.Service
			return e, service != tg.Service
		}
	case SlowQuery:
		// However it is named, it is the database that works too much.
		if tg.Kind == OnEdge {
			e.Peer = ""
			return e, tg.Peer == service
		}
	}
	return e, tg.Service == service && (tg.Instance == "" || tg.Instance == instance)
}

// Truths gives the entities that a right answer names, the first being the
// main one. An empty answer means that there is nothing to find.
func (s *Spec) Truths() []telemetry.Entity {
	var out []telemetry.Entity
	for _, t := range s.Truth {
		out = append(out, telemetry.ParseEntity(t))
	}
	if len(out) > 0 || s.NotAFault {
		return out
	}
	for i := range s.Faults {
		f := &s.Faults[i]
		if f.Kind == Surge || f.Kind == Deploy {
			continue
		}
		out = append(out, f.truth())
	}
	return out
}

// IsFault reports whether there is anything for Norn to find.
func (s *Spec) IsFault() bool { return len(s.Truths()) > 0 }

func (f *Fault) truth() telemetry.Entity {
	if f.target.Kind == OnEdge {
		return entityOf(f.target.Peer)
	}
	return entityOf(f.target.Service)
}

// entityOf tells which entity stands for a name of the plan.
func entityOf(name string) telemetry.Entity {
	switch name {
	case plan.Cache:
		return telemetry.Entity{Kind: telemetry.KindCache, Name: name}
	case plan.Broker, plan.QueueName:
		return telemetry.Entity{Kind: telemetry.KindQueue, Name: plan.QueueName}
	case plan.OrdersDB, plan.CatalogDB:
		return telemetry.Entity{Kind: telemetry.KindDatabase, Name: name}
	}
	return telemetry.Entity{Kind: telemetry.KindService, Name: name}
}

// Summary says in a few words what is done: "slow_query 0.25 on orders-db".
func (f *Fault) Summary() string {
	s := fmt.Sprintf("%s %s on %s", f.Kind, f.Magnitude, f.Target)
	if f.Magnitude == 0 {
		s = fmt.Sprintf("%s on %s", f.Kind, f.Target)
	}
	if f.Deploy != "" {
		s += " with version " + f.Deploy
	}
	return s
}
