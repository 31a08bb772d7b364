package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/norn-aiops/norn/internal/demo/plan"
)

// screen is a terminal that a test can read while it is written.
type screen struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.String()
}

// parentMain is a demo run as a process of its own, for the test that kills
// it. It prints the ids of its children.
func parentMain() {
	o := Options{OTLP: "127.0.0.1:1", API: "http://127.0.0.1:1", Rate: 1, Out: os.Stdout}
	o, err := o.withDefaults()
	if err != nil {
		os.Exit(1)
	}
	d := &demo{o: o, dir: os.Args[2], plan: plan.Shop()}
	_ = d.withShop(context.Background(), func(ctx context.Context, ps *processes, _ *users) error {
		text, err := json.Marshal(ps.PIDs())
		if err != nil {
			return err
		}
		fmt.Printf("%s\n", text)
		<-ctx.Done()
		return nil
	})
	os.Exit(0)
}

// The demo is killed with SIGKILL: no process of the shop stays behind.
func TestKilledParentLeavesNoOrphans(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "demo-parent", t.TempDir())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pids := map[string]int{}
	if err := json.NewDecoder(out).Decode(&pids); err != nil {
		t.Fatal(err)
	}
	if len(pids) < 12 {
		t.Errorf("only %d processes: %v", len(pids), pids)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	for name, pid := range pids {
		until(t, name+" ends with its parent", func() bool { return dead(pid) })
	}
}

// A whole demo: a fault is injected, Norn (played by the test) names the true
// cause, a person posts another by hand, a bad one is refused with the field's
// name, and the table tells who was right.
func TestDemoTellsWhatNornFound(t *testing.T) {
	rec := record(t)
	fake := &fakeNorn{}
	api := httptest.NewServer(fake)
	defer api.Close()
	out := &screen{}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan error, 1)
	go func() {
		done <- Run(ctx, Options{OTLP: rec.addr, API: api.URL, Fault: "slow-query", Quiet: time.Second, Pause: time.Second, Seed: 3, Rate: 20, Window: time.Second, Rehearsal: time.Second, Out: out})
	}()
	until(t, "the fault is announced", func() bool {
		return strings.Contains(out.String(), "injected slow-query: slow_query 0.25 on orders->orders-db (a fault")
	})
	find := func(id, title, kind, name string) {
		fake.mu.Lock()
		defer fake.mu.Unlock()
		fake.incidents = append(fake.incidents, map[string]any{"id": id, "state": "open", "title": title, "verdict": "cause",
			"opened_unix_ms": time.Now().UnixMilli(), "root": map[string]string{"kind": kind, "name": name}})
	}
	find("i1", "orders-db is slow", "database", "orders-db")
	until(t, "Norn's answer is printed as right", func() bool {
		return regexp.MustCompile(`\d\d:\d\d:\d\d Norn: orders-db is slow \(found after \d+ s\) ✓`).MatchString(out.String())
	})
	url := regexp.MustCompile(`http://127\.0\.0\.1:\d+/faults`).FindString(out.String())
	status, body := send(t, http.MethodPost, url, "faults: [{target: cart, kind: latency, magnitude: 99}]", "")
	if status != http.StatusBadRequest || !strings.Contains(body, "faults[0].magnitude") {
		t.Errorf("a bad fault gave %d %s", status, body)
	}
	if status, _ := send(t, http.MethodPost, url, "[]", "http://evil.example"); status != http.StatusForbidden {
		t.Errorf("a web page elsewhere may inject: status %d", status)
	}
	status, body = send(t, http.MethodPost, url, "name: mine\nfaults: [{target: payment, kind: latency, magnitude: 1s, duration: 2m}]", "")
	if status != http.StatusCreated {
		t.Fatalf("posting a fault gave %d %s", status, body)
	}
	find("i2", "cart is slow", "service", "cart")
	until(t, "the wrong answer is marked", func() bool { return strings.Contains(out.String(), "Norn: cart is slow (found after") })
	if _, body = send(t, http.MethodGet, url, "", ""); !strings.Contains(body, `"mine"`) || !strings.Contains(body, `"memory-leak"`) {
		t.Errorf("the list lacks what is active or prepared: %s", body)
	}
	if status, body = send(t, http.MethodDelete, url, "", ""); status != http.StatusOK || !strings.Contains(body, `"ended":2`) {
		t.Errorf("ending all gave %d %s", status, body)
	}
	until(t, "both are over", func() bool {
		return strings.Contains(out.String(), "slow-query is over") && strings.Contains(out.String(), "mine is over")
	})
	cancel()
	if err := <-done; err != nil {
		t.Errorf("the demo ended with %v", err)
	}
	table := regexp.MustCompile(`(?s)slow-query +database/orders-db +\d+ s +database/orders-db +yes.*mine +service/payment +\d+ s +service/cart +no.*2 of 2 faults found, 1 with the right first cause; 0 false alarms`)
	if !table.MatchString(out.String()) {
		t.Errorf("the table is not as expected:\n%s", out)
	}
}

