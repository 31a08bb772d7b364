package outbox

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"image/png"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"

	"github.com/norn-aiops/norn/internal/notify"
	"github.com/norn-aiops/norn/internal/notify/channel"
	"github.com/norn-aiops/norn/internal/notify/chart"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/store"
	"github.com/norn-aiops/norn/internal/store/state"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// runEnv makes the test binary tell a webhook, so that a test can kill it.
const runEnv = "NORN_TEST_OUTBOX"

func TestMain(m *testing.M) {
	if spec := os.Getenv(runEnv); spec != "" {
		db, hook, _ := strings.Cut(spec, " ")
		if err := tellUntilKilled(db, hook); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func tellUntilKilled(db, hook string) error {
	ctx := context.Background()
	st, err := state.Open(ctx, "sqlite:"+db)
	if err != nil {
		return err
	}
	b, err := New(ctx, options(st, notify.Config{}, []Receiver{{Name: "hook", Kind: "webhook", PerMinute: 6000, Channel: channel.NewWebhook(channel.Webhook{URL: hook})}}))
	if err != nil {
		return err
	}
	return b.Run(ctx)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// options are for an outbox in which every stored active incident is open.
func options(st *state.DB, c notify.Config, rs []Receiver) Options {
	names := make([]string, len(rs))
	for i := range rs {
		names[i] = rs[i].Name
	}
	if c.Digest.Every == "" {
		c.Digest = notify.Digest{Every: "daily", Day: "mon", At: "09:00", Timezone: "UTC"}
	}
	p, err := notify.Compile(c, names)
	if err != nil {
		panic(err)
	}
	return Options{Box: st, State: st, Policy: p, Receivers: rs, Now: time.Now, GiveUp: time.Hour, Registerer: prometheus.NewRegistry(),
		Base: func() string { return "https://norn.example" }, Suppressed: func() []ops.Suppressed { return nil },
		Open: func() []ops.Incident {
			list, err := st.Incidents(context.Background(), store.IncidentFilter{States: []ops.State{ops.StateOpen, ops.StateAcknowledged, ops.StateMitigating}, Limit: 1000})
			if err != nil {
				panic(err)
			}
			return list
		}}
}

func openState(t *testing.T) (*state.DB, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "state.db")
	st, err := state.Open(t.Context(), "sqlite:"+path)
	must(t, err)
	t.Cleanup(func() { st.Close() })
	return st, path
}

func slowDatabase(id string, now time.Time) *ops.Incident {
	db := telemetry.Entity{Kind: "database", Name: "orders-db"}
	return &ops.Incident{ID: id, State: ops.StateOpen, Title: "orders: slow queries on orders-db", Sentence: "Queries on orders-db take 38 times as long as usual.",
		Level: ops.LevelMajor, Grounds: "a third of requests suffers", Team: "shop", ImpactText: "31 % of requests", Confidence: .86, Verdict: ops.VerdictCause,
		Onset: now.Add(-time.Minute).UnixMilli(), Opened: now.Add(-time.Minute).UnixMilli(), Updated: now.UnixMilli(), Entities: []telemetry.Entity{db},
		Causes: []ops.Cause{{Entity: db, Role: ops.RoleRoot, Signal: telemetry.SignalLatency,
			Evidence: []ops.Evidence{{Text: "median query time 0.21 s, expected 0.004 to 0.008 s"}, {Text: "38 sessions wait"}, {Text: "locks"}, {Text: "a fourth line"}},
			Changes:  []telemetry.Change{{Kind: "deploy", Title: "orders v2.14.0", Entity: telemetry.Entity{Kind: "service", Name: "orders"}, Time: now.UnixMilli()}}}}}
}

func put(t *testing.T, st *state.DB, in *ops.Incident) {
	t.Helper()
	in.Updated = time.Now().UnixMilli()
	must(t, st.PutIncident(t.Context(), in))
}

// run lets an outbox work until the test ends.
func run(t *testing.T, o Options) *Outbox {
	t.Helper()
	b, err := New(t.Context(), o)
	must(t, err)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = b.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
	return b
}

// until waits for something that other goroutines do.
func until(t *testing.T, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !f(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("in a minute there was no %s", what)
		}
	}
}

// mailbox is an SMTP server that keeps what comes; while down it refuses.
type mailbox struct {
	mu    sync.Mutex
	down  bool
	mails [][]byte
}

func (m *mailbox) NewSession(*smtp.Conn) (smtp.Session, error) { return &mailSession{m}, nil }

type mailSession struct{ box *mailbox }

func (s *mailSession) Mail(string, *smtp.MailOptions) error {
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	if s.box.down {
		return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "come back later"}
	}
	return nil
}
func (s *mailSession) Rcpt(string, *smtp.RcptOptions) error { return nil }
func (s *mailSession) Reset()                               {}
func (s *mailSession) Logout() error                        { return nil }
func (s *mailSession) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	s.box.mails = append(s.box.mails, raw)
	return err
}

