package config

import (
	"cmp"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"time"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/remedy"
	"github.com/norn-aiops/norn/internal/runner/command"
)

// Remedy says what may be done about incidents.
type Remedy struct {
	Autonomy   string         `yaml:"autonomy"`
	PerHour    int            `yaml:"max_automatic_per_hour"`
	Confidence float64        `yaml:"min_confidence"`
	Approval   Duration       `yaml:"approval_ttl"`
	Approvers  []Approver     `yaml:"approvers"`
	Protected  Protected      `yaml:"protected"`
	Freezes    []Freeze       `yaml:"freezes"`
	Actions    []RemedyAction `yaml:"actions"`
}

// Approver is a person who may approve, with a token of their own.
type Approver struct {
	Name  string `yaml:"name"`
	Token Secret `yaml:"token"`
}

// Protected is what no action touches.
type Protected struct {
	Ranges []string `yaml:"ranges"` // CIDR
	Hosts  []string `yaml:"hosts"`  // regular expressions of names of entities and inputs
	Ports  []int    `yaml:"ports"`  // never closed
}

// Freeze is a span of time, in RFC 3339, in which nothing begins.
type Freeze struct {
	Name string `yaml:"name"`
	From string `yaml:"from"`
	To   string `yaml:"to"`
}

// RemedyAction declares one action.
type RemedyAction struct {
	Name      string              `yaml:"name"`
	Runner    string              `yaml:"runner"` // nftables, command, webhook
	Inputs    []remedy.Input      `yaml:"inputs"`
	When      string              `yaml:"when"` // CEL
	Autonomy  string              `yaml:"autonomy"`
	Scopes    []remedy.ScopeLevel `yaml:"scopes"`
	Approvals int                 `yaml:"approvals"`
	TimeBox   Duration            `yaml:"time_box"`
	Verify    Duration            `yaml:"verify_within"`
	MaxBlast  int                 `yaml:"max_dependents"`
	Argv      []string            `yaml:"argv"`
	Rollback  []string            `yaml:"rollback"`
	Webhook   RemedyWebhook       `yaml:"webhook"`
}

// RemedyWebhook is where a webhook's action is posted.
type RemedyWebhook struct {
	URL      Secret `yaml:"url"`
	Secret   Secret `yaml:"secret"`
	Rollback bool   `yaml:"rollback"`
}

// Action is the action as package remedy takes it.
func (a *RemedyAction) Action() remedy.Action {
	return remedy.Action{Name: a.Name, Runner: a.Runner, Inputs: a.Inputs, When: a.When, Level: ops.Autonomy(a.Autonomy), Scopes: a.Scopes,
		Approvals: a.Approvals, TimeBox: time.Duration(a.TimeBox), Verify: time.Duration(a.Verify), MaxBlast: a.MaxBlast}
}

func defaultRemedy() Remedy {
	return Remedy{Autonomy: "suggest", PerHour: 4, Confidence: 0.7, Approval: Duration(30 * time.Minute), Approvers: []Approver{},
		Protected: Protected{Ranges: []string{}, Hosts: []string{}, Ports: []int{22}}, Freezes: []Freeze{}, Actions: []RemedyAction{}}
}

func (c *Config) fillRemedy() {
	for i := range c.Remedy.Actions {
		a := &c.Remedy.Actions[i]
		a.Autonomy = cmp.Or(a.Autonomy, c.Remedy.Autonomy)
		a.Approvals = cmp.Or(a.Approvals, 1)
		a.TimeBox = cmp.Or(a.TimeBox, Duration(time.Minute))
		a.Verify = cmp.Or(a.Verify, Duration(10*time.Minute))
		if a.Runner == "nftables" && len(a.Inputs) == 0 {
			first := remedy.Input{Name: "address", Type: "address"}
			if a.Name == "close-port" {
				first = remedy.Input{Name: "port", Type: "port"}
			}
			a.Inputs = []remedy.Input{first, {Name: "minutes", Type: "minutes"}}
		}
	}
}

func (r *Remedy) resolveSecrets() error {
	for i := range r.Approvers {
		if err := r.Approvers[i].Token.resolve(fmt.Sprintf("remedy.approvers[%d].token", i)); err != nil {
			return err
		}
	}
	for i := range r.Actions {
		w, key := &r.Actions[i].Webhook, fmt.Sprintf("remedy.actions[%d].webhook", i)
		if err := w.URL.resolve(key + ".url"); err != nil {
			return err
		}
		if err := w.Secret.resolve(key + ".secret"); err != nil {
			return err
		}
	}
	return nil
}

func levels() []string { return []string{"suggest", "ask", "act"} }

