package joint

import (
	"bytes"
	"math"
	"math/rand/v2"
	"os"
	"reflect"
	"strings"
	"testing"
)

// members are the ways in which a model can be set up; every property below
// must hold for each.
func members() map[string]Config {
	return map[string]Config{
		"linear": {Columns: worldNames()},
		"trees":  {Columns: worldNames(), Forest: true, Seed: 3},
		"neural": {Columns: worldNames(), Neural: NeuralAlways, HistoryRows: 360, Seed: 3},
		"all":    {Columns: worldNames(), Neural: NeuralAuto, HistoryRows: 360, Forest: true, Seed: 3},
	}
}

// follow observes a row and does what training is due.
func follow(t *testing.T, m *Model, at int64, x []float64) Verdict {
	t.Helper()
	v, ok := m.Observe(at, x)
	if !ok {
		t.Fatalf("row at %d was refused", at)
	}
	for m.Train(50) {
	}
	return v
}

func finite(t *testing.T, what string, vs ...float64) {
	t.Helper()
	for _, v := range vs {
		if v-v != 0 {
			t.Fatalf("%s: %v in %v", what, v, vs)
		}
	}
}

// A broken tie between metrics is found although each metric stays inside its
// own band, and the metric that broke it is blamed.
func TestABrokenTieIsFoundAndBlamed(t *testing.T) {
	m, w := New(Config{Columns: worldNames()}), newWorld(1)
	w.teach(m, 4*1440)
	worst := 0.
	for range 360 {
		v, _ := m.Observe(w.next())
		worst = max(worst, v.Score)
	}
	var found Verdict
	for range 30 {
		at, x := w.next()
		x[1] = 80 - x[1] // the processor works less the more there is to do
		if v, _ := m.Observe(at, x); v.Score > found.Score {
			found = v
			found.Blame = append([]Blame(nil), v.Blame...)
		}
	}
	t.Logf("normal life up to %.2f, broken tie %.2f", worst, found.Score)
	if found.Score < 3 || found.Score < worst || found.P > .01 {
		t.Errorf("a broken tie scores %.2f (p %.2g), normal life up to %.2f", found.Score, found.P, worst)
	}
	if len(found.Blame) == 0 || found.Blame[0].Name != "cpu" {
		t.Errorf("blame %+v, want cpu first", found.Blame)
	}
	sum := 0.
	for _, b := range found.Blame {
		sum += b.Share
	}
	if math.Abs(sum-1) > 1e-3 {
		t.Errorf("shares add up to %v", sum)
	}
}

// One metric that jumps for a single row is the spike channel's business.
func TestASpikeOfOneRowIsFound(t *testing.T) {
	m, w := New(Config{Columns: worldNames()}), newWorld(2)
	w.teach(m, 3*1440)
	at, x := w.next()
	x[2] *= 10
	v, _ := m.Observe(at, x)
	if v.Spike < 1.5 || v.Score < 2.5 {
		t.Errorf("%+v", v)
	}
}

// What lasts does not become normal while it is an incident, and does after
// AdoptAfter.
func TestALastingAnomalyIsNotSwallowedButAdoptedInTheEnd(t *testing.T) {
	m, w := New(Config{Columns: worldNames(), AdoptAfter: 2 * day}), newWorld(3)
	w.teach(m, 6*1440)
	share := func(rows int) (strange float64) {
		for range rows {
			at, x := w.next()
			x[2] += 12
			if v, _ := m.Observe(at, x); v.Score > 1.5 {
				strange++
			}
		}
		return strange / float64(rows)
	}
	first, second := share(720), share(720)
	if first < .8 || second < .8 {
		t.Errorf("strange in %.2f of the first half day, %.2f of the second", first, second)
	}
	share(8 * 1440)
	if last := share(720); last > .3 {
		t.Errorf("after nine days it is still strange in %.2f of the rows", last)
	}
}