// Before the shop goes live, it is measured against another Norn, and its past
// is handed over in time order; the live samples come after.
func TestPastComesBeforeTheLiveShop(t *testing.T) {
	rec, scratch := record(t), record(t)
	fake := &fakeNorn{}
	api := httptest.NewServer(fake)
	defer api.Close()
	now := float64(time.Now().Unix())
	fake.series = fmt.Sprintf(`{"status":"success","data":{"resultType":"matrix","result":[
		{"metric":{"__name__":"norn_request_rate","entity":"service/orders"},"values":[[%f,"2.5"],[%f,"2.1"],[%f,"NaN"]]},
		{"metric":{"__name__":"up","job":"other"},"values":[[%f,"1"]]}]}}`, now-20, now-10, now, now)
	var mu sync.Mutex
	var past []Sample
	phases := map[string]bool{}
	out := &screen{}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan error, 1)
	go func() {
		done <- Run(ctx, Options{OTLP: rec.addr, API: api.URL, Rate: 20, Out: out, Seed: 1, MeasureFor: 3 * time.Second, History: 24 * time.Hour, MetricInterval: time.Second, Window: time.Second, Rehearsal: time.Second,
			Calibrate: func(ctx context.Context, run func(context.Context, string, string) error) error {
				return run(ctx, scratch.addr, api.URL)
			},
			Append: func(_ context.Context, ss []Sample) error {
				mu.Lock()
				defer mu.Unlock()
				if n := len(rec.spans(time.Time{}, func(*span) bool { return true })); n > 0 {
					t.Errorf("%d live spans came before the past was complete", n)
				}
				past = append(past, ss...)
				return nil
			},
			Progress: func(phase string, x float64) {
				mu.Lock()
				defer mu.Unlock()
				phases[phase] = true
				if x < 0 || x > 1 {
					t.Errorf("progress of %g in %s", x, phase)
				}
			}})
	}()
	until(t, "the live shop sends", func() bool { return len(rec.spans(time.Time{}, func(*span) bool { return true })) > 0 })
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if len(scratch.spans(time.Time{}, func(*span) bool { return true })) == 0 {
		t.Error("nothing was measured")
	}
	mu.Lock()
	defer mu.Unlock()
	if len(past) < 2000 || len(phases) != 3 {
		t.Errorf("%d samples of the past, phases %v", len(past), phases)
	}
	for i := range past {
		if past[i].Labels.Get("entity") != "service/orders" || (i > 0 && past[i].T <= past[i-1].T) {
			t.Fatalf("sample %d is %+v after %+v", i, past[i], past[max(0, i-1)])
		}
	}
}

func send(t *testing.T, method, url, body, origin string) (int, string) {
	t.Helper()
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if origin != "" {
		r.Header.Set("Origin", origin)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(data)
}

// Wrong options are told before anything starts.
func TestWrongOptionsAreTold(t *testing.T) {
	cases := []struct {
		o    Options
		want string
	}{
		{Options{}, "needs Norn's OTLP and HTTP addresses"},
		{Options{OTLP: "x", API: "y", Fault: "no-such"}, `there is no fault "no-such"`},
	}
	for _, c := range cases {
		if err := Run(context.Background(), c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
}

// The endpoint for faults cannot be opened to the network.
func TestEndpointStaysOnLoopback(t *testing.T) {
	for _, addr := range []string{"0.0.0.0:0", ":0", "192.0.2.1:80", "nonsense"} {
		c := &control{}
		if _, _, err := c.listen(t.Context(), addr); err == nil {
			t.Errorf("%q was accepted", addr)
		}
	}
}

// With the same seed the programme is the same, all prepared faults come
// before any comes twice, and it never begins with the surge.
func TestProgrammeIsSeeded(t *testing.T) {
	order := func(seed uint64) []string {
		next := (&demo{o: Options{Seed: seed}}).programme()
		var out []string
		for range 2 * len(Faults()) {
			s, _ := next()
			out = append(out, s.Name)
		}
		return out
	}
	for seed := range uint64(20) {
		a, b := order(seed), order(seed)
		if strings.Join(a, " ") != strings.Join(b, " ") {
			t.Fatalf("seed %d gave %v and %v", seed, a, b)
		}
		if a[0] == "surge" {
			t.Errorf("seed %d begins with the surge", seed)
		}
		first := map[string]bool{}
		for _, n := range a[:len(Faults())] {
			first[n] = true
		}
		if len(first) != len(Faults()) {
			t.Errorf("seed %d: not every fault comes in the first round: %v", seed, a)
		}
	}
}
