package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/store"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// norn speaks to Norn as any outsider does: over its HTTP API. Safe for
// concurrent use.
type norn struct {
	base   string // "http://127.0.0.1:8080"
	client *http.Client
}

func newNorn(base string) *norn {
	return &norn{base: strings.TrimRight(base, "/"), client: &http.Client{Timeout: 20 * time.Second}}
}

// incident is what the demo reads of an incident in Norn's list.
type incident struct {
	ID       string           `json:"id"`
	State    ops.State        `json:"state"`
	Title    string           `json:"title"`
	Sentence string           `json:"sentence"`
	Verdict  ops.Verdict      `json:"verdict"`
	Opened   int64            `json:"opened_unix_ms"`
	Merged   string           `json:"merged_into"`
	Root     telemetry.Entity `json:"root"`
	Causes   []ops.Cause      `json:"causes"`
}

// text is the incident in one line.
func (in *incident) text() string {
	if in.Title != "" {
		return in.Title
	}
	return in.Sentence
}

// first is the first cause: the root, else the best of the causes.
func (in *incident) first() telemetry.Entity {
	if in.Root.IsZero() && len(in.Causes) > 0 {
		return in.Causes[0].Entity
	}
	return in.Root
}

// Incidents lists what Norn found, newest first.
func (n *norn) Incidents(ctx context.Context) ([]incident, error) {
	var out struct {
		Incidents []incident `json:"incidents"`
	}
	if err := n.get(ctx, "/api/v1/incidents", &out); err != nil {
		return nil, fmt.Errorf("demo: cannot read Norn's incidents: %w", err)
	}
	return out.Incidents, nil
}

// Incident reads one with its causes.
func (n *norn) Incident(ctx context.Context, id string) (incident, error) {
	var out incident
	if err := n.get(ctx, "/api/v1/incidents/"+url.PathEscape(id), &out); err != nil {
		return out, fmt.Errorf("demo: cannot read incident %s: %w", id, err)
	}
	return out, nil
}

// Change tells Norn of a change.
func (n *norn) Change(ctx context.Context, ch telemetry.Change) error {
	body, err := json.Marshal(map[string]any{
		"kind": ch.Kind, "entity": ch.Entity.String(), "title": ch.Title, "actor": ch.Actor,
		"time": time.UnixMilli(ch.Time).UTC().Format(time.RFC3339Nano),
	})
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, n.base+"/api/v1/changes", bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := n.client.Do(r)
	if err != nil {
		return fmt.Errorf("demo: cannot post a change: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 500)) // only to say why
		return fmt.Errorf("demo: cannot post a change: status %d: %s", resp.StatusCode, text)
	}
	return nil
}

// Series reads all series with their samples of the last while.
func (n *norn) Series(ctx context.Context, last time.Duration) ([]store.SeriesData, error) {
	var out struct {
		Data struct {
			Result []struct {
				Metric map[string]string    `json:"metric"`
				Values [][2]json.RawMessage `json:"values"`
			} `json:"result"`
		} `json:"data"`
	}
	q := url.Values{"query": {fmt.Sprintf(`{__name__=~".+"}[%ds]`, int(last.Seconds()))}}
	if err := n.get(ctx, "/prometheus/api/v1/query?"+q.Encode(), &out); err != nil {
		return nil, fmt.Errorf("demo: cannot read back the series: %w", err)
	}
	series := make([]store.SeriesData, 0, len(out.Data.Result))
	for _, r := range out.Data.Result {
		d := store.SeriesData{Labels: labels.FromMap(r.Metric)}
		for _, tv := range r.Values {
			s, err := sampleOf(tv)
			if err != nil {
				return nil, fmt.Errorf("demo: cannot read back %s: %w", d.Labels, err)
			}
			if !math.IsNaN(s.V) && !math.IsInf(s.V, 0) {
				d.Samples = append(d.Samples, s)
			}
		}
		series = append(series, d)
	}
	return series, nil
}

func sampleOf(tv [2]json.RawMessage) (s telemetry.Sample, err error) {
	var t float64
	var v string
	if err = json.Unmarshal(tv[0], &t); err != nil {
		return s, err
	}
	if err = json.Unmarshal(tv[1], &v); err != nil {
		return s, err
	}
	s.T = int64(math.Round(t * 1000))
	s.V, err = strconv.ParseFloat(v, 64)
	return s, err
}

// maxBody bounds what is read of an answer.
const maxBody = 64 << 20

func (n *norn) get(ctx context.Context, path string, into any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, n.base+path, nil)
	if err != nil {
		return err
	}
	resp, err := n.client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 500)) // only to say why
		return fmt.Errorf("status %d: %s", resp.StatusCode, text)
	}
	return json.NewDecoder(io.LimitReader(resp.Body, maxBody)).Decode(into)
}
