package ladder

import (
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
)

func item(id uint64, importance float64, now, top Tier) Item {
	return Item{ID: id, Importance: importance, Now: now, Top: top, Bytes: [3]float64{100, 2000, 2500}, Nanos: [3]float64{4, 16, 33}}
}

func use(items []Item, moves []Move) (b Budget) {
	at := map[uint64]Tier{}
	for _, m := range moves {
		at[m.ID] = m.To
	}
	for _, it := range items {
		l, ok := at[it.ID]
		if !ok {
			l = it.Now
		}
		b.Bytes, b.Nanos = b.Bytes+it.Bytes[l], b.Nanos+it.Nanos[l]
	}
	return b
}

func TestTheLeastImportantStepDownAndNoMoreThanNeeded(t *testing.T) {
	items := []Item{item(1, 4, Full, Full), item(2, 1, Basic, Basic), item(3, 1.2, Basic, Basic), item(4, 8, Full, Full)}
	got := Plan(items, Budget{Bytes: 7300}, 0)
	if want := []Move{{2, Counter}}; !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got := Plan(items, Budget{}, 9); len(got) != 0 {
		t.Errorf("without a budget %v", got)
	}
	items[1].Pinned = true
	if got := Plan(items, Budget{Bytes: 7300}, 0); !reflect.DeepEqual(got, []Move{{3, Counter}}) {
		t.Errorf("what is pinned stays: %v", got)
	}
}

// Random fleets: what the plan leaves is within the budget wherever that can
// be reached, the same every time, never above a series' best, and soon nothing
// is left to do.
func TestAPlanHoldsTheBudgetAndIsStable(t *testing.T) {
	const seed = 11
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, seed))
	for range 300 {
		items := make([]Item, 1+r.IntN(60))
		least, most := 0., 0.
		for i := range items {
			top := Tier(r.IntN(3))
			items[i] = item(uint64(i+1), .1+10*r.Float64(), Tier(r.IntN(int(top)+1)), top)
			least += items[i].Bytes[Counter]
			most += items[i].Bytes[top]
		}
		b := Budget{Bytes: least + r.Float64()*(most-least) + 1}
		if r.IntN(2) == 0 {
			b.Nanos = 4*float64(len(items)) + 30*float64(len(items))*r.Float64() + 1e-6
		}
		moves := Plan(items, b, len(items))
		if again := Plan(items, b, len(items)); !reflect.DeepEqual(moves, again) {
			t.Fatal("two plans of the same fleet differ")
		}
		if u := use(items, moves); u.Bytes > b.Bytes+1e-6 || b.Nanos > 0 && u.Nanos > b.Nanos+1e-6 {
			t.Fatalf("used %+v, budget %+v", u, b)
		}
		for round := 0; len(moves) > 0; round++ {
			if round == 5 {
				t.Fatalf("series hop: %v", moves)
			}
			for _, m := range moves {
				i := slices.IndexFunc(items, func(it Item) bool { return it.ID == m.ID })
				if m.To > items[i].Top {
					t.Fatalf("%v above its best", m)
				}
				items[i].Now = m.To
			}
			moves = Plan(items, b, len(items))
		}
	}
}

func TestAPlaceIsNotLostToAnEqual(t *testing.T) {
	wishes := []Wish{{1, 2, true}, {2, 2.5, false}, {3, 4, false}, {4, 1, true}}
	take, give := Keep(wishes, 2)
	if !slices.Equal(take, []uint64{4}) || !slices.Equal(give, []uint64{3}) {
		t.Errorf("take %v, give %v", take, give)
	}
}

// Memory that swings around the limit moves nobody up before ten minutes of
// room; a single peak of processor time moves nobody.
func TestTheGovernorDoesNotHop(t *testing.T) {
	var g Governor
	now := int64(0)
	tick := func(u Use, reduced bool) Order {
		now += 30_000
		return g.Govern(now, u, reduced)
	}
	if o := tick(Use{Bytes: 1.1}, false); !o.Down || !o.ShortBytes || math.Abs(o.Bytes-aim) > 1e-9 {
		t.Fatalf("%+v", o)
	}
	for i := range 60 {
		u := Use{Bytes: .7}
		if i == 15 {
			u.Bytes = .85 // room is not sure yet: begin again
		}
		if o := tick(u, true); o.Up != (i >= 15+20) || o.Down {
			t.Fatalf("step %d: %+v", i, o)
		}
	}
	g = Governor{}
	for i := range 20 {
		u := Use{CPU: .3}
		if i == 10 {
			u.CPU = 2
		}
		if o := tick(u, false); o.Down {
			t.Fatalf("one peak moved series down at %d", i)
		}
	}
	down := 0
	for range 10 {
		if tick(Use{CPU: 1.5}, true).Down {
			down++
		}
	}
	if down < 5 {
		t.Errorf("processor time of 1.5 budgets for five minutes: down %d times", down)
	}
}
