// Package plan is the shop on paper: which services it has, what each request
// does step by step, and how people use it over the day.
//
// It exists so that one description drives both the real shop (package shop
// performs it with processes, sockets and SQL) and the history that is
// computed in fast time (package model evaluates it with arithmetic). It does
// no I/O, holds no state and knows no clock; every value is plain data that
// callers must not change, so it is safe for concurrent use. The main type is
// [Plan].
package plan

import "slices"

// Role says what sort of process a service is.
type Role string

// The roles of the shop's processes.
const (
	RoleService Role = "service" // answers HTTP requests, traced
	RoleWorker  Role = "worker"  // consumes the queue, traced
	RoleCache   Role = "cache"   // seen through its callers' spans, sends metrics only
	RoleQueue   Role = "queue"   // seen through producers and consumers, sends metrics only
	RoleDB      Role = "db"      // a database server, seen through its clients' spans, sends metrics only
)

// Service is one service of the shop. Its instances are named Name-1, Name-2...
type Service struct {
	Name      string
	Role      Role
	Instances int
	Version   string
	Ops       []Op
}

// InstanceNames lists the service's instances in order.
func (s *Service) InstanceNames() []string {
	out := make([]string, s.Instances)
	for i := range out {
		out[i] = s.Name + "-" + string(rune('1'+i))
	}
	return out
}

// Op is one kind of request that a service answers.
type Op struct {
	Method string
	Path   string  // pattern of net/http.ServeMux, "{id}" is a product
	Wait   float64 // median of the time it waits (as for disk or a remote system), seconds
	CPU    float64 // computing time, seconds
	Fail   float64 // share that fails on an ordinary day
	Log    string  // what it logs at level info when done, "" for nothing
	Steps  []Step
}

// Route is the name by which an op is called: "GET /products/{id}".
func (o *Op) Route() string { return o.Method + " " + o.Path }

// StepKind says what a step does.
type StepKind string

// The kinds of step.
const (
	StepCall    StepKind = "call"
	StepGet     StepKind = "cache_get"
	StepSet     StepKind = "cache_set"
	StepQuery   StepKind = "query"
	StepPublish StepKind = "publish"
)

// Step is one thing that an op does after its own work.
type Step struct {
	Kind  StepKind
	To    string  // service, cache, database or queue
	Route string  // of the callee, for StepCall
	Key   string  // key prefix in the cache, or the statement's name
	Share float64 // share of requests that do it
	Miss  []Step  // done when StepGet finds nothing; then the value is stored
}

// Journey is what one visitor does: requests to the frontend in order.
type Journey struct {
	Name   string
	Share  float64
	Routes []string
}

// Plan is the whole shop.
type Plan struct {
	Services []Service
	Journeys []Journey
	Queue    int // places in the broker's queue
}

// Service finds a service by name.
func (p *Plan) Service(name string) (*Service, bool) {
	for i := range p.Services {
		if p.Services[i].Name == name {
			return &p.Services[i], true
		}
	}
	return nil, false
}

// Op finds an op by service and route.
func (p *Plan) Op(service, route string) (*Op, bool) {
	s, ok := p.Service(service)
	if !ok {
		return nil, false
	}
	for i := range s.Ops {
		if s.Ops[i].Route() == route {
			return &s.Ops[i], true
		}
	}
	return nil, false
}

// InstanceOf tells which service an instance belongs to.
func (p *Plan) InstanceOf(instance string) (*Service, bool) {
	for i := range p.Services {
		if slices.Contains(p.Services[i].InstanceNames(), instance) {
			return &p.Services[i], true
		}
	}
	return nil, false
}

// Edge is one dependency of the plan.
type Edge struct{ From, To string }

// Edges lists who uses whom, in the plan's order, each once. A worker uses
// the queue; the queue uses nobody.
func (p *Plan) Edges() []Edge {
	var out []Edge
	add := func(e Edge) {
		if !slices.Contains(out, e) {
			out = append(out, e)
		}
	}
	for i := range p.Services {
		s := &p.Services[i]
		for j := range s.Ops {
			walk(s.Ops[j].Steps, func(st *Step) { add(Edge{s.Name, st.To}) })
		}
		if s.Role == RoleWorker {
			add(Edge{s.Name, QueueName})
		}
	}
	return out
}

// HasEdge reports whether from uses to.
func (p *Plan) HasEdge(from, to string) bool { return slices.Contains(p.Edges(), Edge{from, to}) }

func walk(steps []Step, visit func(*Step)) {
	for i := range steps {
		visit(&steps[i])
		walk(steps[i].Miss, visit)
	}
}

// Use is how often an op, or a step of it, happens for each request that
// users make (mean over the mix of journeys).
type Use struct {
	Service, Route string // who is asked; Route is "" for caches, databases and queues
	From           string // who asks, "" for users
	Each           float64
}

// Uses evaluates the call graph: for one user request on average, how many
// requests reach each op from each caller. missShare is the share of cache
// reads that find nothing.
func (p *Plan) Uses(missShare float64) []Use {
	var c collector
	per := p.RequestsPerVisit()
	var total float64
	for _, j := range p.Journeys {
		total += j.Share
	}
	for _, j := range p.Journeys {
		for _, u := range p.VisitUses(j, missShare) {
			u.Each *= j.Share / total / per
			c.add(u)
		}
	}
	return c.uses
}

// VisitUses is the same for one visit of one journey.
func (p *Plan) VisitUses(j Journey, missShare float64) []Use {
	c := collector{plan: p, miss: missShare}
	for _, r := range j.Routes {
		c.op(Frontend, r, "", 1, 0)
	}
	return c.uses
}

// collector walks the call graph and adds up what it finds.
type collector struct {
	plan *Plan
	miss float64
	uses []Use
}

func (c *collector) add(u Use) {
	for i := range c.uses {
		o := &c.uses[i]
		if o.Service == u.Service && o.Route == u.Route && o.From == u.From {
			o.Each += u.Each
			return
		}
	}
	c.uses = append(c.uses, u)
}

// maxDepth stops a plan that calls itself.
const maxDepth = 8

func (c *collector) op(service, route, from string, each float64, depth int) {
	op, ok := c.plan.Op(service, route)
	if !ok || depth > maxDepth {
		return
	}
	c.add(Use{Service: service, Route: route, From: from, Each: each})
	c.steps(service, op.Steps, each, depth)
}

func (c *collector) steps(service string, st []Step, each float64, depth int) {
	for i := range st {
		n := each * st[i].Share
		if st[i].Kind == StepCall {
			c.op(st[i].To, st[i].Route, service, n, depth+1)
			continue
		}
		c.add(Use{Service: st[i].To, From: service, Each: n})
		c.steps(service, st[i].Miss, n*c.miss, depth)
		if st[i].Kind == StepPublish {
			c.worker(st[i].To, n, depth)
		}
	}
}

// worker counts what the queue's consumers do with a message.
func (c *collector) worker(queue string, each float64, depth int) {
	for i := range c.plan.Services {
		s := &c.plan.Services[i]
		if s.Role == RoleWorker && s.Ops[0].Path == queue {
			c.op(s.Name, s.Ops[0].Route(), queue, each, depth+1)
		}
	}
}

// RequestsPerVisit is the mean number of requests of one journey.
func (p *Plan) RequestsPerVisit() float64 {
	var n, w float64
	for _, j := range p.Journeys {
		n += j.Share * float64(len(j.Routes))
		w += j.Share
	}
	return n / w
}