func TestAnyFiniteInputGivesFiniteScores(t *testing.T) {
	const seed = 5
	t.Logf("seed %d", seed)
	wild := []float64{0, 1, -1, 1e-320, -1e-320, 1e300, -1e300, math.MaxFloat64, -math.MaxFloat64, math.SmallestNonzeroFloat64, 1e9 + .1}
	for name, cfg := range members() {
		r := rand.New(rand.NewPCG(seed, seed))
		m := New(cfg)
		x := make([]float64, worldColumns)
		at := int64(-1e12)
		for i := range 4000 {
			at += 1 + int64(r.ExpFloat64()*[]float64{10, 6e4, 1e9}[r.IntN(3)])
			for j := range x {
				switch (i/500 + j) % 4 {
				case 0:
					x[j] = wild[r.IntN(len(wild))]
				case 1:
					x[j] = r.NormFloat64() * math.Pow(10, float64(r.IntN(60)-30))
				case 2:
					x[j] = float64(r.IntN(2))
				default:
					x[j] = r.NormFloat64()
				}
			}
			v := follow(t, m, at, x)
			finite(t, name, v.Score, v.P, v.Joint, v.Spike, v.Trust)
			if v.P <= 0 || v.P > 1 || v.Score < 0 || v.Trust < 0 || v.Trust > 1 {
				t.Fatalf("%s, row %d: %+v", name, i, v)
			}
			for _, b := range v.Blame {
				finite(t, name+" blame", b.Share, b.Z, b.Expected, b.Observed)
			}
		}
		finite(t, name, m.BlameNow(nil)...)
		var b bytes.Buffer
		if err := m.Snapshot(&b); err != nil {
			t.Errorf("%s: after wild rows: %v", name, err)
		}
		if _, err := Restore(cfg, &b); err != nil {
			t.Errorf("%s: what was written cannot be read: %v", name, err)
		}
	}
}

// NaN and infinities are gaps. A column full of them says nothing, and a row
// of nothing but gaps is normal.
func TestMissingValuesAreTolerated(t *testing.T) {
	for name, cfg := range members() {
		m, w := New(cfg), newWorld(6)
		r := rand.New(rand.NewPCG(6, 6))
		high := 0
		for i := range 4000 {
			at, x := w.next()
			x[7] = math.NaN()
			for j := range x {
				if r.IntN(20) == 0 {
					x[j] = []float64{math.NaN(), math.Inf(1), math.Inf(-1)}[r.IntN(3)]
				}
			}
			if i%100 == 99 {
				for j := range x {
					x[j] = math.NaN()
				}
			}
			v := follow(t, m, at, x)
			finite(t, name, v.Score, v.P)
			if i > 2000 && v.Score > 4 {
				high++
			}
			for _, b := range v.Blame {
				if b.Name == "zero" {
					t.Fatalf("%s blames a column that was never there", name)
				}
			}
		}
		if high > 4 {
			t.Errorf("%s: %d rows of 2000 with gaps score above 4", name, high)
		}
		if y := m.Explain().Young; !reflect.DeepEqual(y, []string{"zero"}) {
			t.Errorf("%s: young columns %v", name, y)
		}
	}
}

func TestWhatCannotBeARowIsRefused(t *testing.T) {
	m := New(Config{Columns: []string{"a", "b"}})
	if _, ok := m.Observe(10, []float64{1}); ok {
		t.Error("a row that is too short was taken")
	}
	m.Observe(10, []float64{1, 2})
	for _, at := range []int64{10, 9} {
		if _, ok := m.Observe(at, []float64{1, 2}); ok {
			t.Errorf("a row at %d after one at 10 was taken", at)
		}
	}
	if m.Explain().Rows != 1 {
		t.Errorf("%d rows counted", m.Explain().Rows)
	}
}

func TestConstantColumnsAreSilent(t *testing.T) {
	for name, cfg := range members() {
		m := New(cfg)
		x := []float64{0, .25, -3, 1e12, 1e-12, 7, 42, 0}
		for i := range 3000 {
			if v := follow(t, m, int64(i+1)*60_000, x); v.Score > 1 || v.Spike > 1 {
				t.Fatalf("%s, row %d: %+v", name, i, v)
			}
		}
	}
	// Beside living metrics, dead ones change nothing but the mean.
	m, w := New(Config{Columns: worldNames()}), newWorld(7)
	w.teach(m, 3000)
	if c := m.Explain().Constant; !reflect.DeepEqual(c, []string{"constant", "zero"}) {
		t.Errorf("constant columns %v", c)
	}
}

