package remedy

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"cel.dev/cel-go/cel"

	"github.com/norn-aiops/norn/internal/ops"
)

// ErrRefused is returned (wrapped) when the rules forbid what was asked.
var ErrRefused = errors.New("refused")

func refuse(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrRefused, fmt.Sprintf(format, args...))
}

// Input is one typed input of an action.
type Input struct {
	Name  string   `yaml:"name"`
	Type  string   `yaml:"type"`  // name, address, port, minutes
	Allow []string `yaml:"allow"` // of a name: regular expressions of which one must match the whole value
}

// Action is one thing that Norn can do, as data.
type Action struct {
	Name      string        // as runbooks name it
	Runner    string        // nftables, command, webhook
	Inputs    []Input       // all are required
	When      string        // precondition in CEL over incident, target, blast, inputs; "" is always
	Level     ops.Autonomy  // how far Norn may go
	Scopes    []ScopeLevel  // exceptions for some targets, the first that matches counts
	Approvals int           // people that must agree when the level is ask
	TimeBox   time.Duration // for one step of the runner
	Verify    time.Duration // within which the detectors must be normal again
	MaxBlast  int           // services that may depend on the target; 0: any number

	when cel.Program
}

// ScopeLevel is another level for targets whose "kind/name" matches.
type ScopeLevel struct {
	Match string       `yaml:"match"` // regular expression for the whole "kind/name"
	Level ops.Autonomy `yaml:"autonomy"`
}

// Work is what a runner gets: which run, and the checked inputs.
type Work struct {
	Run    string            `json:"run"`
	Action string            `json:"action"`
	Inputs map[string]string `json:"inputs"`
}

