package tools

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/norn-aiops/norn/internal/ingest"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// grafana reads the webhook of Grafana's alerting, which Alertmanager's own
// webhook shares.
func grafana(body []byte, now time.Time, limit int) ([]telemetry.Alert, []ingest.Refusal, error) {
	var sent struct {
		Alerts []struct {
			Status       string            `json:"status"`
			Labels       map[string]string `json:"labels"`
			Annotations  map[string]string `json:"annotations"`
			StartsAt     string            `json:"startsAt"`
			EndsAt       string            `json:"endsAt"`
			GeneratorURL string            `json:"generatorURL"`
			Fingerprint  string            `json:"fingerprint"`
		} `json:"alerts"`
	}
	if err := json.Unmarshal(body, &sent); err != nil {
		return nil, nil, fmt.Errorf("parse Grafana's webhook: %w", err)
	}
	if sent.Alerts == nil {
		return nil, nil, errors.New("parse Grafana's webhook: there is no list \"alerts\"")
	}
	if len(sent.Alerts) > limit {
		return nil, nil, &ingest.RequestError{Status: http.StatusRequestEntityTooLarge, Reason: "batch_too_large",
			Err: fmt.Errorf("%d alerts in one request, the limit is %d", len(sent.Alerts), limit)}
	}
	var out []telemetry.Alert
	var refused []ingest.Refusal
	for i, s := range sent.Alerts {
		start, err1 := moment("startsAt", s.StartsAt, now)
		end, err2 := moment("endsAt", s.EndsAt, now)
		err := errors.Join(err1, err2)
		switch {
		case err != nil:
			refused = append(refused, ingest.Refusal{Code: "bad_timestamp", Detail: fmt.Sprintf("alert %d: %v", i, err)})
			continue
		case len(s.Labels) == 0:
			refused = append(refused, ingest.Refusal{Code: "invalid_labels", Detail: fmt.Sprintf("alert %d: at least one label is needed", i)})
			continue
		case s.Status != "firing" && s.Status != "resolved":
			refused = append(refused, ingest.Refusal{Code: "bad_status", Detail: fmt.Sprintf("alert %d: status %.50q is neither firing nor resolved", i, s.Status)})
			continue
		}
		a := telemetry.Alert{Fingerprint: s.Fingerprint, Name: s.Labels["alertname"], Labels: s.Labels, Annotations: s.Annotations,
			Severity: s.Labels["severity"], StartsAt: start.UnixMilli(), Link: s.GeneratorURL}
		if s.Status == "resolved" {
			a.EndsAt = end.UnixMilli()
		}
		out = append(out, a)
	}
	return out, refused, nil
}

// pagerduty reads one event of PagerDuty's Events API v2.
func pagerduty(body []byte, now time.Time, _ int) ([]telemetry.Alert, []ingest.Refusal, error) {
	var e struct {
		Action   string `json:"event_action"`
		DedupKey string `json:"dedup_key"`
		Client   string `json:"client_url"`
		Payload  struct {
			Summary   string         `json:"summary"`
			Source    string         `json:"source"`
			Severity  string         `json:"severity"`
			Timestamp string         `json:"timestamp"`
			Component string         `json:"component"`
			Group     string         `json:"group"`
			Class     string         `json:"class"`
			Details   map[string]any `json:"custom_details"`
		} `json:"payload"`
	}
	if err := json.Unmarshal(body, &e); err != nil {
		return nil, nil, fmt.Errorf("parse PagerDuty's event: %w", err)
	}
	p := e.Payload
	when, err := moment("timestamp", p.Timestamp, now)
	switch {
	case err != nil:
		return refuse("bad_timestamp", err.Error())
	case e.Action != "trigger" && e.Action != "resolve" && e.Action != "acknowledge":
		return nil, nil, fmt.Errorf("event_action %.50q is not one of trigger, acknowledge, resolve", e.Action)
	case e.Action == "acknowledge":
		return nil, nil, nil // somebody works on it there: nothing that Norn could say
	case e.Action == "trigger" && (p.Summary == "" || p.Source == ""):
		return nil, nil, errors.New("payload.summary and payload.source are needed")
	case e.Action == "resolve" && e.DedupKey == "":
		return nil, nil, errors.New("dedup_key is needed to resolve")
	}
	a := telemetry.Alert{Fingerprint: e.DedupKey, Name: p.Summary, Severity: p.Severity, StartsAt: when.UnixMilli(), Link: e.Client,
		Labels: details(p.Details), Annotations: map[string]string{}}
	for k, v := range map[string]string{"host": p.Source, "service": p.Component, "group": p.Group, "class": p.Class} {
		if a.Labels[k] == "" && v != "" {
			a.Labels[k] = v
		}
	}
	if e.Action == "resolve" {
		a.EndsAt = when.UnixMilli()
	}
	return []telemetry.Alert{a}, nil, nil
}

// details keeps the plain values of free-form details.
func details(in map[string]any) map[string]string {
	out := map[string]string{}
	for k, v := range in {
		switch v := v.(type) {
		case string:
			out[k] = v
		case float64, bool:
			out[k] = fmt.Sprint(v)
		}
	}
	return out
}

