package falsealarms

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/norn-aiops/norn/internal/demo/model"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// Two shops share no series, and no entity of one calls an entity of the
// other; each series has one name from the first step to the last.
func TestShopsAreApart(t *testing.T) {
	o := Options{Series: 1000, Seed: 3}.withDefaults()
	from := start().Add(-time.Hour)
	shops, err := fleet(o, from)
	if err != nil {
		t.Fatal(err)
	}
	if len(shops) < 2 {
		t.Fatalf("%d shops for 1000 series", len(shops))
	}
	names := map[int]string{}
	owner := map[string]int{}
	for _, s := range shops {
		err := s.gen.Until(context.Background(), from.Add(10*time.Minute), func(_ context.Context, got []model.Sample) error {
			for _, x := range got {
				x = s.adopt(x)
				name := x.Labels.String()
				if old, ok := names[x.Series]; ok && old != name {
					t.Fatalf("series %d is %s and %s", x.Series, old, name)
				}
				if n, ok := owner[name]; ok && n != x.Series {
					t.Fatalf("%s is series %d and %d", name, n, x.Series)
				}
				names[x.Series], owner[name] = name, x.Series
			}
			return nil
		}, func(float64) {})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(names) < o.Series*9/10 {
		t.Errorf("only %d series of %d have values", len(names), o.Series)
	}
}

func TestNamesGetTheNumberOfTheShop(t *testing.T) {
	ls := labels.FromStrings("entity", "service/cart", "peer", "cache/product-cache", "job", "shop/cart", "service_name", "cart", "service_instance_id", "cart-2", "le", "0.5")
	want := map[string]string{"entity": "service/cart-3", "peer": "cache/product-cache-3", "job": "shop/cart-3", "service_name": "cart-3", "service_instance_id": "cart-3-2", "le": "0.5"}
	got := rename(ls, 2)
	for k, v := range want {
		if got.Get(k) != v {
			t.Errorf("%s is %q, want %q", k, got.Get(k), v)
		}
	}
	if rename(ls, 0).String() != ls.String() {
		t.Error("the first shop has other names than the plan")
	}
	if e := telemetry.ParseEntity(got.Get("entity")); e.Kind != telemetry.KindService {
		t.Errorf("entity %v", e)
	}
}

func TestTheReportSaysWhetherTheBudgetIsHeld(t *testing.T) {
	for _, r := range []Report{{Incidents: 4, Budget: 3, Days: 7}, {Incidents: 3, Budget: 3, Days: 7, Within: true}} {
		var b strings.Builder
		if err := r.Print(&b); err != nil {
			t.Fatal(err)
		}
		if got := !strings.Contains(b.String(), "NOT held"); got != r.Within {
			t.Errorf("%d incidents of %g: %s", r.Incidents, r.Budget, b.String())
		}
	}
}
