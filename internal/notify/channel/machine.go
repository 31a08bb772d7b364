package channel

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/norn-aiops/norn/internal/notify"
	"github.com/norn-aiops/norn/internal/ops"
)

// Webhook posts the message as JSON. With a secret the body is signed:
// X-Norn-Signature is "sha256=" and the hexadecimal HMAC-SHA256 of the body.
// Idempotency-Key is the same at each attempt.
type Webhook struct {
	URL, Secret string
	Headers     map[string]string
}

type webhook struct {
	*poster
	Webhook
}

// NewWebhook makes a webhook.
func NewWebhook(c Webhook) Channel {
	secrets := []string{c.Secret, c.URL}
	for _, v := range c.Headers {
		secrets = append(secrets, v)
	}
	return &webhook{newPoster(secrets...), c}
}

func (w *webhook) Edits() bool { return true }

func (w *webhook) Send(ctx context.Context, n Note) (string, error) {
	raw, err := json.Marshal(struct {
		Version int    `json:"version"`
		Key     string `json:"key"`
		*ops.Message
		PNG []byte `json:"chart_png,omitempty"`
	}{1, n.Key, n.Message, n.PNG})
	if err != nil {
		return "", fmt.Errorf("%w: cannot encode the message: %w", ErrRefused, err)
	}
	h := map[string]string{"Content-Type": "application/json", "Idempotency-Key": n.Key}
	for k, v := range w.Headers {
		h[k] = v
	}
	if w.Secret != "" {
		mac := hmac.New(sha256.New, []byte(w.Secret))
		mac.Write(raw)
		h["X-Norn-Signature"] = "sha256=" + hex.EncodeToString(mac.Sum(nil))
	}
	return "", w.send(ctx, http.MethodPost, w.URL, h, raw, nil)
}

// PagerDuty sends events of API v2; an incident is one alert there, by its
// dedup_key (https://developer.pagerduty.com/docs/events-api-v2-overview).
type PagerDuty struct {
	RoutingKey, URL string // URL: https://events.pagerduty.com/v2/enqueue when empty
}

type pagerDuty struct {
	*poster
	PagerDuty
}

// NewPagerDuty makes a PagerDuty channel.
func NewPagerDuty(c PagerDuty) Channel {
	if c.URL == "" {
		c.URL = "https://events.pagerduty.com/v2/enqueue"
	}
	return &pagerDuty{newPoster(c.RoutingKey), c}
}

func (p *pagerDuty) Edits() bool { return true }

func (p *pagerDuty) Send(ctx context.Context, n Note) (string, error) {
	m := n.Message
	action := map[string]string{ops.NoticeResolved: "resolve", ops.NoticeAcknowledged: "acknowledge"}[m.Change]
	if action == "" {
		action = "trigger"
	}
	key := m.Incident
	if key == "" {
		key = n.Key
	}
	severity := map[ops.Level]string{ops.LevelCritical: "critical", ops.LevelMajor: "error", ops.LevelMinor: "warning"}[m.Severity]
	if severity == "" {
		severity = "info"
	}
	source := m.Root.String()
	if source == "" {
		source = "norn"
	}
	body := map[string]any{"routing_key": p.RoutingKey, "event_action": action, "dedup_key": "norn-" + key, "client": "Norn",
		"payload": map[string]any{"summary": cut(notify.Head(m), 1000), "source": source, "severity": severity, "group": m.Team,
			"custom_details": map[string]any{"cause": m.Sentence, "impact": m.Impact, "evidence": m.Evidence, "changes": m.Changes, "action": m.Action}}}
	if m.Link != "" {
		body["client_url"], body["links"] = m.Link, []any{map[string]string{"href": m.Link, "text": "Incident in Norn"}}
	}
	return "", p.json(ctx, http.MethodPost, p.URL, nil, body, nil)
}

// Opsgenie makes, notes and closes alerts by their alias
// (https://docs.opsgenie.com/docs/alert-api).
type Opsgenie struct {
	Key, URL string // URL: https://api.opsgenie.com when empty
}

type opsgenie struct {
	*poster
	Opsgenie
}

// NewOpsgenie makes an Opsgenie channel.
func NewOpsgenie(c Opsgenie) Channel {
	if c.URL == "" {
		c.URL = "https://api.opsgenie.com"
	}
	return &opsgenie{newPoster(c.Key), c}
}

func (o *opsgenie) Edits() bool { return true }

func (o *opsgenie) Send(ctx context.Context, n Note) (string, error) {
	m := n.Message
	key := m.Incident
	if key == "" {
		key = n.Key
	}
	base := strings.TrimRight(o.URL, "/") + "/v2/alerts"
	on := func(verb string) string {
		return base + "/" + url.PathEscape("norn-"+key) + "/" + verb + "?identifierType=alias"
	}
	header := map[string]string{"Authorization": "GenieKey " + o.Key}
	note := map[string]any{"source": "Norn", "note": cut(notify.Head(m)+"\n"+notify.Text(m), 20_000)}
	switch {
	case m.Change == ops.NoticeResolved:
		return "", o.json(ctx, http.MethodPost, on("close"), header, note, nil)
	case m.Change == ops.NoticeAcknowledged:
		return "", o.json(ctx, http.MethodPost, on("acknowledge"), header, note, nil)
	case m.Change == ops.NoticeCause || m.Change == ops.NoticeSeverity:
		return "", o.json(ctx, http.MethodPost, on("notes"), header, note, nil)
	}
	priority := map[ops.Level]string{ops.LevelCritical: "P1", ops.LevelMajor: "P2", ops.LevelMinor: "P3"}[m.Severity]
	if priority == "" {
		priority = "P5"
	}
	return "", o.json(ctx, http.MethodPost, base, header, map[string]any{"message": cut(notify.Head(m), 130), "alias": "norn-" + key,
		"description": cut(notify.Text(m), 15_000), "source": "Norn", "priority": priority, "entity": m.Root.String(),
		"details": map[string]string{"incident": m.Incident, "team": m.Team, "link": m.Link}}, nil)
}
