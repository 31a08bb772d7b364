package pipeline

import (
	"testing"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/norn-aiops/norn/internal/cause"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// Twelve queues of one service; those of one tenant fill.
func TestSeriesOfACauseSayWhichLabelsDeviate(t *testing.T) {
	e := telemetry.Entity{Kind: telemetry.KindService, Name: "mailer"}
	var in cause.Input
	for r, region := range []string{"eu", "us", "ap"} {
		for k, tenant := range []string{"a", "b", "c", "d"} {
			now := 50 + float64(r+k)
			if tenant == "c" {
				now *= 6
			}
			meta := &telemetry.Series{Name: "queue_length", Entity: e,
				Labels: labels.FromStrings("__name__", "queue_length", "region", region, "tenant", tenant)}
			in.Series = append(in.Series, cause.Series{Meta: meta,
				Baseline: []telemetry.Sample{{T: 1, V: 50}, {T: 2, V: 52}}, Window: []telemetry.Sample{{T: 3, V: now}}})
		}
	}
	a, err := bySeries(&in, e, "queue_length")
	if err != nil || len(a.Elements) != 1 {
		t.Fatalf("%v: %+v", err, a)
	}
	if got, want := a.Place(), "Where: tenant=c (954 instead of 153, 99 % of the change)."; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if a, err := bySeries(&in, telemetry.Entity{Kind: telemetry.KindService, Name: "other"}, "queue_length"); err != nil || len(a.Elements) > 0 {
		t.Errorf("another entity: %v %+v", err, a)
	}
}

func TestAPlaceThatDidNotChangeAsItsCauseDidIsNotTold(t *testing.T) {
	slower := &ops.Evidence{Observed: .47, Expected: .24}
	for _, c := range []struct {
		observed, expected float64
		want               bool
	}{{.9, .2, true}, {.247, .262, false}, {.25, .24, false}, {.1, .5, false}, {.3, 0, true}} {
		if got := carries(slower, c.observed, c.expected); got != c.want {
			t.Errorf("%v instead of %v: told %v", c.observed, c.expected, got)
		}
	}
}