func TestSameSeedSameVerdicts(t *testing.T) {
	for name, cfg := range members() {
		a, b, w := New(cfg), New(cfg), newWorld(8)
		for i := range 2500 {
			at, x := w.next()
			v, u := follow(t, a, at, x), follow(t, b, at, x)
			if !reflect.DeepEqual(v, u) {
				t.Fatalf("%s, row %d: %+v and %+v", name, i, v, u)
			}
		}
	}
}

// What is said of a row depends on it and on earlier ones only.
func TestStrictlyCausal(t *testing.T) {
	for name, cfg := range members() {
		whole, part, w := New(cfg), New(cfg), newWorld(9)
		var rows [][]float64
		for range 2500 {
			_, x := w.next()
			rows = append(rows, x)
		}
		var want []Verdict
		for i, x := range rows {
			v := follow(t, whole, int64(i+1)*60_000, x)
			v.Blame = nil
			want = append(want, v)
		}
		for i, x := range rows[:1700] {
			v := follow(t, part, int64(i+1)*60_000, x)
			v.Blame = nil
			if !reflect.DeepEqual(v, want[i]) {
				t.Fatalf("%s, row %d: %+v in the prefix, %+v in the whole", name, i, v, want[i])
			}
		}
	}
}

// Units do not matter: every column may be stretched by a power of two of its
// own, and verdicts stay. A shift leaves the living columns alone; it is
// claimed for those only, because a dead column's floor follows its size.
func TestUnitsAndOffsetsDoNotMatter(t *testing.T) {
	for name, cfg := range members() {
		cfg.Columns = worldNames()[:6]
		a, b, c, w := New(cfg), New(cfg), New(cfg), newWorld(10)
		for i := range 2500 {
			at, x := w.next()
			x = x[:6]
			y, z := make([]float64, 6), make([]float64, 6)
			for j, v := range x {
				y[j], z[j] = math.Ldexp(v, 3*j-7), v+float64(j)*2
			}
			v, u, s := follow(t, a, at, x), follow(t, b, at, y), follow(t, c, at, z)
			if math.Abs(v.Score-u.Score) > 2e-3*(1+v.Score) {
				t.Fatalf("%s, row %d: %v and, stretched, %v", name, i, v.Score, u.Score)
			}
			if name == "linear" && math.Abs(v.Score-s.Score) > .02*(1+v.Score) {
				t.Fatalf("%s, row %d: %v and, shifted, %v", name, i, v.Score, s.Score)
			}
		}
	}
}

func TestMemoryIsBoundedOverManyRows(t *testing.T) {
	for name, cfg := range members() {
		m, w := New(cfg), newWorld(11)
		size := func() int {
			var b bytes.Buffer
			if err := m.Snapshot(&b); err != nil {
				t.Fatal(err)
			}
			return b.Len()
		}
		most := 0
		rows := 40_000
		if os.Getenv("NORN_LONG") != "" { // make long
			rows = 10_000_000
		}
		for i := range rows {
			at, x := w.next()
			v, _ := m.Observe(at, x)
			_ = v
			if i%16 == 0 && i < 40_000 {
				m.Train(1)
			}
			if i%2000 == 1999 {
				if i < 12_000 {
					most = max(most, size(), m.Bytes())
				} else if n := max(size(), m.Bytes()); n > most*21/20 {
					t.Fatalf("%s: %d bytes after %d rows, at most %d before", name, n, i, most)
				}
			}
		}
		t.Logf("%s: %d bytes", name, m.Bytes())
	}
}

