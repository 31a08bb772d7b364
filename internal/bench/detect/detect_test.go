package detect

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"
)

func TestTheReportNamesWhatWasMeasured(t *testing.T) {
	r, err := Run(context.Background(), Options{Series: 1024, Points: 70, Warm: 300})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Tiers) != 5 || r.Tiers[0].Age != "young" || r.Tiers[1].Age != "warm" || r.Tiers[3].Tier != "full" {
		t.Fatalf("%+v", r)
	}
	for _, row := range r.Tiers {
		most := map[string]float64{"basic": 2048, "full": 8192, "counter": 256}[row.Tier]
		if row.StatePerSeries < 80 || row.StatePerSeries > most {
			t.Errorf("%s: %.0f bytes of state a series", row.Age, row.StatePerSeries)
		}
	}
	if a := r.Tiers[1].AllocsPerPoint; a > .01 {
		t.Errorf("a warm point allocates %.3f times", a)
	}
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"tiers", "tier", "age", "ns_per_point", "ns_per_point_hot", "bytes_per_series", "allocs_per_point"} {
		if !strings.Contains(string(text), `"`+name+`"`) {
			t.Errorf("no %q in %s", name, text)
		}
	}
	var out bytes.Buffer
	if err := r.Print(&out); err != nil || !strings.Contains(out.String(), "basic, warm") {
		t.Errorf("%v: %s", err, out.String())
	}
}

func TestABenchmarkCanBeStopped(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	stop()
	if _, err := Run(ctx, Options{Series: 10}); err == nil {
		t.Fatal("it went on")
	}
}
