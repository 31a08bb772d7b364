package events

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
)

// counted judges hand-made scores: 200 rows without a warm-up.
func counted(events [][2]int, threshold float64, at map[int]float64) Counts {
	f := &File{T: make([]int64, 200), V: make([][]float64, 1), Events: events}
	scores := make([]float64, 200)
	for i, s := range at {
		scores[i] = s
	}
	return judge(f, alarms(f, scores, 0), threshold, 0)
}

func TestAnEventIsFoundOnceAndEveryAlarmOutsideCosts(t *testing.T) {
	ev := [][2]int{{50, 60}, {120, 120}}
	for name, c := range map[string]struct {
		at                   map[int]float64
		found, missed, false int
	}{
		"silence":                                {nil, 0, 2, 0},
		"first row, last row":                    {map[int]float64{50: 1, 120: 1}, 2, 0, 0},
		"three in one event":                     {map[int]float64{50: 1, 56: 1, 62: 1}, 1, 1, 0},
		"the row before is early, hence false":   {map[int]float64{49: 1}, 0, 2, 1},
		"the seventh row behind is in the grace": {map[int]float64{67: 1, 127: 1}, 2, 0, 0},
		"the eighth is not":                      {map[int]float64{68: 1}, 0, 2, 1},
		"below the threshold":                    {map[int]float64{55: .49, 120: .49, 10: .49}, 0, 2, 0},
		"at the threshold":                       {map[int]float64{55: .5}, 1, 1, 0},
		"alarms near each other are one":         {map[int]float64{10: 1, 12: 1.2, 14: 1.29}, 0, 2, 1},
		"unless one is larger by 30 %":           {map[int]float64{10: 1, 12: 1.31}, 0, 2, 2},
		"or enough rows went by":                 {map[int]float64{10: 1, 16: 1}, 0, 2, 2},
		"NaN is no alarm":                        {map[int]float64{55: math.NaN()}, 0, 2, 0},
	} {
		got := counted(ev, .5, c.at)
		if got.Found != c.found || got.Missed != c.missed || got.False != c.false {
			t.Errorf("%s: %+v, want %d found, %d missed, %d false", name, got, c.found, c.missed, c.false)
		}
	}
}

func TestGraceYieldsToTheNextEvent(t *testing.T) {
	got := counted([][2]int{{50, 50}, {53, 53}}, .5, map[int]float64{53: 1})
	if got.Found != 1 || got.False != 0 {
		t.Errorf("%+v", got)
	}
}

// A long alarm is told again and again; no detector gains by being loud.
func TestAConstantAlarmIsNoGoodDetector(t *testing.T) {
	all := map[int]float64{}
	for i := range 200 {
		all[i] = 1
	}
	got := counted([][2]int{{50, 60}, {120, 120}}, .5, all).score()
	if got.Recall != 1 || got.Precision > .1 {
		t.Errorf("%+v", got)
	}
}

func TestTheWarmUpTeachesOnly(t *testing.T) {
	f := &File{T: make([]int64, 100), V: make([][]float64, 2), Events: [][2]int{{2, 5}, {8, 12}, {50, 51}}}
	scores := make([]float64, 100)
	for i := range scores {
		scores[i] = math.Pow(1.4, float64(min(i, 60))) // every row exceeds the last by 40 %
	}
	got := judge(f, alarms(f, scores, 10), 1e-9, 10)
	if got.Events != 2 || got.Found != 2 || got.Points != 180 {
		t.Errorf("with a warm-up of 10 rows: %+v", got)
	}
	f.From = 40
	got = judge(f, alarms(f, scores, 10), 1e-9, 10)
	if got.Events != 1 || got.Found != 1 || got.Points != 120 {
		t.Errorf("with 40 rows of training: %+v", got)
	}
}

func TestScoresOfCounts(t *testing.T) {
	s := Counts{Found: 3, Missed: 1, False: 2, Points: 10000, Events: 4}.score()
	if s.Precision != .6 || s.Recall != .75 || math.Abs(s.F1-2*.6*.75/1.35) > 1e-12 || s.FalsePer10k != 2 {
		t.Errorf("%+v", s)
	}
	if z := (Counts{}).score(); z.F1 != 0 || z.Precision != 0 || z.FalsePer10k != 0 {
		t.Errorf("nothing gives %+v", z)
	}
}

