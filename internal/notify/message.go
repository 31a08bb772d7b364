package notify

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// maxEvidence and maxChanges bound a message.
const (
	maxEvidence = 3
	maxChanges  = 3
)

func rootOf(in *ops.Incident) (telemetry.Entity, telemetry.Signal) {
	if c := rootCause(in); c != nil {
		return c.Entity, c.Signal
	}
	return telemetry.Entity{}, ""
}

func rootCause(in *ops.Incident) *ops.Cause {
	for i := range in.Causes {
		if in.Causes[i].Role == ops.RoleRoot {
			return &in.Causes[i]
		}
	}
	return nil
}

// NewMessage says an incident in a message. base is the console's address.
func NewMessage(in *ops.Incident, change, base string) ops.Message {
	m := ops.Message{
		Incident: in.ID, Change: change, Title: in.Title, Sentence: in.Sentence, State: in.State, Severity: in.Level,
		Grounds: in.Grounds, Team: in.Team, Impact: in.ImpactText, Onset: in.Onset, Resolved: in.Resolved,
	}
	m.Root, _ = rootOf(in)
	for i := range in.Causes { // the root's own lines first; causes are best first
		for _, e := range in.Causes[i].Evidence {
			if len(m.Evidence) < maxEvidence && e.Text != "" {
				m.Evidence = append(m.Evidence, in.Causes[i].Entity.Name+": "+e.Text)
			}
		}
	}
	if len(m.Evidence) == 0 {
		for i := range in.Anomalies {
			if a := &in.Anomalies[i]; len(m.Evidence) < maxEvidence {
				m.Evidence = append(m.Evidence, strings.TrimSpace(fmt.Sprintf("%s: %s (%s) %s", a.Entity.Name, a.Series, a.Kind, a.Text)))
			}
		}
	}
	suspects := in.Changes
	if c := rootCause(in); c != nil && len(c.Changes) > 0 {
		suspects = c.Changes
		if in.State != ops.StateResolved {
			m.Action = fmt.Sprintf("Look at %q of %s first: it came just before. Undo it if nothing speaks against that.", c.Changes[0].Title, c.Changes[0].Entity.Name)
		}
	}
	for _, c := range suspects {
		if len(m.Changes) < maxChanges {
			m.Changes = append(m.Changes, fmt.Sprintf("%s %s: %s (%s)", time.UnixMilli(c.Time).UTC().Format("15:04 MST"), c.Entity.Name, c.Title, c.Kind))
		}
	}
	if base != "" {
		base = strings.TrimRight(base, "/")
		m.Link = base + "/incidents/" + in.ID
		m.Chart = base + "/api/v1/incidents/" + in.ID + "/chart.png"
	}
	return m
}

// Key is a delivery's identity: the same change of the same incident to the
// same receiver has the same one. times counts the changes that were told.
func Key(receiver, incident, change string, times int) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %d", receiver, incident, change, times))
	return hex.EncodeToString(sum[:12])
}

// Head is a message's first line.
func Head(m *ops.Message) string {
	word := map[string]string{
		ops.NoticeOpened: "", ops.NoticeReopened: "back: ", ops.NoticeCause: "new cause: ", ops.NoticeSeverity: "worse: ",
		ops.NoticeAcknowledged: string(m.State) + ": ", ops.NoticeEscalated: "nobody acknowledged: ", ops.NoticeResolved: "resolved: ",
	}[m.Change]
	if m.Severity == "" {
		return word + m.Title
	}
	return fmt.Sprintf("[%s] %s%s", m.Severity, word, m.Title)
}

// Text is a message in plain text, without its first line.
func Text(m *ops.Message) string {
	var b strings.Builder
	line := func(name, text string) {
		if text != "" {
			fmt.Fprintf(&b, "%s%s\n", name, text)
		}
	}
	line("", m.Sentence)
	line("Impact: ", m.Impact)
	line("Severity: ", join(string(m.Severity), m.Grounds))
	line("Team: ", m.Team)
	for _, e := range m.Evidence {
		line("- ", e)
	}
	for _, c := range m.Changes {
		line("Changed: ", c)
	}
	line("Try: ", m.Action)
	for _, l := range m.Lines {
		line("", l)
	}
	if m.Resolved > 0 && m.Resolved >= m.Onset {
		line("Lasted: ", (time.Duration(m.Resolved-m.Onset) * time.Millisecond).Round(time.Second).String())
	}
	line("", m.Link)
	return b.String()
}

func join(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + ", " + b
}
