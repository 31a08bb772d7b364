package detect

import (
	"bytes"
	"maps"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// estate is a fleet of n series of ten signals in turn, a point a minute.
type estate struct {
	e     *Engine
	metas []*telemetry.Series
	seats []telemetry.Seat
	r     *rand.Rand
	now   int64
	mute  map[telemetry.SeriesID]bool
	told  []ops.Anomaly
}

func newEstate(cfg Config, n int) *estate {
	w := &estate{e: New(cfg), r: rand.New(rand.NewPCG(1, 2)), now: 1_750_032_000_000, seats: make([]telemetry.Seat, n), mute: map[telemetry.SeriesID]bool{}}
	signals := []telemetry.Signal{telemetry.SignalLatency, telemetry.SignalErrors, telemetry.SignalTraffic, telemetry.SignalSaturation, telemetry.SignalOther}
	for i := range n {
		w.metas = append(w.metas, &telemetry.Series{ID: telemetry.SeriesID(i + 1), Name: "s", Signal: signals[i%len(signals)],
			Entity: telemetry.Entity{Kind: telemetry.KindService, Name: string(rune('a' + i%7))}})
	}
	return w
}

func (w *estate) play(minutes int) {
	pts := make([]telemetry.Point, 0, len(w.metas))
	for range minutes {
		w.now += 60_000
		pts = pts[:0]
		for i, m := range w.metas {
			if !w.mute[m.ID] {
				pts = append(pts, telemetry.Point{Series: m, T: w.now, V: 50 + 5*w.r.NormFloat64(), Seat: &w.seats[i]})
			}
		}
		w.e.ObserveBatch(pts, func(a *ops.Anomaly) { w.told = append(w.told, *a) })
		w.told = append(w.told, w.e.Tick(w.now)...)
	}
}

func (w *estate) balance(l Load) Balanced { return w.e.Balance(w.now, l) }

func (w *estate) tiers() map[telemetry.Signal]map[string]int {
	out := map[telemetry.Signal]map[string]int{}
	for _, in := range w.e.List(nil, 0) {
		if out[in.Series.Signal] == nil {
			out[in.Series.Signal] = map[string]int{}
		}
		out[in.Series.Signal][in.Tier.String()]++
	}
	return out
}

// Memory for a part of the fleet: what says least steps down to counters, the
// truth is shown, nothing is lost that is kept, and when there is room again
// they come back, not at once and not all together.
func TestWhenMemoryIsShortTheLeastImportantAreCounted(t *testing.T) {
	const n = 1000
	w := newEstate(Config{}, n)
	w.play(320)
	full := w.e.StateBytes()
	w.e.cfg.Memory = int64(full) * 6 / 10
	b := w.balance(Load{CPU: -1})
	s := w.e.Stats()
	t.Logf("%d bytes of %d; %+v; %+v", w.e.StateBytes(), full, b, s.Tiers)
	if b.Down == 0 || b.Short != "memory is short" || s.Tiers.Counter == 0 || s.Tiers.Reduced < s.Tiers.Counter || s.Tiers.Short != b.Short {
		t.Fatalf("%+v %+v", b, s.Tiers)
	}
	got := w.tiers()
	if got[telemetry.SignalErrors]["counter"] > 0 || got[telemetry.SignalLatency]["counter"] > 0 || got[telemetry.SignalOther]["counter"] < got[telemetry.SignalTraffic]["counter"] {
		t.Errorf("what users feel was given up before what nobody knows: %v", got)
	}
	before := points(w.e)
	w.play(30)
	if after := points(w.e); after != before+30*n {
		t.Errorf("%d points were counted of %d", after-before, 30*n)
	}
	for _, m := range w.metas {
		x, ok := w.e.Explain(m.ID)
		if !ok || x.Value < 20 || x.Value > 80 || x.Sentence == "" {
			t.Fatalf("%v: %+v", m.ID, x)
		}
		if x.Tier == "counter" && (!strings.Contains(x.Sentence, "memory is short") || !strings.Contains(x.Sentence, "dropped") || x.Low > x.Value || x.High < x.Value || x.Points != 31) {
			t.Errorf("%+v", x)
		}
	}
	// new series find no more room than a counter's
	fresh := &telemetry.Series{ID: 99999, Name: "new"}
	w.e.Observe(telemetry.Point{Series: fresh, T: w.now, V: 1})
	if x, ok := w.e.Explain(fresh.ID); !ok || x.Tier != "counter" {
		t.Errorf("a new series: %+v", x)
	}
	// room: not before ten minutes, and then part by part
	w.e.cfg.Memory = int64(full) * 4
	var ups []int
	for range 90 {
		w.play(1)
		if b := w.balance(Load{CPU: -1}); b.Up > 0 || len(ups) > 0 {
			ups = append(ups, b.Up)
		} else if b.Down > 0 {
			t.Fatal("down although there is room")
		}
	}
	if s = w.e.Stats(); s.Tiers.Counter > 1 || len(ups) < 5 || ups[0] > s.Watched/5 {
		t.Errorf("came back %v; %+v", ups, s.Tiers)
	}
}

func points(e *Engine) uint64 { return e.Stats().Points }

// Processor time is short: models are kept, and go on where they were.
func TestWhenProcessorTimeIsShortModelsAreKept(t *testing.T) {
	w := newEstate(Config{CPU: 1}, 500)
	w.play(600)
	all := map[telemetry.SeriesID]Explanation{}
	for _, m := range w.metas {
		all[m.ID], _ = w.e.Explain(m.ID)
	}
	down := 0
	for range 3 {
		w.now += 30_000
		down += w.balance(Load{CPU: 2}).Down
	}
	s := w.e.Stats()
	if down == 0 || s.Tiers.Counter == 0 || s.Tiers.Short != "processor time is short" {
		t.Fatalf("%d down, %+v", down, s.Tiers)
	}
	w.play(60)
	var snap bytes.Buffer
	if err := w.e.Snapshot(&snap); err != nil {
		t.Fatal(err)
	}
	w.e = New(Config{CPU: 1})
	if err := w.e.Restore(&snap); err != nil {
		t.Fatal(err)
	}
	if now := w.e.Stats().Tiers; now.Counter != s.Tiers.Counter || now.Reduced != s.Tiers.Reduced {
		t.Errorf("after a restart %+v, before %+v", now, s.Tiers)
	}
	for range 120 {
		w.play(1)
		w.balance(Load{CPU: .1})
	}
	if s = w.e.Stats(); s.Tiers.Reduced != 0 {
		t.Fatalf("%+v", s.Tiers)
	}
	for _, m := range w.metas {
		x, _ := w.e.Explain(m.ID)
		if was := all[m.ID]; x.Tier != was.Tier || int(x.Points) < int(was.Points) || math.Abs(x.Expected-was.Expected) > 3*was.Scale || (x.Choice.Text == "") != (was.Choice.Text == "") {
			t.Fatalf("%d: %+v, before %+v", m.ID, x, was)
		}
	}
	for _, a := range w.told {
		if a.Severity >= .35 {
			t.Errorf("stepping up raised %+v", a)
		}
	}
}

// A series that is only counted still falls silent, and comes back.
func TestSilenceIsJudgedInTheCounterTier(t *testing.T) {
	w := newEstate(Config{Memory: 1}, 60)
	w.play(40)
	if s := w.e.Stats().Tiers; s.Counter < 59 {
		t.Fatalf("%+v", s)
	}
	w.mute[w.metas[0].ID], w.mute[w.metas[30].ID] = true, true
	w.play(10)
	silent := map[telemetry.SeriesID]bool{}
	for _, a := range w.e.Active() {
		if a.Kind == ops.AnomalySilence {
			silent[a.SeriesID] = true
		}
	}
	if len(silent) != 2 {
		t.Fatalf("%d silences of two", len(silent))
	}
	clear(w.mute)
	w.play(2)
	if n := len(w.e.Active()); n != 0 {
		t.Errorf("%d anomalies are open after they came back", n)
	}
	// what was silent for long is forgotten
	w.mute[w.metas[0].ID] = true
	for range 8 {
		w.now += 86400_000 - 60_000
		w.play(1)
	}
	if _, ok := w.e.Explain(w.metas[0].ID); ok {
		t.Error("it is remembered after more than a week")
	}
}

// Importance: rules, incidents and somebody's interest go before the rest.
func TestWhatSomebodyCaresForStaysWatched(t *testing.T) {
	w := newEstate(Config{}, 300)
	for _, m := range w.metas {
		m.Signal = telemetry.SignalOther
	}
	ruled, looked, troubled, named := w.metas[3], w.metas[50], w.metas[100], w.metas[151]
	ruled.Policy = &telemetry.Policy{Weight: 2, Low: math.Inf(-1), High: math.Inf(1)}
	troubled.Entity.Name = "in trouble"
	w.play(200)
	for range 8 {
		w.e.Explain(looked.ID)
	}
	w.e.cfg.Memory = int64(w.e.StateBytes()) / 4
	w.balance(Load{CPU: -1, Notable: map[telemetry.Entity]bool{troubled.Entity: true}, Named: func(s *telemetry.Series) bool { return s == named }})
	for name, m := range map[string]*telemetry.Series{"ruled": ruled, "looked at": looked, "in trouble": troubled, "named": named} {
		if in := w.e.List(func(s *telemetry.Series) bool { return s == m }, 0); len(in) != 1 || in[0].Tier.String() == "counter" {
			t.Errorf("%s: %+v", name, in)
		}
	}
	if s := w.e.Stats().Tiers; s.Counter < 200 {
		t.Errorf("%+v", s)
	}
}

// When there are too few places of the full tier, the most important get them.
func TestPlacesOfTheFullTierGoToTheImportant(t *testing.T) {
	w := newEstate(Config{Full: 5}, 40)
	for i, m := range w.metas {
		m.Signal = telemetry.SignalOther
		if i >= 30 {
			m.Policy = &telemetry.Policy{Weight: 3, Low: math.Inf(-1), High: math.Inf(1)}
		}
	}
	w.play(30)
	w.balance(Load{CPU: -1})
	full := 0
	for i, m := range w.metas {
		if x, _ := w.e.Explain(m.ID); x.Choice.Text != "" {
			if full++; i < 30 {
				t.Errorf("series %d has a place that a more important one wants", i)
			}
		}
	}
	if full != 5 || w.e.Stats().Full != 5 {
		t.Errorf("%d places taken", full)
	}
}

// Points, steps and questions at once. The race detector looks on.
func TestSeriesStepUpAndDownUnderLoad(t *testing.T) {
	w := newEstate(Config{Memory: 400_000}, 600)
	var wg sync.WaitGroup
	stop := make(chan struct{})
	wg.Add(1)
	go func() {
		defer wg.Done()
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			w.e.Balance(int64(i)*700_000, Load{CPU: float64(i % 3)})
			w.e.List(nil, 10)
			w.e.Explain(telemetry.SeriesID(i%600 + 1))
			if _, ok := w.e.LastSeen(telemetry.SeriesID(i%600 + 1)); ok && i%50 == 0 {
				var snap bytes.Buffer
				if err := w.e.Snapshot(&snap); err != nil {
					t.Error(err)
				}
			}
		}
	}()
	w.play(300)
	close(stop)
	wg.Wait()
	seen := map[telemetry.SeriesID]int{}
	for _, in := range w.e.List(nil, 0) {
		seen[in.Series.ID]++
	}
	for _, m := range w.metas {
		if seen[m.ID] != 1 {
			t.Fatalf("series %d is there %d times", m.ID, seen[m.ID])
		}
	}
	s := w.e.Stats()
	if got := s.Points + s.Late; got < 300*600 || s.Tiers.Full+s.Tiers.Basic+s.Tiers.Counter != 600 || w.e.count.Load() != 600 {
		t.Errorf("%d points of %d; %+v, counted %d", got, 300*600, s.Tiers, w.e.count.Load())
	}
}

