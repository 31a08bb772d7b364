// Package notify decides who is told what about an incident, and when nobody
// is to be told.
//
// It exists so that routing, silences, inhibition, maintenance windows, on-call
// schedules and the words of a message can be tried without a channel or a
// clock. Matchers are Alertmanager's, parsed by its own library; so are the
// recurring time intervals. It sends and stores nothing (notify/outbox does) and
// knows no channel (notify/channel does).
//
// A [Policy] is made once and read by many goroutines; [Silences] belongs to
// whoever holds its lock.
package notify

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/alertmanager/matcher/parse"
	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/common/model"

	"github.com/norn-aiops/norn/internal/ops"
)

// Config is what the configuration file says beside the receivers.
type Config struct {
	Wait           model.Duration `yaml:"wait"`            // after an incident opened, for its verdict to ripen
	UpdateInterval model.Duration `yaml:"update_interval"` // between two words about one incident that is not worse
	Routes         []Route        `yaml:"routes"`
	Inhibit        []Inhibit      `yaml:"inhibit"`
	Maintenance    []Maintenance  `yaml:"maintenance"`
	Escalations    []Escalation   `yaml:"escalations"`
	Schedules      []Schedule     `yaml:"schedules"`
	Digest         Digest         `yaml:"digest"`
}

// Route says who is told of what matches. The first that matches is taken, and
// the next ones too while Continue is set.
type Route struct {
	Match     []string `yaml:"match"` // Alertmanager matchers, all must hold; none matches everything
	Receivers []string `yaml:"receivers"`
	Escalate  string   `yaml:"escalate"` // name of an escalation
	Digest    bool     `yaml:"digest"`   // not at once but in the next digest
	Continue  bool     `yaml:"continue"`
}

// Inhibit holds back what matches Target while an incident that matches Source
// is open and both have the same values of Equal.
type Inhibit struct {
	Source []string `yaml:"source"`
	Target []string `yaml:"target"`
	Equal  []string `yaml:"equal"`
}

// Digest says when the rest is told in one message, and to whom.
type Digest struct {
	Receivers []string `yaml:"receivers"`
	Every     string   `yaml:"every"` // daily or weekly
	Day       string   `yaml:"day"`   // of a weekly one: mon..sun
	At        string   `yaml:"at"`    // HH:MM
	Timezone  string   `yaml:"timezone"`
}

// Policy is a compiled [Config].
type Policy struct {
	cfg         Config
	receivers   []string
	routes      []route
	inhibit     []inhibit
	maintenance []window
	schedules   map[string]*schedule
	digest      clockTime
}

type route struct {
	Route
	match labels.Matchers
}

type inhibit struct {
	Inhibit
	source, target labels.Matchers
}

// Compile checks the settings against the names of the receivers. The error
// names every fault by its key. Without routes everybody is told everything.
func Compile(c Config, receivers []string) (*Policy, error) {
	p := &Policy{cfg: c, receivers: receivers, schedules: map[string]*schedule{}}
	var errs []error
	bad := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: %s", key, fmt.Sprintf(format, args...)))
	}
	known := func(key string, names []string) {
		for _, n := range names {
			if !slices.Contains(receivers, n) && p.schedules[n] == nil {
				bad(key, "there is no receiver or schedule %q", n)
			}
		}
	}
	p.compileSchedules(bad)
	p.compileEscalations(bad, known)
	for i, r := range c.Routes {
		key := fmt.Sprintf("routes[%d]", i)
		known(key+".receivers", r.Receivers)
		if r.Escalate != "" && p.escalation(r.Escalate) == nil {
			bad(key+".escalate", "there is no escalation %q", r.Escalate)
		}
		if len(r.Receivers) == 0 && r.Escalate == "" && !r.Digest {
			bad(key, "tells nobody: give receivers, escalate or digest")
		}
		p.routes = append(p.routes, route{r, matchers(key+".match", r.Match, bad)})
	}
	for i, x := range c.Inhibit {
		key := fmt.Sprintf("inhibit[%d]", i)
		if len(x.Source) == 0 || len(x.Target) == 0 {
			bad(key, "needs source and target")
		}
		p.inhibit = append(p.inhibit, inhibit{x, matchers(key+".source", x.Source, bad), matchers(key+".target", x.Target, bad)})
	}
	for i, m := range c.Maintenance {
		p.maintenance = append(p.maintenance, m.compile(fmt.Sprintf("maintenance[%d]", i), bad))
	}
	known("digest.receivers", c.Digest.Receivers)
	p.digest = c.Digest.compile(bad)
	return p, errors.Join(errs...)
}

