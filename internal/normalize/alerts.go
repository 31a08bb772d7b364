package normalize

import (
	"fmt"
	"strings"

	"github.com/cespare/xxhash/v2"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/norn-aiops/norn/internal/telemetry"
)

// Alert makes another tool's alert uniform in place: the severity becomes
// critical, warning or info; name, entity and fingerprint are filled in when
// they are missing; an end before the start becomes the start.
func (n *LogNormalizer) Alert(a *telemetry.Alert) {
	word := a.Severity
	for _, k := range []string{"severity", "priority", "level", "urgency"} {
		if word == "" {
			word = a.Labels[k]
		}
	}
	a.Severity = alertSeverity(word)
	if a.Name == "" {
		a.Name = a.Labels["alertname"]
	}
	if a.Entity.IsZero() && len(a.Labels) > 0 {
		if v := a.Labels["entity"]; v != "" {
			a.Entity = telemetry.ParseEntity(v)
		} else {
			a.Entity, _, _ = EntityOfLabels(labels.FromMap(a.Labels))
		}
	}
	if a.Fingerprint == "" {
		a.Fingerprint = fingerprint(a)
	}
	if a.EndsAt != 0 && a.EndsAt < a.StartsAt {
		a.EndsAt = a.StartsAt
	}
	if n.cfg.NoMask {
		return
	}
	for k, v := range a.Annotations {
		if m, changed := n.mask.Mask(n.clean(v)); changed {
			a.Annotations[k] = m
		}
	}
}

// fingerprint is the hex xxhash64 of the sorted labels, or of source and name
// for an alert without labels.
func fingerprint(a *telemetry.Alert) string {
	var b strings.Builder
	for _, k := range sortedKeys(a.Labels) {
		b.WriteString(k + "\x00" + a.Labels[k] + "\x00")
	}
	if b.Len() == 0 {
		b.WriteString(a.Source + "\x00" + a.Name)
	}
	return fmt.Sprintf("%016x", xxhash.Sum64String(b.String()))
}

// alertSeverity maps the words and codes of alerting tools; what it does not
// know is a warning.
func alertSeverity(w string) string {
	switch strings.ToLower(strings.TrimSpace(w)) {
	case "critical", "crit", "page", "paging", "fatal", "emergency", "emerg", "disaster", "alert", "error", "err", "high", "severe",
		"p0", "p1", "sev0", "sev1", "s1", "1", "urgent", "major":
		return "critical"
	case "info", "information", "informational", "none", "low", "notice", "ok", "debug", "p4", "p5", "sev4", "sev5", "4", "5", "ticket":
		return "info"
	}
	return "warning"
}
