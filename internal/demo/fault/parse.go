package fault

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/norn-aiops/norn/internal/demo/plan"
)

// Limits of what a spec may ask for, so that a demo never harms the machine.
const (
	MaxFaults = 16
	MaxBytes  = 64 << 10
	MaxLength = 2 * time.Hour
)

// Magnitude is a fault's strength in the unit of its kind. In YAML it is a
// number, a percentage ("30%"), a duration ("300ms", meaning seconds) or a
// size ("96MiB").
type Magnitude float64

// String writes the number with at most four significant digits.
func (m Magnitude) String() string { return strconv.FormatFloat(float64(m), 'g', 4, 64) }

// UnmarshalYAML reads a number or a text with a unit.
func (m *Magnitude) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode {
		return fmt.Errorf("line %d: magnitude must be a number such as 0.3, 30%%, 300ms or 96MiB", n.Line)
	}
	v, err := parseMagnitude(n.Value)
	if err != nil {
		return fmt.Errorf("line %d: magnitude %q: must be a number such as 0.3, 30%%, 300ms or 96MiB", n.Line, n.Value)
	}
	*m = Magnitude(v)
	return nil
}

func parseMagnitude(s string) (float64, error) {
	s = strings.TrimSpace(s)
	scale := 1.0
	num, isShare := strings.CutSuffix(s, "%")
	if isShare {
		scale = 0.01
	} else if n, ok := strings.CutSuffix(s, "MiB"); ok {
		num = n
	} else if d, err := time.ParseDuration(s); err == nil && s != "0" {
		return d.Seconds(), nil
	}
	v, err := strconv.ParseFloat(strings.TrimSpace(num), 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		return 0, errors.New("not a number")
	}
	return v * scale, nil
}

// Duration is a time span that YAML and JSON write as "2m30s".
type Duration time.Duration

// UnmarshalYAML reads "90s", "2m30s".
func (d *Duration) UnmarshalYAML(n *yaml.Node) error {
	v, err := time.ParseDuration(n.Value)
	if n.Kind != yaml.ScalarNode || err != nil {
		return fmt.Errorf("line %d: %q is not a time span such as 90s or 2m30s", n.Line, n.Value)
	}
	*d = Duration(v)
	return nil
}

// MarshalYAML writes the text form.
func (d Duration) MarshalYAML() (any, error) { return time.Duration(d).String(), nil }

// MarshalJSON writes the text form.
func (d Duration) MarshalJSON() ([]byte, error) {
	return strconv.AppendQuote(nil, time.Duration(d).String()), nil
}

