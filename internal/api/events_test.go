package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/norn-aiops/norn/internal/api"
)

// stream is one console that follows the events.
type stream struct {
	t     *testing.T
	resp  *http.Response
	lines *bufio.Scanner
	close context.CancelFunc
}

func follow(t *testing.T, url string, header http.Header) *stream {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, "GET", url+"/api/v1/events", nil)
	must(t, err)
	if header != nil {
		r.Header = header
	}
	resp, err := http.DefaultClient.Do(r)
	must(t, err)
	s := &stream{t: t, resp: resp, lines: bufio.NewScanner(resp.Body), close: cancel}
	t.Cleanup(func() {
		cancel()
		_ = resp.Body.Close()
	})
	if resp.StatusCode != http.StatusOK || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		t.Fatalf("events: %s, %s", resp.Status, resp.Header.Get("Content-Type"))
	}
	return s
}

// next reads up to the end of one event and gives its fields.
func (s *stream) next() (fields map[string]string, e api.Event) {
	s.t.Helper()
	fields = map[string]string{}
	for s.lines.Scan() {
		line := s.lines.Text()
		if line == "" && len(fields) > 0 {
			must(s.t, json.Unmarshal([]byte(fields["data"]), &e))
			return fields, e
		}
		if k, v, found := strings.Cut(line, ":"); found {
			fields[k] = strings.TrimPrefix(v, " ")
		}
	}
	s.t.Fatalf("the stream ended: %v", s.lines.Err())
	return nil, e
}

// nextOf skips pings.
func (s *stream) nextOf(k api.EventKind) api.Event {
	s.t.Helper()
	for {
		if _, e := s.next(); e.Kind == k {
			return e
		}
	}
}

func serve(t *testing.T, o api.Options) string {
	t.Helper()
	srv := httptest.NewServer(api.New(o))
	t.Cleanup(srv.Close)
	return srv.URL
}

func send(t *testing.T, url, body string) *http.Response {
	t.Helper()
	resp, err := http.Post(url, "application/json", strings.NewReader(body))
	must(t, err)
	_, err = io.Copy(io.Discard, resp.Body)
	must(t, err)
	must(t, resp.Body.Close())
	return resp
}

// Two consoles are open; one person acknowledges the incident; both hear of it.
func TestEveryConsoleHearsOfAChangedIncident(t *testing.T) {
	s := openSample(t, 1, false, sampleEnd)
	url := serve(t, s.options())
	// A browser offers compression; a compressed stream would be held back.
	a, b := follow(t, url, http.Header{"Accept-Encoding": {"gzip"}}), follow(t, url, nil)
	for _, c := range []*stream{a, b} {
		fields, first := c.next()
		if first.Kind != api.EventPing || first.Time != s.end || fields["retry"] != "2000" {
			t.Errorf("the first event is %+v with %v, want a ping at once that says when to try again", first, fields)
		}
	}
	if enc := a.resp.Header.Get("Content-Encoding"); enc != "" {
		t.Errorf("the stream is encoded as %s", enc)
	}
	if cc := a.resp.Header.Get("Cache-Control"); !strings.Contains(cc, "no-store") && !strings.Contains(cc, "no-cache") {
		t.Errorf("the stream may be cached: %q", cc)
	}
	if resp := send(t, url+"/api/v1/incidents/inc-000/acknowledge", `{"who":"bo"}`); resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status)
	}
	for _, c := range []*stream{a, b} {
		if e := c.nextOf(api.EventIncident); e.ID != "inc-000" || e.Text != "acknowledged" {
			t.Errorf("heard %+v", e)
		}
	}
}

// The connection breaks and the browser comes back with the id that it saw
// last. Events are hints, not data: it is simply heard again from now on.
func TestAConsoleThatComesBackHearsFurtherChanges(t *testing.T) {
	s := openSample(t, 1, false, sampleEnd)
	url := serve(t, s.options())
	first := follow(t, url, nil)
	first.next()
	first.close()
	send(t, url+"/api/v1/incidents/inc-000/comment", `{"text":"while it was away"}`)
	again := follow(t, url, http.Header{"Last-Event-ID": {"17"}})
	again.next()
	send(t, url+"/api/v1/incidents/inc-000/resolve", `{}`)
	if e := again.nextOf(api.EventIncident); e.Text != "resolved" {
		t.Errorf("heard %+v, want what happened after it came back", e)
	}
}

func TestAConsoleThatGoesAwayIsReleased(t *testing.T) {
	s := openSample(t, 1, false, sampleEnd)
	url := serve(t, s.options())
	var open []*stream
	for range 5 {
		c := follow(t, url, nil)
		c.next()
		open = append(open, c)
	}
	if n := s.live.readers(); n != 5 {
		t.Fatalf("%d readers, want 5", n)
	}
	for _, c := range open {
		c.close()
	}
	for s.live.readers() > 0 { // the test's own deadline ends a loop that hangs
		time.Sleep(time.Millisecond)
	}
}

// A console cannot send headers with its stream: the cookie of the login opens it.
func TestTheStreamNeedsTheTokenAndTakesTheLoginsCookie(t *testing.T) {
	s := openSample(t, 0, false, sampleEnd)
	o := s.options()
	o.Token = "right"
	url := serve(t, o)
	resp, err := http.Get(url + "/api/v1/events")
	must(t, err)
	must(t, resp.Body.Close())
	if resp.StatusCode != http.StatusUnauthorized {
		t.Fatalf("without a token: %s", resp.Status)
	}
	if r := send(t, url+"/api/v1/login", `{"token":"wrong"}`); r.StatusCode != http.StatusUnauthorized || len(r.Cookies()) != 0 {
		t.Fatalf("a wrong token logs in: %s", r.Status)
	}
	login := send(t, url+"/api/v1/login", `{"token":"right"}`)
	if len(login.Cookies()) != 1 || !login.Cookies()[0].HttpOnly || login.Cookies()[0].SameSite != http.SameSiteStrictMode {
		t.Fatalf("login: %s with cookies %v", login.Status, login.Cookies())
	}
	c := follow(t, url, http.Header{"Cookie": {login.Cookies()[0].Name + "=" + login.Cookies()[0].Value}})
	if _, e := c.next(); e.Kind != api.EventPing {
		t.Errorf("heard %+v", e)
	}
	out := send(t, url+"/api/v1/logout", "")
	if out.StatusCode != http.StatusUnauthorized && (len(out.Cookies()) != 1 || out.Cookies()[0].MaxAge >= 0) {
		t.Errorf("logout: %s with cookies %v", out.Status, out.Cookies())
	}
}