func TestASnapshotChangesNothing(t *testing.T) {
	for name, cfg := range members() {
		m, w := New(cfg), newWorld(12)
		for i := range 3000 {
			at, x := w.next()
			if i%7 == 0 {
				x[3] = math.NaN()
			}
			if i%211 == 50 {
				var b bytes.Buffer
				if err := m.Snapshot(&b); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				again, err := Restore(cfg, &b)
				if err != nil {
					t.Fatalf("%s, row %d: %v", name, i, err)
				}
				for range 3 { // the copy does what the original does
					v, u := follow(t, m, at, x), follow(t, again, at, x)
					if !reflect.DeepEqual(v, u) {
						t.Fatalf("%s, row %d: %+v, restored %+v", name, i, v, u)
					}
					at, x = w.next()
				}
				m = again
			}
			follow(t, m, at, x)
			if i%5 == 0 {
				m.Train(1)
			}
		}
	}
}

// Settings may change over a restart: what is not asked for any more is dropped,
// what is new begins empty, and the rest goes on.
func TestSettingsMayChangeOverARestart(t *testing.T) {
	all, w := New(members()["all"]), newWorld(19)
	for range 1500 {
		at, x := w.next()
		follow(t, all, at, x)
	}
	var b bytes.Buffer
	if err := all.Snapshot(&b); err != nil {
		t.Fatal(err)
	}
	plain, err := Restore(Config{}, &b)
	if err != nil {
		t.Fatal(err)
	}
	if plain.Bytes() > all.Bytes()/2 || plain.TrainingDue() || plain.Explain().Choice.Contests != 0 {
		t.Errorf("%d bytes of %d are left, training due %t", plain.Bytes(), all.Bytes(), plain.TrainingDue())
	}
	b.Reset()
	if err := plain.Snapshot(&b); err != nil {
		t.Fatal(err)
	}
	again, err := Restore(members()["all"], &b)
	if err != nil {
		t.Fatal(err)
	}
	for range 1500 {
		at, x := w.next()
		if v := follow(t, again, at, x); !v.Ready {
			t.Fatal("it has to learn anew")
		}
	}
	if x := again.Explain(); x.Choice.Contests == 0 || !x.Members[3].Ready {
		t.Errorf("the network and the trees did not begin: %+v", x)
	}
}

func TestADamagedSnapshotIsRefused(t *testing.T) {
	m, w := New(members()["all"]), newWorld(13)
	w.teach(m, 700)
	m.Train(100)
	var b bytes.Buffer
	if err := m.Snapshot(&b); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(13, 13))
	for range 300 {
		damaged := bytes.Clone(b.Bytes())
		if r.IntN(2) == 0 {
			damaged = damaged[:r.IntN(len(damaged))]
		} else {
			damaged[r.IntN(len(damaged))] ^= byte(1 + r.IntN(255))
		}
		if _, err := Restore(Config{}, bytes.NewReader(damaged)); err == nil {
			t.Fatal("a damaged snapshot was taken")
		}
	}
	// Also where the sum fits: the walk itself must not trust lengths.
	for range 300 {
		c := codec{buf: bytes.Clone(b.Bytes()[len(snapshotMagic) : b.Len()-4]), read: true}
		for range 1 + r.IntN(4) {
			c.buf[r.IntN(len(c.buf))] ^= byte(1 + r.IntN(255))
		}
		again := New(Config{})
		again.walk(&c)
		if c.err == nil && len(again.cols) == worldColumns {
			_, x := w.next()
			again.Observe(w.t+1e15, x)
		}
	}
}

