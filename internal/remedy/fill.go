package remedy

import (
	"cmp"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

var placeholder = regexp.MustCompile(`\{([a-z_]+)\}`)

// placeholders lists what a runbook's text may name.
func placeholders() []string {
	return []string{"root", "kind", "signal", "series", "instance", "host", "peer", "victim", "change", "source", "port", "incident"}
}

var (
	addressLike = regexp.MustCompile(`[0-9A-Fa-f:.]{3,45}`)
	portLike    = regexp.MustCompile(`(?i)\b(?:port|dport|dpt)[ =:]+([0-9]{1,5})\b`)
	plain       = regexp.MustCompile(`^[\p{L}\p{N}._:/@+-]+$`)
)

// facts are the incident's entities by placeholder.
func facts(in *ops.Incident, root *ops.Cause) map[string]string {
	f := map[string]string{"root": root.Entity.Name, "kind": string(root.Entity.Kind), "signal": string(root.Signal), "incident": in.ID}
	if len(root.Evidence) > 0 {
		f["series"] = root.Evidence[0].Series
	}
	switch root.Entity.Kind {
	case telemetry.KindHost:
		f["host"] = root.Entity.Name
	case telemetry.KindInstance:
		f["instance"] = root.Entity.Name
	}
	for i := range in.Anomalies {
		a := &in.Anomalies[i]
		if a.Entity == root.Entity {
			f["instance"] = cmp.Or(f["instance"], a.Instance.Name)
			f["peer"] = cmp.Or(f["peer"], a.Peer.Name)
			f["series"] = cmp.Or(f["series"], a.Series)
		}
	}
	for _, l := range in.Links {
		if l.From == root.Entity && l.Kind == "runs_on" || l.From.Name == f["instance"] && l.To.Kind == telemetry.KindHost {
			f["host"] = cmp.Or(f["host"], l.To.Name)
		}
		if l.To == root.Entity && l.Kind == "calls" {
			f["peer"] = cmp.Or(f["peer"], l.From.Name)
		}
	}
	for i := range in.Causes {
		if in.Causes[i].Role == ops.RoleSymptom {
			f["victim"] = in.Causes[i].Entity.Name
			break
		}
	}
	if c := newest(root.Changes, in.Changes); c != nil {
		f["change"] = c.Title
	}
	for _, t := range incidentTexts(in, root) {
		f["source"] = cmp.Or(f["source"], foreignAddress(t.text))
		if m := portLike.FindStringSubmatch(t.text); m != nil {
			f["port"] = cmp.Or(f["port"], m[1])
		}
	}
	return f
}

func newest(lists ...[]telemetry.Change) *telemetry.Change {
	for _, l := range lists {
		if len(l) > 0 {
			c := slices.MaxFunc(l, func(a, b telemetry.Change) int { return cmp.Compare(a.Time, b.Time) })
			return &c
		}
	}
	return nil
}

// foreignAddress finds the first address in a text that could be a stranger's:
// no loopback, link-local, multicast or unspecified one.
func foreignAddress(text string) string {
	for _, w := range addressLike.FindAllString(text, -1) {
		a, err := netip.ParseAddr(strings.Trim(w, ".:"))
		if err == nil && builtinProtection(a.Unmap()) == "" {
			return a.Unmap().String()
		}
	}
	return ""
}

// fill puts facts into a text. What is not known is shown as <name> and noted
// in missing. Values come from telemetry, so in a text that somebody may paste
// into a shell they are quoted unless they are plain words.
func fill(text string, f map[string]string, missing map[string]bool) string {
	return placeholder.ReplaceAllStringFunc(text, func(p string) string {
		name := p[1 : len(p)-1]
		v := f[name]
		if v == "" {
			if missing != nil {
				missing[name] = true
			}
			return "<" + name + ">"
		}
		return quoted(v)
	})
}

// quoted is v without control characters, cut to a bearable length, in single
// quotes unless it is a plain word.
func quoted(v string) string {
	v = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return -1
		}
		return r
	}, v)
	if r := []rune(v); len(r) > 120 {
		v = string(r[:120])
	}
	if plain.MatchString(v) && !strings.HasPrefix(v, "-") {
		return v
	}
	return "'" + strings.ReplaceAll(v, "'", `'\''`) + "'"
}

type where struct {
	entity telemetry.Entity
	what   string // series, log pattern, alert, change
	text   string
}

// incidentTexts lists what the incident says in words, the root's own first.
func incidentTexts(in *ops.Incident, root *ops.Cause) []where {
	var own, others []where
	add := func(w where) {
		if w.text == "" {
			return
		}
		if w.entity == root.Entity {
			own = append(own, w)
		} else {
			others = append(others, w)
		}
	}
	for _, e := range root.Evidence {
		add(where{root.Entity, "series", e.Series})
		add(where{root.Entity, "evidence", e.Text})
	}
	for i := range in.Anomalies {
		a := &in.Anomalies[i]
		what := "series"
		switch a.Kind {
		case ops.AnomalyNewTemplate, ops.AnomalyLogRate, ops.AnomalyRare, ops.AnomalySeverity, ops.AnomalySequence:
			what = "log pattern"
		case ops.AnomalyAlert:
			what = "alert"
		}
		add(where{a.Entity, what, a.Series})
		add(where{a.Entity, what, a.Text})
	}
	for _, c := range root.Changes {
		add(where{root.Entity, "change", c.Title})
	}
	return append(own, others...)
}
