package file

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/norn-aiops/norn/internal/ingest"
	"github.com/norn-aiops/norn/internal/store"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// Local is a target in this process.
type Local struct {
	Sink ingest.Sink
	Logs store.Logs
}

// lastQuery finds the last record of a file.
func lastQuery(id string) string {
	return fmt.Sprintf(`%q:=%q | sort by (%q desc) limit 1`, attrID, id, attrOffset)
}

// Send implements [Target].
func (l Local) Send(ctx context.Context, recs []telemetry.LogRecord) (ingest.Result, error) {
	return l.Sink.Logs(ctx, recs)
}

// Last implements [Target].
func (l Local) Last(ctx context.Context, id string) (p Place, err error) {
	l.Logs.FlushLogs()
	err = l.Logs.SearchLogs(ctx, store.LogQuery{Query: lastQuery(id)}, func(r store.Row) bool {
		p, err = place(r["_time"], r[attrOffset])
		return false
	})
	return p, err
}

func place(at, offset string) (Place, error) {
	n, err := strconv.ParseInt(offset, 10, 64)
	if err != nil {
		return Place{}, fmt.Errorf("the record's place %q is no number", offset)
	}
	t, err := time.Parse(time.RFC3339Nano, at)
	if err != nil {
		return Place{}, fmt.Errorf("the record's time %q is none", at)
	}
	return Place{Offset: n, Time: t.UnixNano(), Found: true}, nil
}

// Remote is a running server, asked over HTTP.
type Remote struct {
	Base  string // http://host:port
	Token string
	// Patience is how long to go on trying when the server does not answer or
	// cannot store; 0 means a minute.
	Patience time.Duration
	Client   *http.Client // nil means one with a time limit of two minutes
}

// Send implements [Target].
func (r Remote) Send(ctx context.Context, recs []telemetry.LogRecord) (ingest.Result, error) {
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false)
	for i := range recs {
		if err := enc.Encode(wire(&recs[i])); err != nil {
			return ingest.Result{}, fmt.Errorf("cannot write a record: %w", err)
		}
	}
	var rep struct {
		Accepted, Duplicates, Rejected int
		Errors                         []struct {
			Line           int
			Reason, Detail string
		}
		Error string
	}
	status, err := r.persist(ctx, http.MethodPost, "/api/v1/import/logs?history=true", body.Bytes(), &rep)
	if err != nil {
		return ingest.Result{}, err
	}
	if rep.Accepted+rep.Duplicates+rep.Rejected != len(recs) {
		return ingest.Result{}, fmt.Errorf("the server took %d of %d records (HTTP %d): %s", rep.Accepted, len(recs), status, rep.Error)
	}
	res := ingest.Result{Accepted: rep.Accepted, Duplicates: rep.Duplicates}
	for _, e := range rep.Errors {
		res.Rejected = append(res.Rejected, ingest.Rejected{Index: e.Line - 1, Reason: e.Reason, Detail: e.Detail})
	}
	for n := rep.Rejected - len(rep.Errors); n > 0 && len(rep.Errors) > 0; n-- { // the answer lists the first only
		res.Rejected = append(res.Rejected, ingest.Rejected{Index: -1, Reason: rep.Errors[len(rep.Errors)-1].Reason})
	}
	return res, nil
}

// wire is a record as the import of JSON lines reads it.
func wire(rec *telemetry.LogRecord) map[string]string {
	m := make(map[string]string, 4+len(rec.Attributes)+len(rec.Resource))
	for _, a := range rec.Attributes {
		m[a.Key] = a.Value
	}
	for _, a := range rec.Resource {
		key := a.Key
		if name, ok := strings.CutPrefix(key, "syslog."); ok && (name == "appname" || name == "procid") {
			key = map[string]string{"appname": "program", "procid": "procid"}[name]
		}
		m[key] = a.Value
	}
	m["@timestamp"], m["message"] = strconv.FormatInt(rec.Time, 10), rec.Body
	if rec.SeverityText != "" {
		m["log.level"] = rec.SeverityText
	}
	if rec.TraceID != "" {
		m["trace.id"] = rec.TraceID
	}
	if rec.SpanID != "" {
		m["span.id"] = rec.SpanID
	}
	return m
}

// Last implements [Target].
func (r Remote) Last(ctx context.Context, id string) (Place, error) {
	q := url.Values{"query": {lastQuery(id)}, "from": {"0"}, "limit": {"1"}, "fresh": {"true"}}
	var list struct {
		Lines []struct {
			Time   string
			Fields map[string]string
		}
	}
	status, err := r.persist(ctx, http.MethodGet, "/api/v1/logs?"+q.Encode(), nil, &list)
	if err != nil {
		return Place{}, err
	}
	if status != http.StatusOK {
		return Place{}, fmt.Errorf("the server answers %d", status)
	}
	if len(list.Lines) == 0 {
		return Place{}, nil
	}
	return place(list.Lines[0].Time, list.Lines[0].Fields[attrOffset])
}

// persist asks until the server answers with something else than 503.
func (r Remote) persist(ctx context.Context, method, path string, body []byte, into any) (status int, err error) {
	patience := r.Patience
	if patience <= 0 {
		patience = time.Minute
	}
	ctx, cancel := context.WithTimeoutCause(ctx, 10*patience, errors.New("the server takes too long"))
	defer cancel()
	deadline := time.Now().Add(patience)
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		status, err = r.ask(ctx, method, path, body, into)
		if err == nil && status != http.StatusServiceUnavailable || ctx.Err() != nil || time.Now().After(deadline) {
			break
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
	if err == nil && status == http.StatusServiceUnavailable {
		err = errors.New("the server cannot store at the moment (HTTP 503)")
	}
	if err == nil && (status == http.StatusUnauthorized || status == http.StatusForbidden) {
		err = fmt.Errorf("the server refuses (HTTP %d): --token is needed", status)
	}
	return status, err
}

func (r Remote) ask(ctx context.Context, method, path string, body []byte, into any) (int, error) {
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(r.Base, "/")+path, bytes.NewReader(body))
	if err != nil {
		return 0, fmt.Errorf("cannot ask the server: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-ndjson")
	if r.Token != "" {
		req.Header.Set("Authorization", "Bearer "+r.Token)
	}
	c := r.Client
	if c == nil {
		c = &http.Client{Timeout: 2 * time.Minute}
	}
	resp, err := c.Do(req)
	if err != nil {
		return 0, fmt.Errorf("cannot reach the server: %w", err)
	}
	defer func() { _ = resp.Body.Close() }() // read to its end
	raw, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err != nil {
		return 0, fmt.Errorf("cannot read the server's answer: %w", err)
	}
	if resp.StatusCode == http.StatusServiceUnavailable || resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden {
		return resp.StatusCode, nil
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return resp.StatusCode, fmt.Errorf("cannot understand the server's answer (HTTP %d): %w", resp.StatusCode, err)
	}
	return resp.StatusCode, nil
}