func TestSeriesWithoutAPlaceAreCounted(t *testing.T) {
	w := newEstate(Config{MaxSeries: 100}, 5100)
	w.play(3)
	if n := w.e.Stats().Tiers.NotWatched; n < 4900 || n > 5100 {
		t.Errorf("about %d of 5000 series have no place", n)
	}
	for range 3 {
		w.now += 3600_000
		w.balance(Load{CPU: -1})
	}
	if n := w.e.Stats().Tiers.NotWatched; n != 0 {
		t.Errorf("%d, though none has sent for hours", n)
	}
}

// The trackers of a rhythm go to the important too, not to those that came
// first, and nobody loses one among equals.
func TestSeasonsGoToTheImportant(t *testing.T) {
	w := newEstate(Config{Seasons: 5, Full: -1}, 20)
	for _, m := range w.metas {
		m.Signal, m.Instance = telemetry.SignalTraffic, telemetry.Entity{}
	}
	w.play(1700)
	w.balance(Load{CPU: -1})
	has := func() map[int]bool {
		out := map[int]bool{}
		for i, m := range w.metas {
			w.e.with(m.ID, func(s *series) {
				if s.det.base.season != nil {
					out[i] = true
				}
			})
		}
		return out
	}
	first := has()
	if len(first) != 5 || w.e.Stats().Seasons != 5 {
		t.Fatalf("%d have one", len(first))
	}
	w.play(30)
	w.balance(Load{CPU: -1})
	if again := has(); !maps.Equal(first, again) {
		t.Errorf("among equals places moved from %v to %v", first, again)
	}
	named := map[telemetry.SeriesID]bool{}
	for i, m := range w.metas {
		if !first[i] && len(named) < 3 {
			named[m.ID] = true
		}
	}
	w.play(30)
	w.balance(Load{CPU: -1, Named: func(s *telemetry.Series) bool { return named[s.ID] }})
	now, got := has(), 0
	for i, m := range w.metas {
		if now[i] && named[m.ID] {
			got++
		}
	}
	if got != 3 || len(now) != 5 || w.e.Stats().Seasons != 5 {
		t.Errorf("%d of 3 named series got one, %d have one, %d are counted", got, len(now), w.e.Stats().Seasons)
	}
}