// An entity gets a new metric, loses one, and has them in another order, while
// the model runs.
func TestColumnsComeAndGo(t *testing.T) {
	for name, cfg := range members() {
		m, w := New(cfg), newWorld(14)
		for range 2000 {
			at, x := w.next()
			follow(t, m, at, x)
		}
		names := append(worldNames()[1:], "threads", "threads") // requests leave
		m.SetColumns(names)
		r := rand.New(rand.NewPCG(14, 14))
		row := func() (int64, []float64) {
			at, x := w.next()
			n := .3*x[1] + r.NormFloat64()
			return at, append(x[1:], n, n)
		}
		high := 0
		for range 4000 {
			at, x := row()
			v := follow(t, m, at, x)
			finite(t, name, v.Score, v.P)
			if !v.Ready {
				t.Fatalf("%s: a new column made the model speechless", name)
			}
			if v.Score > 4 {
				high++
			}
		}
		if high > 12 {
			t.Errorf("%s: %d of 4000 rows score above 4 after the change", name, high)
		}
		x := m.Explain()
		if len(x.Young) != 0 || x.Columns != 9 || !reflect.DeepEqual(m.Columns(), names) {
			t.Errorf("%s: %+v", name, x)
		}
		m.SetColumns(nil)
		if v, ok := m.Observe(w.t+60_000, nil); !ok || v.Score != 0 {
			t.Errorf("%s: no columns: %+v %t", name, v, ok)
		}
	}
}

// After an outage of the collector the metrics stand elsewhere on their daily
// wave. That is no anomaly.
func TestAGapIsNoAnomaly(t *testing.T) {
	m, w := New(Config{Columns: worldNames()}), newWorld(18)
	w.teach(m, 5*1440)
	high := 0
	for gap := range 40 {
		for range 60 * (1 + gap%5) {
			w.next()
		}
		for range 30 {
			if v, _ := m.Observe(w.next()); v.Score > 4 {
				high++
			}
		}
	}
	if high > 6 {
		t.Errorf("%d of 1200 rows after gaps score above 4", high)
	}
}

func TestAModelSaysWhatItDoes(t *testing.T) {
	cfg := members()["all"]
	m, w := New(cfg), newWorld(15)
	if x := m.Explain(); x.Phase != Learning || !strings.Contains(x.Sentence, "learning") {
		t.Errorf("%+v", x)
	}
	for range 3000 {
		at, x := w.next()
		follow(t, m, at, x)
	}
	x := m.Explain()
	t.Log(x.Sentence)
	if x.Phase != Ready || x.Interval != 60 || x.Choice.Contests == 0 || !strings.Contains(x.Sentence, "surprise") || x.Bytes < 10_000 {
		t.Errorf("%+v", x)
	}
}

// p means what it says: in normal life a share of about p of the rows is as
// strange as p.
func TestPIsHonestInNormalLife(t *testing.T) {
	m, w := New(Config{Columns: worldNames()}), newWorld(16)
	w.teach(m, 5*1440)
	const n = 20_000
	below := map[float64]int{.1: 0, .01: 0, .001: 0}
	for range n {
		v, _ := m.Observe(w.next())
		for p := range below {
			if v.P <= p {
				below[p]++
			}
		}
	}
	t.Log(below)
	for p, k := range below {
		if got := float64(k) / n; got > 4*p || got < p/30 {
			t.Errorf("p <= %v in a share of %v", p, got)
		}
	}
}

func TestObserveDoesNotAllocate(t *testing.T) {
	m, w := New(Config{Columns: worldNames(), Forest: true}), newWorld(17)
	w.teach(m, 2500)
	at, x := w.next()
	if n := testing.AllocsPerRun(300, func() {
		at += 60_000
		m.Observe(at, x)
	}); n != 0 {
		t.Errorf("%v allocations a row", n)
	}
}

func BenchmarkObserve38(b *testing.B) { benchObserve(b, Config{}) }

func BenchmarkObserve38All(b *testing.B) { benchObserve(b, Config{Forest: true}) }

func benchObserve(b *testing.B, cfg Config) {
	const d = 38
	r := rand.New(rand.NewPCG(1, 1))
	cfg.Columns = make([]string, d)
	rows := make([][]float64, 4096)
	for j := range d {
		cfg.Columns[j] = string(rune('A' + j))
	}
	for i := range rows {
		rows[i] = make([]float64, d)
		for j := range rows[i] {
			rows[i][j] = r.NormFloat64()
		}
	}
	m := New(cfg)
	for i := range 2000 {
		m.Observe(int64(i)*60_000, rows[i])
	}
	at := m.last
	m.nextFit = 1 << 60
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		at += 60_000
		m.Observe(at, rows[i%len(rows)])
	}
}