func (m *mailbox) all() [][]byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([][]byte(nil), m.mails...)
}

func smtpServer(t *testing.T) (*mailbox, string) {
	t.Helper()
	box := &mailbox{}
	srv := smtp.NewServer(box)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	go func() { _ = srv.Serve(ln) }()
	t.Cleanup(func() { srv.Close() })
	return box, ln.Addr().String()
}

func picture(context.Context, string) ([]byte, error) {
	p := chart.Picture{Title: "orders-db: query time", Unit: "s"}
	for i := range 60 {
		at := int64(1_760_000_000_000 + i*60_000)
		p.Samples = append(p.Samples, telemetry.Sample{T: at, V: float64(i % 7)})
		p.Band = append(p.Band, ops.Band{T: at, Low: 1, Expected: 2, High: 3})
	}
	return chart.PNG(p)
}

func TestAnIncidentIsMailedWithItsPictureAndItsEndFollowsInTheSameThread(t *testing.T) {
	st, _ := openState(t)
	box, addr := smtpServer(t)
	box.down = true
	e, err := channel.NewEmail(channel.Email{From: "Norn <norn@example.org>", To: []string{"ops@example.org"}, Server: addr, TLS: "none"})
	must(t, err)
	o := options(st, notify.Config{}, []Receiver{{Name: "mail", Kind: "email", Channel: e, PerMinute: 600}})
	o.Chart = picture
	in := slowDatabase("inc-1", time.Now())
	put(t, st, in)
	b := run(t, o)
	until(t, "refused attempt", func() bool {
		ds, err := b.Deliveries(t.Context(), store.DeliveryFilter{})
		return err == nil && len(ds) == 1 && ds[0].Attempts > 0 && strings.Contains(ds[0].Error, "come back later")
	})
	box.mu.Lock()
	box.down = false
	box.mu.Unlock()
	until(t, "mail", func() bool { return len(box.all()) == 1 })
	first, texts := readMail(t, box.all()[0])
	for _, want := range []string{"Queries on orders-db take 38 times", "31 % of requests", "0.21 s, expected", "38 sessions wait", "locks", "orders v2.14.0", "https://norn.example/incidents/inc-1"} {
		if !strings.Contains(texts, want) {
			t.Errorf("the mail does not say %q:\n%s", want, texts)
		}
	}
	if strings.Contains(texts, "a fourth line") {
		t.Error("more than three lines of evidence")
	}
	in.State, in.Resolved = ops.StateResolved, time.Now().UnixMilli()
	put(t, st, in)
	until(t, "second mail", func() bool { return len(box.all()) == 2 })
	second, _ := readMail(t, box.all()[1])
	if id := first.Get("Message-ID"); id == "" || second.Get("In-Reply-To") != id || second.Get("References") != id || second.Get("Message-ID") == id {
		t.Errorf("the second mail does not answer the first: %v after %v", second, first)
	}
	if s := second.Get("Subject"); !strings.Contains(s, "resolved") {
		t.Errorf("subject %q", s)
	}
}

// readMail gives a mail's header and all its texts; it must hold one PNG.
func readMail(t *testing.T, raw []byte) (mail.Header, string) {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	must(t, err)
	var texts strings.Builder
	pictures := 0
	var walk func(kind string, r io.Reader, encoding string)
	walk = func(kind string, r io.Reader, encoding string) {
		media, params, err := mime.ParseMediaType(kind)
		must(t, err)
		if strings.HasPrefix(media, "multipart/") {
			parts := multipart.NewReader(r, params["boundary"])
			for {
				p, err := parts.NextRawPart()
				if err == io.EOF {
					return
				}
				must(t, err)
				walk(p.Header.Get("Content-Type"), p, p.Header.Get("Content-Transfer-Encoding"))
			}
		}
		body := decode(t, encoding, r)
		if media == "image/png" {
			_, err := png.Decode(bytes.NewReader(body))
			must(t, err)
			pictures++
			return
		}
		texts.Write(body)
	}
	walk(m.Header.Get("Content-Type"), m.Body, m.Header.Get("Content-Transfer-Encoding"))
	if pictures != 1 {
		t.Errorf("the mail has %d pictures", pictures)
	}
	return m.Header, texts.String()
}