// nameRule is what a name may be made of: it becomes an argument of commands,
// so it holds no separator of paths, no leading hyphen or dot, ASCII only.
var nameRule = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.@:-]{0,127}$`)

// Prepare checks the action itself and compiles its precondition.
func (a *Action) Prepare() error {
	var errs []error
	for i := range a.Inputs {
		in := &a.Inputs[i]
		if !slices.Contains([]string{"name", "address", "port", "minutes"}, in.Type) {
			errs = append(errs, fmt.Errorf("inputs[%d].type: %q is not one of name, address, port, minutes", i, in.Type))
		}
		if in.Type == "name" && len(in.Allow) == 0 {
			errs = append(errs, fmt.Errorf("inputs[%d].allow: must list what the name may be", i))
		}
		for _, p := range in.Allow {
			if _, err := regexp.Compile(p); err != nil {
				errs = append(errs, fmt.Errorf("inputs[%d].allow: %w", i, err))
			}
		}
	}
	for i, s := range a.Scopes {
		if _, err := regexp.Compile(s.Match); err != nil {
			errs = append(errs, fmt.Errorf("scopes[%d].match: %w", i, err))
		}
	}
	if a.When != "" {
		p, err := compile(a.When)
		if err != nil {
			errs = append(errs, fmt.Errorf("when: %w", err))
		}
		a.when = p
	}
	return errors.Join(errs...)
}

func compile(text string) (cel.Program, error) {
	env, err := cel.NewEnv(cel.Variable("incident", cel.MapType(cel.StringType, cel.DynType)), cel.Variable("target", cel.MapType(cel.StringType, cel.StringType)),
		cel.Variable("blast", cel.MapType(cel.StringType, cel.DynType)), cel.Variable("inputs", cel.MapType(cel.StringType, cel.StringType)))
	if err != nil {
		return nil, fmt.Errorf("cannot make the environment of preconditions: %w", err)
	}
	ast, iss := env.Compile(text)
	if iss.Err() != nil {
		return nil, fmt.Errorf("cannot understand the precondition: %w", iss.Err())
	}
	if ast.OutputType() != cel.BoolType {
		return nil, fmt.Errorf("the precondition is a %s, want a bool", ast.OutputType())
	}
	return env.Program(ast, cel.CostLimit(100_000))
}

// Holds evaluates the precondition. What cannot be evaluated does not hold.
func (a *Action) Holds(in *ops.Incident, b ops.Blast, inputs map[string]string) error {
	if a.when == nil {
		return nil
	}
	out, _, err := a.when.Eval(map[string]any{
		"incident": map[string]any{"id": in.ID, "verdict": string(in.Verdict), "confidence": in.Confidence, "severity": in.Severity, "impact": in.Impact, "state": string(in.State), "team": in.Team},
		"target":   map[string]string{"kind": string(b.Target.Kind), "name": b.Target.Name},
		"blast":    map[string]any{"services": b.Services, "share": b.Share, "direct": len(b.Direct)},
		"inputs":   inputs,
	})
	if err != nil {
		return refuse("the precondition %q cannot be evaluated: %v", a.When, err)
	}
	if ok, isBool := out.Value().(bool); !isBool || !ok {
		return refuse("the precondition %q does not hold", a.When)
	}
	return nil
}

// LevelFor is how far Norn may go with the action at a target.
func (a *Action) LevelFor(target string) ops.Autonomy {
	for _, s := range a.Scopes {
		if whole(s.Match, target) {
			return s.Level
		}
	}
	return a.Level
}

func whole(pattern, text string) bool {
	re, err := regexp.Compile(`^(?:` + pattern + `)$`)
	return err == nil && re.MatchString(text)
}

// Guard knows what must never be touched.
type Guard struct {
	Ranges []netip.Prefix      // protected by configuration
	Hosts  []string            // regular expressions of protected hosts and services
	Own    func() []netip.Addr // this machine's and the operators' addresses, now; nil: none
	Ports  []uint16            // that are never closed
}

// Check holds the inputs of an action against its types and the guard. The
// values that come back are canonical. An error wraps [ErrRefused] and says
// which input is at fault.
func (g *Guard) Check(a *Action, inputs map[string]string, target string) (map[string]string, error) {
	for _, k := range slices.Sorted(maps.Keys(inputs)) {
		if !slices.ContainsFunc(a.Inputs, func(in Input) bool { return in.Name == k }) {
			return nil, refuse("%s has no input %.40q", a.Name, k)
		}
	}
	if p := g.hostRule(target); p != "" {
		return nil, refuse("%.60q is protected by %q", target, p)
	}
	out := map[string]string{}
	for _, in := range a.Inputs {
		v, ok := inputs[in.Name]
		if !ok || v == "" {
			return nil, refuse("input %s of %s is missing", in.Name, a.Name)
		}
		c, err := g.value(in, v)
		if err != nil {
			return nil, fmt.Errorf("input %s: %w", in.Name, err)
		}
		out[in.Name] = c
	}
	return out, nil
}

func (g *Guard) hostRule(name string) string {
	_, bare, _ := strings.Cut(name, "/")
	for _, p := range g.Hosts {
		if whole("(?i)"+p, name) || whole("(?i)"+p, bare) || bare == "" && whole("(?i)"+p, name) {
			return p
		}
	}
	return ""
}

func (g *Guard) value(in Input, v string) (string, error) {
	switch in.Type {
	case "address":
		return g.address(v)
	case "port":
		n, err := strictNumber(v, 1, 65535)
		if err != nil {
			return "", err
		}
		if slices.Contains(g.Ports, uint16(n)) {
			return "", refuse("port %d is protected", n)
		}
		return strconv.Itoa(n), nil
	case "minutes":
		n, err := strictNumber(v, 1, 7*24*60)
		return strconv.Itoa(n), err
	}
	if !nameRule.MatchString(v) || strings.Contains(v, "..") {
		return "", refuse("%.60q is no plain name: ASCII letters, digits and _ . @ : - only, no leading hyphen or dot, no '..'", v)
	}
	if p := g.hostRule(v); p != "" {
		return "", refuse("%q is protected by %q", v, p)
	}
	if !slices.ContainsFunc(in.Allow, func(p string) bool { return whole(p, v) }) {
		return "", refuse("%q is not among what the configuration allows", v)
	}
	return v, nil
}

// strictNumber takes ASCII digits only: no sign, space, leading zero.
func strictNumber(v string, lo, hi int) (int, error) {
	if !regexp.MustCompile(`^[1-9][0-9]{0,5}$`).MatchString(v) {
		return 0, refuse("%.40q is not a whole number from %d to %d", v, lo, hi)
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < lo || n > hi {
		return 0, refuse("%s is not from %d to %d", v, lo, hi)
	}
	return n, nil
}

// address takes exactly one address: a range is refused, however small.
func (g *Guard) address(v string) (string, error) {
	if strings.Contains(v, "/") {
		return "", refuse("%.60q is a range; only single addresses are blocked", v)
	}
	a, err := netip.ParseAddr(v)
	if err != nil {
		return "", refuse("%.60q is not an address", v)
	}
	if why := builtinProtection(a); why != "" {
		return "", refuse("%s is never blocked: %s", a, why)
	}
	if v4, ok := embedded4(a); ok {
		if why := builtinProtection(v4); why != "" {
			return "", refuse("%s is never blocked: it carries %s, and %s", a, v4, why)
		}
		if err := g.allowed(v4); err != nil {
			return "", err
		}
	}
	return a.String(), g.allowed(a)
}

func (g *Guard) allowed(a netip.Addr) error {
	for _, p := range g.Ranges {
		if p.Contains(a) {
			return refuse("%s is in the protected range %s", a, p)
		}
	}
	if g.Own != nil && slices.ContainsFunc(g.Own(), func(o netip.Addr) bool { return o.Unmap() == a }) {
		return refuse("%s is an address of this machine or of an operator", a)
	}
	return nil
}

// embedded4 finds the IPv4 address in the ways IPv6 carries one: NAT64 (RFC
// 6052), 6to4 (RFC 3056), compatible (RFC 4291).
func embedded4(a netip.Addr) (netip.Addr, bool) {
	if !a.Is6() {
		return netip.Addr{}, false
	}
	b := a.As16()
	tail := netip.AddrFrom4([4]byte(b[12:]))
	switch {
	case netip.MustParsePrefix("64:ff9b::/96").Contains(a), netip.MustParsePrefix("::/96").Contains(a):
		return tail, true
	case netip.MustParsePrefix("2002::/16").Contains(a):
		return netip.AddrFrom4([4]byte(b[2:6])), true
	}
	return netip.Addr{}, false
}