// Parse reads one spec from YAML or JSON and checks it against the shop: a
// mapping with name and faults, or just a list of faults. Unknown keys are
// errors; every error names the field.
func Parse(data []byte, p *plan.Plan) (*Spec, error) {
	if len(data) > MaxBytes {
		return nil, fmt.Errorf("fault: %d bytes is more than the limit of %d", len(data), MaxBytes)
	}
	var root yaml.Node
	if err := yaml.Unmarshal(data, &root); err != nil {
		return nil, fmt.Errorf("fault: %w", err)
	}
	if len(root.Content) == 0 {
		return nil, errors.New("fault: the document is empty; it needs faults: with at least one entry")
	}
	var s Spec
	var into any = &s
	if root.Content[0].Kind == yaml.SequenceNode {
		into = &s.Faults
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(into); err != nil {
		return nil, fmt.Errorf("fault: %w", err)
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, errors.New("fault: one document expected, there is more after it")
	}
	if err := s.Check(p); err != nil {
		return nil, err
	}
	return &s, nil
}

// Check fills in defaults and reports everything that is wrong, each with its
// field.
func (s *Spec) Check(p *plan.Plan) error {
	if s.Name == "" {
		s.Name = "custom"
	}
	var errs []error
	if !nameForm.MatchString(s.Name) {
		errs = append(errs, fmt.Errorf("name: %q must be 1 to 64 letters, digits, '-', '_' or '.'", s.Name))
	}
	if len(s.Faults) == 0 {
		errs = append(errs, errors.New("faults: needs at least one entry"))
	}
	if len(s.Faults) > MaxFaults {
		errs = append(errs, fmt.Errorf("faults: %d entries, at most %d are allowed", len(s.Faults), MaxFaults))
	}
	for i := range s.Truth {
		if k, n, ok := strings.Cut(s.Truth[i], "/"); !ok || k == "" || n == "" {
			errs = append(errs, fmt.Errorf("truth[%d]: %q must be kind/name, as in service/cart", i, s.Truth[i]))
		}
	}
	for i := range s.Faults {
		for _, err := range s.Faults[i].check(p) {
			errs = append(errs, fmt.Errorf("faults[%d].%w", i, err))
		}
	}
	if len(errs) > 0 {
		return fmt.Errorf("fault %q: %w", s.Name, errors.Join(errs...))
	}
	return nil
}

var nameForm = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// rule says what a kind of fault may be aimed at and how strong it may be.
type rule struct {
	on       []TargetKind
	def      float64 // magnitude unless given
	lo, hi   float64
	unitText string
}

func ruleOf(k Kind) (rule, bool) {
	processes := []TargetKind{OnService, OnInstance}
	anywhere := []TargetKind{OnService, OnInstance, OnEdge}
	switch k {
	case Latency:
		return rule{anywhere, 0.3, 0.001, 10, "seconds"}, true
	case Error:
		return rule{anywhere, 0.3, 0.001, 1, "share of requests"}, true
	case CPU:
		return rule{processes, 0.7, 0.01, 0.95, "share of one core"}, true
	case MemoryLeak:
		return rule{processes, 160, 1, 512, "MiB"}, true
	case Kill:
		return rule{[]TargetKind{OnInstance}, 0, 0, 0, "nothing"}, true
	case Stall:
		return rule{processes, 0, 0, 0, "nothing"}, true
	case QueueFull, CacheBad:
		return rule{processes, 0.9, 0.01, 1, "share"}, true
	case SlowQuery:
		return rule{anywhere, 0.25, 0.001, 2, "seconds"}, true
	case Surge:
		return rule{[]TargetKind{OnUsers}, 2.5, 0.1, 6, "factor"}, true
	case NetworkDelay:
		return rule{[]TargetKind{OnService, OnEdge}, 0.12, 0.001, 5, "seconds"}, true
	case LogNoise:
		return rule{processes, 20, 1, 500, "lines a second"}, true
	case Deploy:
		return rule{[]TargetKind{OnService}, 0, 0, 0, "nothing"}, true
	}
	return rule{}, false
}

// Kinds lists all kinds of fault.
func Kinds() []Kind {
	return []Kind{Latency, Error, CPU, MemoryLeak, Kill, Stall, QueueFull, CacheBad, SlowQuery, Surge, NetworkDelay, LogNoise, Deploy}
}

func (f *Fault) check(p *plan.Plan) (errs []error) {
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	r, known := ruleOf(f.Kind)
	if !known {
		bad("kind: %q is not one of %v", f.Kind, Kinds())
		return errs
	}
	tg, err := resolve(f.Target, f.Kind, p)
	if err != nil {
		bad("target: %w", err)
	} else if !slices.Contains(r.on, tg.Kind) {
		bad("target: %s cannot be done to %q, which is of kind %s; it needs one of %v", f.Kind, f.Target, tg.Kind, r.on)
	} else if err := fits(f.Kind, tg, p); err != nil {
		bad("target: %w", err)
	}
	f.target = tg
	f.defaults(r)
	if m := float64(f.Magnitude); !(m >= r.lo && m <= r.hi) {
		bad("magnitude: %g is outside %g to %g (%s)", m, r.lo, r.hi, r.unitText)
	}
	if !slices.Contains([]Onset{Step, Ramp, Spike}, f.Onset) {
		bad("onset: %q is not step, ramp or spike", f.Onset)
	}
	if d := time.Duration(f.Duration); d < time.Second || d > MaxLength {
		bad("duration: %s is outside 1s to %s", d, MaxLength)
	}
	if a := time.Duration(f.After); a < 0 || a > MaxLength {
		bad("after: %s is outside 0s to %s", a, MaxLength)
	}
	if !(f.Share > 0 && f.Share <= 1) {
		bad("share: %g is outside 0 to 1", f.Share)
	}
	if f.Deploy != "" && (tg.Kind != OnService || !nameForm.MatchString(f.Deploy)) {
		bad("deploy: %q: needs a version such as 1.4.0 and a service as target", f.Deploy)
	}
	return errs
}

func (f *Fault) defaults(r rule) {
	if f.Magnitude == 0 {
		f.Magnitude = Magnitude(r.def)
	}
	if f.Onset == "" {
		f.Onset = Step
	}
	if f.Duration == 0 {
		f.Duration = Duration(150 * time.Second)
	}
	if f.Share == 0 {
		f.Share = 1
	}
	if f.Kind == Deploy && f.Deploy == "" {
		f.Deploy = "next"
	}
}

// resolve finds what a target's text names. The kind decides nothing but the
// meaning of "users".
func resolve(text string, kind Kind, p *plan.Plan) (Target, error) {
	if kind == Surge {
		if text == "" || text == "users" || text == "service/"+plan.Frontend || text == plan.Frontend {
			return Target{Kind: OnUsers, Service: plan.Frontend}, nil
		}
		return Target{}, fmt.Errorf("%q: a surge comes from users and reaches the %s", text, plan.Frontend)
	}
	if from, to, ok := strings.Cut(text, "->"); ok {
		from, to = bare(from), bare(to)
		if !p.HasEdge(from, to) {
			return Target{}, fmt.Errorf("%q is not an edge of the shop; edges are %s", text, edgeList(p))
		}
		return Target{Kind: OnEdge, Service: from, Peer: to}, nil
	}
	name := bare(text)
	if name == plan.QueueName {
		name = plan.Broker
	}
	if s, ok := p.Service(name); ok {
		return Target{Kind: OnService, Service: s.Name}, nil
	}
	if s, ok := p.InstanceOf(name); ok {
		return Target{Kind: OnInstance, Service: s.Name, Instance: name}, nil
	}
	return Target{}, fmt.Errorf("%q is nothing in the shop; there are %s", text, nameList(p))
}

// bare takes "service/" and the like off a name.
func bare(s string) string {
	s = strings.TrimSpace(s)
	for _, k := range []string{"service/", "instance/", "database/", "cache/", "queue/"} {
		if n, ok := strings.CutPrefix(s, k); ok {
			return n
		}
	}
	return s
}

// fits checks that the target can suffer the fault: a stall needs a worker.
func fits(k Kind, tg Target, p *plan.Plan) error {
	name := tg.Service
	if k == SlowQuery && tg.Kind == OnEdge {
		name = tg.Peer
	}
	s, ok := p.Service(name)
	need := func(role plan.Role, what string) error {
		if !ok || s.Role != role {
			return fmt.Errorf("%s needs %s, %s is none", k, what, name)
		}
		return nil
	}
	switch k {
	case Stall:
		return need(plan.RoleWorker, "a worker ("+plan.Worker+")")
	case QueueFull:
		return need(plan.RoleQueue, "the queue ("+plan.QueueName+")")
	case CacheBad:
		return need(plan.RoleCache, "the cache ("+plan.Cache+")")
	case SlowQuery:
		return need(plan.RoleDB, "a database ("+plan.OrdersDB+", "+plan.CatalogDB+")")
	case Latency, Error:
		if tg.Kind != OnEdge && s.Role == plan.RoleQueue {
			return fmt.Errorf("%s cannot be done to the queue", k)
		}
	}
	return nil
}

func nameList(p *plan.Plan) string {
	var out []string
	for i := range p.Services {
		out = append(out, p.Services[i].Name)
	}
	return strings.Join(out, ", ")
}

func edgeList(p *plan.Plan) string {
	var out []string
	for _, e := range p.Edges() {
		out = append(out, e.From+"->"+e.To)
	}
	return strings.Join(out, ", ")
}