// hook is a webhook that fails as it is told to.
type hook struct {
	mu    sync.Mutex
	mode  string // "", fail, hang
	keys  []string
	kinds []string
	sigs  []string
	raw   [][]byte
}

func (h *hook) set(mode string) { h.mu.Lock(); defer h.mu.Unlock(); h.mode = mode }

func (h *hook) got() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]string(nil), h.kinds...)
}

func (h *hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	raw, _ := io.ReadAll(r.Body)
	h.mu.Lock()
	mode := h.mode
	h.mu.Unlock()
	switch mode {
	case "fail":
		http.Error(w, "broken: "+r.URL.String(), http.StatusServiceUnavailable)
		return
	case "hang":
		<-r.Context().Done()
		return
	}
	var m struct{ Change, Key string }
	_ = json.Unmarshal(raw, &m)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.keys, h.kinds = append(h.keys, m.Key), append(h.kinds, m.Change)
	h.sigs, h.raw = append(h.sigs, r.Header.Get("X-Norn-Signature")), append(h.raw, raw)
}

func TestNothingIsLostWhileAWebhookFailsAndNornIsKilled(t *testing.T) {
	st, path := openState(t)
	h := &hook{}
	srv := httptest.NewServer(h)
	defer srv.Close()
	h.set("hang")
	const n = 12
	for i := range n {
		put(t, st, slowDatabase(fmt.Sprintf("inc-%02d", i), time.Now()))
	}
	start := func() *exec.Cmd {
		self, err := os.Executable()
		must(t, err)
		c := exec.Command(self)
		c.Env = append(os.Environ(), runEnv+"="+path+" "+srv.URL+"/hooks/token-4711")
		c.Stderr = os.Stderr
		must(t, c.Start())
		return c
	}
	kill := func(c *exec.Cmd) { _ = c.Process.Kill(); _ = c.Wait() }
	c := start()
	defer func() { kill(c) }()
	queued := func() int {
		ds, err := st.Deliveries(t.Context(), store.DeliveryFilter{State: ops.DeliveryQueued})
		must(t, err)
		return len(ds)
	}
	until(t, "queue", func() bool { return queued() == n })
	kill(c) // in the middle of an attempt that hangs
	h.set("fail")
	c = start()
	until(t, "failed attempt", func() bool {
		ds, _ := st.Deliveries(t.Context(), store.DeliveryFilter{State: ops.DeliveryQueued, Oldest: true})
		return len(ds) == n && strings.Contains(ds[0].Error, "503") && !strings.Contains(ds[0].Error, "4711")
	})
	kill(c)
	h.set("")
	c = start()
	until(t, "first messages", func() bool { return len(h.got()) > 3 })
	kill(c) // while messages go out
	in := slowDatabase("inc-03", time.Now())
	in.State, in.Resolved = ops.StateResolved, time.Now().UnixMilli()
	put(t, st, in) // ends while nobody looks
	c = start()
	until(t, "all messages", func() bool { return queued() == 0 && len(h.got()) >= n+1 })
	seen := map[string]int{}
	for _, k := range h.keys {
		seen[k]++
	}
	twice := 0
	for _, k := range seen {
		if k > 1 {
			twice++
		}
	}
	// A kill between the answer and its note may send one message again, with its key.
	if len(seen) != n+1 || twice > 1 {
		t.Errorf("%d different messages, want %d; %d came twice", len(seen), n+1, twice)
	}
}

func TestWhatIsNotTakenWaitsAndKeepsItsOrderAndIsSigned(t *testing.T) {
	st, _ := openState(t)
	h := &hook{}
	srv := httptest.NewServer(h)
	defer srv.Close()
	h.set("fail")
	in := slowDatabase("inc-1", time.Now())
	put(t, st, in)
	ch := channel.NewWebhook(channel.Webhook{URL: srv.URL, Secret: "s3cret"})
	b := run(t, options(st, notify.Config{}, []Receiver{{Name: "hook", Kind: "webhook", Channel: ch, PerMinute: 6000}}))
	count := func(want int) func() bool {
		return func() bool {
			ds, _ := b.Deliveries(t.Context(), store.DeliveryFilter{})
			return len(ds) == want
		}
	}
	until(t, "opened", count(1))
	in.Level = ops.LevelCritical
	put(t, st, in)
	until(t, "severity", count(2))
	in.State = ops.StateAcknowledged
	put(t, st, in)
	until(t, "acknowledged", count(3))
	in.State, in.Resolved = ops.StateResolved, time.Now().UnixMilli()
	put(t, st, in)
	until(t, "resolved", count(4))
	h.set("")
	until(t, "all", func() bool { return len(h.got()) == 4 })
	if got := strings.Join(h.got(), " "); got != "opened severity_raised acknowledged resolved" {
		t.Errorf("order: %s", got)
	}
	for i, raw := range h.raw {
		mac := hmac.New(sha256.New, []byte("s3cret"))
		mac.Write(raw)
		if h.sigs[i] != "sha256="+hex.EncodeToString(mac.Sum(nil)) {
			t.Errorf("signature %q is not the body's", h.sigs[i])
		}
	}
}

