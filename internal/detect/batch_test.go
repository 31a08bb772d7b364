package detect

import (
	"bytes"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// a batch says what its points say one by one, whatever it holds: several
// points of a series, new series, late points and such as cannot be judged.
func TestABatchSaysWhatItsPointsSay(t *testing.T) {
	const seed = 11
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, seed))
	one, all := New(Config{}), New(Config{})
	f := newFleet(100, 60)
	said := map[string][]ops.Anomaly{}
	var pts []telemetry.Point
	raised := 0
	for round := range 900 {
		for i, m := range f.metas {
			v, _ := f.lives[i](f.now)
			p := telemetry.Point{Series: m, T: int64(f.now * 1000), V: v}
			if round > 700 && i%4 == 0 {
				p.V = p.V*3 + 1
			}
			switch r.IntN(60) {
			case 0:
				p.V = math.NaN()
			case 1:
				p.T -= 120_000
			case 2:
				p.Series = nil
			case 3:
				pts = append(pts, p)
			case 4:
				continue
			}
			pts = append(pts, p)
		}
		f.now += f.step
		if r.IntN(3) > 0 {
			continue
		}
		for _, p := range pts {
			if a := one.Observe(p); a != nil {
				said[a.Series+a.ID] = append(said[a.Series+a.ID], *a)
				raised++
			}
		}
		all.ObserveBatch(pts, func(a *ops.Anomaly) {
			k := a.Series + a.ID
			if len(said[k]) == 0 || !reflect.DeepEqual(said[k][0], *a) {
				t.Fatalf("round %d: only the batch says %+v", round, *a)
			}
			if said[k] = said[k][1:]; len(said[k]) == 0 {
				delete(said, k)
			}
		})
		if len(said) != 0 {
			t.Fatalf("round %d: only the points say %v", round, said)
		}
		pts = pts[:0]
	}
	if raised == 0 {
		t.Error("nothing was raised: the comparison proves little")
	}
	if x, y := one.Stats(), all.Stats(); x.Points != y.Points || x.Late != y.Late || x.Refused != y.Refused || x.Late == 0 || x.Refused == 0 {
		t.Errorf("one by one %+v, in batches %+v", x, y)
	}
	for _, m := range f.metas {
		x, _ := one.Explain(m.ID)
		y, _ := all.Explain(m.ID)
		if !reflect.DeepEqual(x, y) {
			t.Fatalf("%+v\n%+v", x, y)
		}
	}
	var a, b bytes.Buffer
	if one.Snapshot(&a) != nil || all.Snapshot(&b) != nil || a.Len() != b.Len() {
		t.Errorf("snapshots of %d and %d bytes", a.Len(), b.Len())
	}
}

func TestAWarmBatchDoesNotAllocate(t *testing.T) {
	e, f := New(Config{}), newFleet(50, 60)
	f.play(e, 600, nil)
	pts := make([]telemetry.Point, len(f.metas))
	now := int64(f.now * 1000)
	for i, m := range f.metas {
		s := e.find(m.ID)
		pts[i] = telemetry.Point{Series: m, V: s.det.base.value()}
	}
	round := func() {
		now += 60_000
		for i := range pts {
			pts[i].T = now
		}
		e.ObserveBatch(pts, func(*ops.Anomaly) {})
	}
	round()
	if n := testing.AllocsPerRun(40, round); n > 2 { // reports of ends are allocations
		t.Errorf("%v allocations a batch of %d points", n, len(pts))
	}
}

// the table behaves as a map does, also where many IDs want one place.
func TestTheTableIsAMap(t *testing.T) {
	const seed = 5
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, seed))
	var tab table
	want := map[telemetry.SeriesID]*series{}
	for range 200_000 {
		id := telemetry.SeriesID(r.IntN(300)) << (20 * r.IntN(3)) // colliding, 0 included
		switch r.IntN(3) {
		case 0:
			s := &series{}
			tab.put(id, s)
			want[id] = s
		case 1:
			tab.remove(id)
			delete(want, id)
		}
		if tab.get(id) != want[id] || tab.n != len(want) {
			t.Fatalf("series %d: %p, want %p; %d of %d", id, tab.get(id), want[id], tab.n, len(want))
		}
	}
	for id, s := range want {
		if tab.get(id) != s {
			t.Fatalf("series %d was lost", id)
		}
	}
}
