package graph

import (
	"slices"

	"github.com/norn-aiops/norn/internal/telemetry"
)

// Relation says what a suspected entity is to the one that shows a sign.
type Relation uint8

// Relations, as seen from the sign: the suspect is ...
const (
	Unrelated Relation = iota
	Itself             // the entity itself
	Part               // an instance of it, or the service that it is an instance of
	Host               // what it runs on
	Callee             // what it calls
	Callee2            // what its callees call
	Tenant             // something that runs on it, where the sign is a host's
	Sibling            // another instance of the same service
	HostOfOne          // what one of its instances runs on
	Caller             // what calls it
	Neighbour          // an instance on the same host
)

// value is how well trouble of the suspect explains the sign. Failures and
// delays travel from callee to caller and from host to tenant; the negative
// ones speak against it. Measured on alerts of an online shop with injected
// faults, chosen by knowledge of how faults travel (docs/adr/0014).
func (r Relation) value() float64 {
	switch r {
	case Itself:
		return 2.5
	case Part:
		return 1.8
	case Host:
		return .9
	case Callee:
		return .8
	case Callee2:
		return .2
	case Tenant:
		return .6
	case Sibling:
		return .4
	case HostOfOne:
		return -.5
	case Caller, Neighbour:
		return -.3
	}
	return 0
}

// Suspect is an entity that may be behind a sign.
type Suspect struct {
	Entity   telemetry.Entity
	Relation Relation
	Value    float64 // how well it explains the sign; below 0 it speaks against it
}

// maxSuspects bounds the suspects of one entity: of a host with thousands of
// tenants only the first are considered.
const maxSuspects = 400

// Blame answers which entities may be behind a sign, and how well each would
// explain it, by a view's edges. It keeps what it worked out, and so is not
// safe for concurrent use.
type Blame struct {
	view  *View
	known map[telemetry.Entity][]Suspect
}

// NewBlame makes one for a view; nil is a view without edges.
func NewBlame(v *View) *Blame {
	if v == nil {
		v = NewView(nil)
	}
	return &Blame{view: v, known: map[telemetry.Entity][]Suspect{}}
}

// Suspects lists who may be behind a sign of e, itself first, best first. The
// caller must not change the list.
func (b *Blame) Suspects(e telemetry.Entity) []Suspect {
	if s, ok := b.known[e]; ok {
		return s
	}
	l := suspects{at: map[telemetry.Entity]int{}}
	l.add(e, Itself)
	services, instances, hosts := b.family(e)
	for _, x := range slices.Concat(services, instances) {
		l.add(x, Part)
	}
	for _, x := range hosts {
		l.add(x, Host)
	}
	family := slices.Concat([]telemetry.Entity{e}, services, instances)
	b.callees(&l, family)
	for _, x := range b.tenants(e) {
		l.add(x, Tenant)
	}
	for _, s := range services {
		for _, x := range b.instances(s) {
			l.add(x, Sibling)
		}
	}
	for _, i := range instances {
		for _, x := range b.targets(i, RunsOn) {
			l.add(x, HostOfOne)
		}
	}
	b.callers(&l, family)
	for _, h := range hosts {
		for _, x := range b.tenants(h) {
			l.add(x, Neighbour)
		}
	}
	slices.SortStableFunc(l.list, func(a, b Suspect) int {
		switch {
		case a.Value > b.Value:
			return -1
		case a.Value < b.Value:
			return 1
		}
		return 0
	})
	b.known[e] = l.list
	return l.list
}

type suspects struct {
	list []Suspect
	at   map[telemetry.Entity]int
}

// add keeps the first relation that is found for an entity.
func (l *suspects) add(e telemetry.Entity, r Relation) {
	if _, ok := l.at[e]; ok || e.IsZero() || len(l.list) >= maxSuspects {
		return
	}
	l.at[e] = len(l.list)
	l.list = append(l.list, Suspect{Entity: e, Relation: r, Value: r.value()})
}