func (r *Remedy) check(bad report) {
	if !slices.Contains(levels(), r.Autonomy) {
		bad("remedy.autonomy", "%q is not one of suggest, ask, act", r.Autonomy)
	}
	if r.PerHour < 0 || r.PerHour > 1000 {
		bad("remedy.max_automatic_per_hour", "must be between 0 and 1000")
	}
	if !(r.Confidence >= 0 && r.Confidence <= 1) {
		bad("remedy.min_confidence", "must be between 0 and 1")
	}
	if r.Approval <= 0 {
		bad("remedy.approval_ttl", "must be longer than 0")
	}
	names := map[string]bool{}
	for i, a := range r.Approvers {
		if a.Name == "" || len(a.Token.Reveal()) < 16 || names[a.Name] {
			bad(fmt.Sprintf("remedy.approvers[%d]", i), "needs a name of its own and a token of at least 16 characters")
		}
		names[a.Name] = true
	}
	r.checkProtection(bad)
	taken := map[string]bool{}
	for i := range r.Actions {
		key := fmt.Sprintf("remedy.actions[%d]", i)
		if taken[r.Actions[i].Name] {
			bad(key+".name", "%q is taken", r.Actions[i].Name)
		}
		taken[r.Actions[i].Name] = true
		r.checkAction(&r.Actions[i], key, bad)
	}
}

func (r *Remedy) checkProtection(bad report) {
	for i, p := range r.Protected.Ranges {
		if _, err := netip.ParsePrefix(p); err != nil {
			bad(fmt.Sprintf("remedy.protected.ranges[%d]", i), "%q is not a range such as 10.0.0.0/8", p)
		}
	}
	for i, p := range r.Protected.Hosts {
		if _, err := regexp.Compile(p); err != nil {
			bad(fmt.Sprintf("remedy.protected.hosts[%d]", i), "%v", err)
		}
	}
	for i, p := range r.Protected.Ports {
		if p < 1 || p > 65535 {
			bad(fmt.Sprintf("remedy.protected.ports[%d]", i), "%d is no port", p)
		}
	}
	for i, f := range r.Freezes {
		from, err1 := time.Parse(time.RFC3339, f.From)
		to, err2 := time.Parse(time.RFC3339, f.To)
		if err1 != nil || err2 != nil || !from.Before(to) {
			bad(fmt.Sprintf("remedy.freezes[%d]", i), "needs from before to, in RFC 3339 such as 2026-12-24T00:00:00Z")
		}
	}
}

func (r *Remedy) checkAction(a *RemedyAction, key string, bad report) {
	if !regexp.MustCompile(`^[a-z][a-z0-9-]{2,40}$`).MatchString(a.Name) {
		bad(key+".name", "%q must be lower-case words with hyphens", a.Name)
	}
	for _, s := range append([]remedy.ScopeLevel{{Level: ops.Autonomy(a.Autonomy)}}, a.Scopes...) {
		if !slices.Contains(levels(), string(s.Level)) {
			bad(key+".autonomy", "%q is not one of suggest, ask, act", s.Level)
		}
	}
	if a.Approvals < 1 || a.Approvals > 5 {
		bad(key+".approvals", "must be between 1 and 5")
	} else if a.Approvals > 1 && len(r.Approvers) < a.Approvals {
		bad(key+".approvals", "%d people are asked for, and remedy.approvers has %d", a.Approvals, len(r.Approvers))
	}
	if a.TimeBox < Duration(time.Second) || a.TimeBox > Duration(time.Hour) || a.Verify < Duration(10*time.Second) || a.Verify > Duration(24*time.Hour) {
		bad(key, "time_box must be from 1s to 1h, verify_within from 10s to 24h")
	}
	act := a.Action()
	if err := act.Prepare(); err != nil {
		bad(key, "%v", err)
	}
	switch a.Runner {
	case "nftables":
		want := map[string]string{"block-host": "address", "close-port": "port"}[a.Name]
		if want == "" || len(a.Inputs) != 2 || a.Inputs[0].Name != want || a.Inputs[0].Type != want || a.Inputs[1].Name != "minutes" || a.Inputs[1].Type != "minutes" {
			bad(key, "nftables has the actions block-host (address, minutes) and close-port (port, minutes)")
		}
	case "command":
		if err := (command.Runner{Do: a.Argv, Back: a.Rollback}).Check(a.Inputs); err != nil {
			bad(key, "%v", err)
		}
	case "webhook":
		u, err := url.Parse(a.Webhook.URL.Reveal())
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			bad(key+".webhook.url", "is not a URL")
		}
		if len(a.Webhook.Secret.Reveal()) < 16 {
			bad(key+".webhook.secret", "must have at least 16 characters")
		}
	default:
		bad(key+".runner", "%q is not one of nftables, command, webhook", a.Runner)
	}
}