func TestSilencesHoldBackSayWhatAndLetGo(t *testing.T) {
	st, _ := openState(t)
	h := &hook{}
	srv := httptest.NewServer(h)
	defer srv.Close()
	b := run(t, options(st, notify.Config{}, []Receiver{{Name: "hook", Kind: "webhook", Channel: channel.NewWebhook(channel.Webhook{URL: srv.URL}), PerMinute: 6000}}))
	am := httptest.NewServer(b.Handler())
	defer am.Close()
	body := fmt.Sprintf(`{"matchers":[{"name":"service","value":"orders-.*","isRegex":true,"isEqual":true}],"startsAt":%q,"endsAt":%q,"createdBy":"ann","comment":"moving"}`,
		time.Now().UTC().Format(time.RFC3339Nano), time.Now().Add(time.Hour).UTC().Format(time.RFC3339Nano))
	resp, err := http.Post(am.URL+"/api/v2/silences", "application/json", strings.NewReader(body))
	must(t, err)
	var made struct{ SilenceID string }
	must(t, json.NewDecoder(resp.Body).Decode(&made))
	resp.Body.Close()
	put(t, st, slowDatabase("inc-1", time.Now()))
	until(t, "held delivery", func() bool {
		ds, _ := b.Deliveries(t.Context(), store.DeliveryFilter{State: ops.DeliveryHeld})
		return len(ds) == 1 && strings.Contains(ds[0].Why, "ann: moving")
	})
	if len(h.got()) != 0 {
		t.Error("a silenced incident was told")
	}
	again, err := New(t.Context(), options(st, notify.Config{}, nil)) // as after a restart
	must(t, err)
	if got := again.Silences(); len(got) != 1 || got[0].ID != made.SilenceID {
		t.Errorf("after a restart the silences are %v", got)
	}
	req, err := http.NewRequest(http.MethodDelete, am.URL+"/api/v2/silence/"+made.SilenceID, nil)
	must(t, err)
	resp, err = http.DefaultClient.Do(req)
	must(t, err)
	resp.Body.Close()
	until(t, "message after the silence", func() bool { return len(h.got()) == 1 })
}

func TestWhoDoesNotAcknowledgeIsFollowedByTheNext(t *testing.T) {
	st, _ := openState(t)
	first, second := &hook{}, &hook{}
	a, z := httptest.NewServer(first), httptest.NewServer(second)
	defer a.Close()
	defer z.Close()
	var mu sync.Mutex
	clock := time.Now()
	o := options(st, notify.Config{
		Routes: []notify.Route{{Match: []string{`team="shop"`}, Escalate: "shop"}},
		Escalations: []notify.Escalation{{Name: "shop", Levels: []notify.Level{{Receivers: []string{"ann"}},
			{After: model.Duration(15 * time.Minute), Receivers: []string{"bob"}}}}},
	}, []Receiver{{Name: "ann", Kind: "webhook", Channel: channel.NewWebhook(channel.Webhook{URL: a.URL}), PerMinute: 6000},
		{Name: "bob", Kind: "webhook", Channel: channel.NewWebhook(channel.Webhook{URL: z.URL}), PerMinute: 6000}})
	o.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return clock }
	quiet, loud := slowDatabase("acked", clock), slowDatabase("unseen", clock)
	put(t, st, quiet)
	put(t, st, loud)
	run(t, o)
	until(t, "both told", func() bool { return len(first.got()) == 2 })
	quiet.State = ops.StateAcknowledged
	put(t, st, quiet)
	until(t, "acknowledgement", func() bool { return len(first.got()) == 3 })
	mu.Lock()
	clock = clock.Add(16 * time.Minute)
	mu.Unlock()
	until(t, "escalation", func() bool { return len(second.got()) > 0 })
	if got := second.got(); len(got) != 1 || got[0] != ops.NoticeEscalated || !strings.Contains(string(second.raw[0]), "unseen") {
		t.Errorf("bob was told %v", got)
	}
}