// family gives the services that e is an instance of, its instances, and what
// it runs on.
func (b *Blame) family(e telemetry.Entity) (services, instances, hosts []telemetry.Entity) {
	return b.sources(e, PartOf), b.instances(e), b.targets(e, RunsOn)
}

func (b *Blame) instances(e telemetry.Entity) []telemetry.Entity { return b.targets(e, PartOf) }

func (b *Blame) tenants(e telemetry.Entity) []telemetry.Entity { return b.sources(e, RunsOn) }

// callees adds what the entity or its service calls, with the instances, and
// what those call in turn.
func (b *Blame) callees(l *suspects, family []telemetry.Entity) {
	var first []telemetry.Entity
	for _, f := range family {
		first = append(first, b.calls(f)...)
	}
	first = b.withInstances(first)
	for _, x := range first {
		l.add(x, Callee)
	}
	var second []telemetry.Entity
	for _, x := range first {
		second = append(second, b.calls(x)...)
	}
	for _, x := range b.withInstances(second) {
		l.add(x, Callee2)
	}
}

func (b *Blame) callers(l *suspects, family []telemetry.Entity) {
	var first []telemetry.Entity
	for _, f := range family {
		for _, d := range b.view.Dependents(f) {
			if d.Kind == Calls || d.Kind == DependsOn {
				first = append(first, d.From)
			}
		}
	}
	for _, x := range b.withInstances(first) {
		l.add(x, Caller)
	}
}

// withInstances adds to services their instances, and to instances their
// services.
func (b *Blame) withInstances(es []telemetry.Entity) []telemetry.Entity {
	out := slices.Clone(es)
	for _, e := range es {
		out = append(out, b.instances(e)...)
		out = append(out, b.sources(e, PartOf)...)
	}
	return out
}

func (b *Blame) calls(e telemetry.Entity) []telemetry.Entity {
	return append(b.targets(e, Calls), b.targets(e, DependsOn)...)
}

func (b *Blame) targets(e telemetry.Entity, k EdgeKind) []telemetry.Entity {
	var out []telemetry.Entity
	for _, i := range b.view.out[e] {
		if d := &b.view.edges[i]; d.Kind == k {
			out = append(out, d.To)
		}
	}
	return out
}

func (b *Blame) sources(e telemetry.Entity, k EdgeKind) []telemetry.Entity {
	var out []telemetry.Entity
	for _, i := range b.view.in[e] {
		if d := &b.view.edges[i]; d.Kind == k {
			out = append(out, d.From)
		}
	}
	return out
}

// Of returns the relation of a suspect to e, Unrelated when there is none.
func (b *Blame) Of(e, suspect telemetry.Entity) Relation {
	for _, s := range b.Suspects(e) {
		if s.Entity == suspect {
			return s.Relation
		}
	}
	return Unrelated
}

// OfCall lists who may be behind a sign of a call from caller to callee: the
// callee's own kin as for any sign of it, and the caller's side, which may be
// the slow one, with less.
func (b *Blame) OfCall(caller, callee telemetry.Entity) []Suspect {
	base := b.Suspects(callee)
	if caller.IsZero() || caller == callee {
		return base
	}
	out := slices.Clone(base)
	at := map[telemetry.Entity]int{}
	for i := range out {
		at[out[i].Entity] = i
	}
	set := func(e telemetry.Entity, r Relation, v float64) {
		if i, ok := at[e]; ok {
			switch out[i].Relation {
			case Itself, Part, Sibling, Host:
				return
			}
			out[i].Relation, out[i].Value = r, v
			return
		}
		at[e] = len(out)
		out = append(out, Suspect{Entity: e, Relation: r, Value: v})
	}
	set(caller, Caller, .6)
	services, instances, _ := b.family(caller)
	for _, x := range slices.Concat(services, instances) {
		set(x, Caller, .4)
	}
	for _, s := range services {
		for _, x := range b.instances(s) {
			if x != caller {
				set(x, Caller, 0)
			}
		}
	}
	return out
}