// made is a set of n files with a jump each; odd seeds make other noise.
func made(name string, n int, jump float64) Set {
	s := Set{Name: name}
	for i := range n {
		r := rand.New(rand.NewPCG(uint64(i), uint64(len(name))))
		f := File{Name: name, Columns: []string{"value"}, V: [][]float64{nil}, Events: [][2]int{{1500, 1520}}}
		for k := range 2000 {
			v := r.NormFloat64()
			if k >= 1500 && k <= 1520 {
				v += jump
			}
			f.T, f.V[0] = append(f.T, int64(k)*60_000), append(f.V[0], v)
		}
		s.Files = append(s.Files, f)
	}
	return s
}

func TestPlainDetectorsFindAPlainJump(t *testing.T) {
	e, err := evaluate(context.Background(), []Set{made("easy", 3, 40)}, Simple(true), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range e.report().Rows {
		if x := r.PerSet["easy"]; x.Recall != 1 {
			t.Errorf("%s: %+v", r.Detector, x)
		}
	}
}

// The threshold for a set is chosen without it: a detector that is right on
// two sets at a high threshold and on the third only at a low one is judged on
// the third at the high one.
func TestTheLeftOutSetHasNoSay(t *testing.T) {
	d := Detector{Name: "level", Threshold: 10, New: func(int) func(int64, float64) float64 {
		return func(_ int64, v float64) float64 { return math.Abs(v) }
	}}
	e, err := evaluate(context.Background(), []Set{made("a", 2, 40), made("bb", 2, 40), made("ccc", 2, 9)}, []Detector{d}, nil)
	if err != nil {
		t.Fatal(err)
	}
	r := e.report().Rows[0]
	if r.PerSet["a"].F1 != 1 || r.LeftOut["a"] < .9 {
		t.Errorf("set a: %v, left out %v", r.PerSet["a"].F1, r.LeftOut["a"])
	}
	// with a and bb alone every threshold from 5 to 36 is perfect; the shipped
	// one is taken, which misses most of ccc
	if r.LeftOut["ccc"] != r.PerSet["ccc"].F1 {
		t.Errorf("left out %v, at the shipped threshold %v", r.LeftOut["ccc"], r.PerSet["ccc"].F1)
	}
}

// A detector with variants is chosen among those, by the other sets alone.
func TestVariantsAreChosenWithoutTheLeftOutSet(t *testing.T) {
	over := func(edge float64) Detector {
		return Detector{Name: "over", Threshold: 1, New: func(int) func(int64, float64) float64 {
			return func(_ int64, v float64) float64 { return math.Abs(v) / edge }
		}}
	}
	d := over(1000) // the shipped one is deaf
	d.Variants = []Detector{over(20), over(6)}
	e, err := evaluate(context.Background(), []Set{made("a", 2, 40), made("bb", 2, 40), made("ccc", 2, 12)}, []Detector{d}, nil)
	if err != nil {
		t.Fatal(err)
	}
	r := e.report().Rows[0]
	if r.MeanF1 != 0 || r.LeftOut["ccc"] != 0 { // a and bb are perfect at 20, which misses ccc
		t.Errorf("%+v", r)
	}
	if r.LeftOut["a"] != 1 || r.LeftOut["bb"] != 1 {
		t.Errorf("%+v", r.LeftOut)
	}
}

func TestTheResultDoesNotDependOnTheOrderOfWork(t *testing.T) {
	sets := []Set{made("a", 6, 8), made("b", 5, 12)}
	first := map[string]float64{}
	for i := range 3 {
		e, err := evaluate(context.Background(), sets, Simple(i == 0), nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range e.report().Rows {
			if want, ok := first[r.Detector]; ok && want != r.MeanF1 {
				t.Errorf("%s: %v and %v", r.Detector, want, r.MeanF1)
			}
			first[r.Detector] = r.MeanF1
		}
	}
}

func TestEvaluateStopsWhenTold(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	stop()
	if _, err := evaluate(ctx, []Set{made("a", 2, 8)}, Simple(true), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestPlainDetectorsGiveFiniteScores(t *testing.T) {
	const seed = 3
	t.Logf("seed %d", seed)
	wild := []float64{0, 1, -1, 1e300, -1e300, math.MaxFloat64, -math.MaxFloat64, math.SmallestNonzeroFloat64, 1e-320}
	for _, d := range Simple(true) {
		r := rand.New(rand.NewPCG(seed, seed))
		a, b := d.New(100), d.New(100)
		for i := range 3000 {
			v := wild[r.IntN(len(wild))]
			if i > 1000 {
				v = float64(r.IntN(3)) // repeated points and ties
			}
			x, y := a(int64(i), v), b(int64(i), v)
			if math.IsNaN(x) || math.IsInf(x, 0) || x < 0 {
				t.Fatalf("%s: point %d gives %v", d.Name, i, x)
			}
			if x != y {
				t.Fatalf("%s: point %d gives %v and %v", d.Name, i, x, y)
			}
		}
	}
}

// The tree keeps what it promises: the counts and boxes of inner nodes are
// those of their children, and points lie on their side of the cut.
func TestTheForestsTreesStaySound(t *testing.T) {
	const seed = 11
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, seed))
	tree := cutTree{rng: rand.New(rand.NewPCG(1, 1)), root: -1}
	var check func(i int32) int32
	check = func(i int32) int32 {
		n := &tree.nodes[i]
		if n.left < 0 {
			if n.lo != n.hi || n.points < 1 {
				t.Fatalf("leaf %+v", n)
			}
			return n.points
		}
		l, rt := &tree.nodes[n.left], &tree.nodes[n.right]
		if got := check(n.left) + check(n.right); got != n.points {
			t.Fatalf("%d points below a node that counts %d", got, n.points)
		}
		if l.hi[n.dim] > n.cut || rt.lo[n.dim] <= n.cut {
			t.Fatalf("cut %v at %d: left to %v, right from %v", n.cut, n.dim, l.hi[n.dim], rt.lo[n.dim])
		}
		for d := range n.lo {
			if n.lo[d] != min(l.lo[d], rt.lo[d]) || n.hi[d] != max(l.hi[d], rt.hi[d]) {
				t.Fatalf("the box of %d children is loose in dimension %d", n.points, d)
			}
		}
		return n.points
	}
	for i := range 5000 {
		var p shingle
		for d := range p {
			p[d] = float64(r.IntN(1 + i%50))
		}
		tree.see(&p)
		if i%37 == 0 {
			if got := check(tree.root); int(got) != len(tree.slots) {
				t.Fatalf("%d points in the tree, %d in the sample", got, len(tree.slots))
			}
		}
	}
	if len(tree.nodes) > 2*forestSample+2 {
		t.Errorf("%d nodes for a sample of %d", len(tree.nodes), forestSample)
	}
}

// Probing without inserting gives, draw for draw, what inserting gives.
func TestProbingIsInsertingWithoutATrace(t *testing.T) {
	const seed = 12
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, seed))
	tree := cutTree{root: -1, rng: rand.New(rand.NewPCG(1, 1))}
	for i := range 3000 {
		var p shingle
		for d := range p {
			p[d] = float64(r.IntN(1 + i%20))
		}
		if i < 300 {
			tree.see(&p)
			continue
		}
		tree.rng = rand.New(rand.NewPCG(uint64(i), 7))
		probed := tree.probe(&p)
		tree.rng = rand.New(rand.NewPCG(uint64(i), 7))
		leaf := tree.insert(&p)
		if got := tree.displacement(leaf); got != probed {
			t.Fatalf("point %d: probing gives %v, inserting %v", i, probed, got)
		}
		tree.remove(leaf)
	}
}

func TestMergedSpans(t *testing.T) {
	got := merge([][2]int{{9, 9}, {1, 5}, {5, 7}, {20, 30}, {22, 25}})
	if want := [][2]int{{1, 7}, {9, 9}, {20, 30}}; !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got := segments([]float64{1, 1, 0, 1, math.NaN(), 1}, 10); !reflect.DeepEqual(got, [][2]int{{10, 11}, {13, 13}, {15, 15}}) {
		t.Errorf("segments %v", got)
	}
}