type report func(key, format string, args ...any)

func matchers(key string, texts []string, bad report) labels.Matchers {
	var out labels.Matchers
	for _, t := range texts {
		ms, err := parse.Matchers(t)
		if err != nil {
			bad(key, "%q: %v", t, err)
			continue
		}
		out = append(out, ms...)
	}
	return out
}

// Labels are what matchers see of an incident: incident, title, severity, team,
// state, verdict, signal, entity (kind/name of the root, or of what deviates
// most), service (its name) and affected (names of all that deviate, with commas).
func Labels(in *ops.Incident) model.LabelSet {
	root, signal := rootOf(in)
	if root.IsZero() && len(in.Entities) > 0 {
		root = in.Entities[0]
	}
	names := make([]string, 0, len(in.Entities))
	for _, e := range in.Entities {
		names = append(names, e.Name)
	}
	out := model.LabelSet{}
	for k, v := range map[string]string{
		"alertname": "NornIncident", "incident": in.ID, "title": in.Title, "severity": string(in.Level), "team": in.Team,
		"state": string(in.State), "verdict": string(in.Verdict), "signal": string(signal),
		"entity": root.String(), "service": root.Name, "affected": strings.Join(names, ","),
	} {
		if v != "" {
			out[model.LabelName(k)] = model.LabelValue(v)
		}
	}
	return out
}

// Target is one receiver who is to be told, at once or in the digest.
type Target struct {
	Receiver string
	Digest   bool
}

// Plan says who is told of an incident with these labels at t (Unix ms), and
// which escalation applies. Schedules are replaced by who is on call.
func (p *Policy) Plan(ls model.LabelSet, t int64) (targets []Target, escalation string) {
	if len(p.routes) == 0 {
		for _, r := range p.receivers {
			targets = append(targets, Target{Receiver: r})
		}
		return targets, ""
	}
	for i := range p.routes {
		r := &p.routes[i]
		if !r.match.Matches(ls) {
			continue
		}
		names := r.Receivers
		if r.Escalate != "" && escalation == "" {
			escalation = r.Escalate
			names = append(slices.Clone(names), p.escalation(r.Escalate).Levels[0].Receivers...)
		}
		if r.Digest && len(names) == 0 {
			names = p.cfg.Digest.Receivers
		}
		for _, n := range p.onCall(names, t) {
			if !slices.ContainsFunc(targets, func(x Target) bool { return x.Receiver == n }) {
				targets = append(targets, Target{n, r.Digest})
			}
		}
		if !r.Continue {
			break
		}
	}
	return targets, escalation
}

// onCall replaces schedules by their people of the moment.
func (p *Policy) onCall(names []string, t int64) []string {
	var out []string
	for _, n := range names {
		if s := p.schedules[n]; s != nil {
			n = s.at(t)
		}
		if n != "" && !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}

// Inhibited says which open incident holds back the one with these labels, ""
// when none does. An incident does not inhibit itself, nor does one that matches
// source and target a second one that does.
func (p *Policy) Inhibited(ls model.LabelSet, open []model.LabelSet) (by string) {
	for _, x := range p.inhibit {
		if !x.target.Matches(ls) {
			continue
		}
		both := x.source.Matches(ls)
		for _, o := range open {
			if o["incident"] == ls["incident"] || !x.source.Matches(o) || both && x.target.Matches(o) {
				continue
			}
			if !slices.ContainsFunc(x.Equal, func(n string) bool { return o[model.LabelName(n)] != ls[model.LabelName(n)] }) {
				return string(o["incident"])
			}
		}
	}
	return ""
}

// Wait is how long a new incident waits until people are told, in ms.
func (p *Policy) Wait() int64 { return ms(p.cfg.Wait) }

// UpdateInterval is the least time between two words about one incident, in ms.
func (p *Policy) UpdateInterval() int64 { return ms(p.cfg.UpdateInterval) }

// DigestTo are the receivers of the digest.
func (p *Policy) DigestTo() []string { return p.cfg.Digest.Receivers }

func ms(d model.Duration) int64 { return int64(d) / 1e6 }