// zabbix reads what the media type of docs/ingest.md sends: macros by name.
func zabbix(body []byte, now time.Time, _ int) ([]telemetry.Alert, []ingest.Refusal, error) {
	var e map[string]any
	if err := json.Unmarshal(body, &e); err != nil {
		return nil, nil, fmt.Errorf("parse Zabbix' webhook: %w", err)
	}
	f := details(e)
	if f["event_id"] == "" || f["name"] == "" {
		return nil, nil, errors.New("event_id and name are needed")
	}
	start, err1 := unix("time", f["time"], now)
	end, err2 := unix("recovery_time", f["recovery_time"], now)
	if err := errors.Join(err1, err2); err != nil {
		return refuse("bad_timestamp", err.Error())
	}
	a := telemetry.Alert{Fingerprint: f["event_id"], Name: f["name"], Severity: zabbixSeverity(f["severity"]), StartsAt: start.UnixMilli(), Link: f["url"],
		Labels: map[string]string{"host": f["host"]}, Annotations: map[string]string{"summary": f["message"]}}
	// {EVENT.TAGSJSON}: a list, as text or as it is.
	tags, _ := e["tags"].([]any)
	if text, ok := e["tags"].(string); ok && text != "" {
		if err := json.Unmarshal([]byte(text), &tags); err != nil {
			return refuse("invalid_labels", "tags are not {EVENT.TAGSJSON}")
		}
	}
	for _, t := range tags {
		if m, ok := t.(map[string]any); ok {
			k, _ := m["tag"].(string)
			v, _ := m["value"].(string)
			if k != "" {
				a.Labels[k] = v
			}
		}
	}
	if f["value"] == "0" {
		a.EndsAt = end.UnixMilli()
	}
	return []telemetry.Alert{a}, nil, nil
}

// zabbixSeverity unifies the names and numbers of Zabbix.
func zabbixSeverity(s string) string {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "4", "5", "high", "disaster":
		return "critical"
	case "2", "3", "warning", "average":
		return "warning"
	}
	return "info"
}

// nagios reads what the notification command of docs/ingest.md sends, of Nagios
// and of Icinga alike.
func nagios(body []byte, now time.Time, _ int) ([]telemetry.Alert, []ingest.Refusal, error) {
	var e map[string]any
	if err := json.Unmarshal(body, &e); err != nil {
		return nil, nil, fmt.Errorf("parse the notification: %w", err)
	}
	f := details(e)
	if f["host"] == "" {
		return nil, nil, errors.New("host is needed")
	}
	when, err := unix("time", f["time"], now)
	if err != nil {
		return refuse("bad_timestamp", err.Error())
	}
	a := telemetry.Alert{Fingerprint: f["host"] + "\x00" + f["service"], Name: f["service"], StartsAt: when.UnixMilli(), Link: f["url"],
		Labels: map[string]string{"host": f["host"], "check": f["service"]}, Annotations: map[string]string{"summary": f["output"]}}
	if a.Name == "" {
		a.Name = "host " + f["host"]
	}
	switch state := strings.ToUpper(f["state"]); state {
	case "OK", "UP":
		a.EndsAt = when.UnixMilli()
	case "CRITICAL", "DOWN", "UNREACHABLE":
		a.Severity = "critical"
	case "WARNING", "UNKNOWN":
		a.Severity = "warning"
	default:
		return nil, nil, fmt.Errorf("state %.50q is not one of OK, WARNING, CRITICAL, UNKNOWN, UP, DOWN, UNREACHABLE", state)
	}
	switch strings.ToUpper(f["type"]) {
	case "", "PROBLEM", "RECOVERY":
		return []telemetry.Alert{a}, nil, nil
	}
	return nil, nil, nil // acknowledgements, downtimes, flapping: no news of the host
}

func moment(field, s string, now time.Time) (time.Time, error) {
	if s == "" {
		return now, nil
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return t, fmt.Errorf("%s %.50q is not RFC 3339", field, s)
	}
	if t.Year() <= 1 {
		return now, nil
	}
	if t.Year() < 1970 || t.Year() > 2261 {
		return t, fmt.Errorf("%s %.50q is out of range", field, s)
	}
	return t, nil
}

// unix reads Unix seconds; "" is now.
func unix(field, s string, now time.Time) (time.Time, error) {
	if s == "" {
		return now, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > 1<<33 {
		if f, ferr := strconv.ParseFloat(s, 64); ferr == nil && f >= 0 && f < 1<<33 {
			return time.Unix(int64(f), 0), nil
		}
		return time.Time{}, fmt.Errorf("%s %.50q is not Unix seconds", field, s)
	}
	return time.Unix(n, 0), nil
}

// refuse is the answer to an alert that cannot be taken, though its message was
// understood.
func refuse(code, detail string) ([]telemetry.Alert, []ingest.Refusal, error) {
	return nil, []ingest.Refusal{{Code: code, Detail: detail}}, nil
}
