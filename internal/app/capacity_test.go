package app

import (
	"log/slog"
	"math"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"

	"github.com/norn-aiops/norn/internal/ops"
)

const hourOfTest = int64(3_600_000)

// told is a series of hourly values, by days since the first.
type told struct {
	ls    labels.Labels
	value func(day float64) float64
}

// tell writes hours of all series in the order of time.
func tell(t *testing.T, o *Offline, from int64, hours int, list ...told) {
	t.Helper()
	for i := range hours {
		app := o.Stores.Metrics.AppenderV2(t.Context())
		for _, x := range list {
			if _, err := app.Append(0, x.ls, 0, from+int64(i)*hourOfTest, x.value(float64(i)/24), nil, nil, storage.AOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		if err := app.Commit(); err != nil {
			t.Fatal(err)
		}
	}
}

func compute(t *testing.T, o *Offline, now int64) []ops.Capacity {
	t.Helper()
	for more := true; more; {
		var err error
		if more, err = o.Pipeline.Forecast(t.Context(), now, 3); err != nil {
			t.Fatal(err)
		}
	}
	list, _ := o.Pipeline.Capacity()
	return list
}

// A disk loses 2 GB a day and has three days left; another stands still; a
// declared quota has a month. The first becomes a predicted anomaly and opens
// an incident; when somebody makes room, the anomaly ends.
func TestADiskThatWillBeFullBeforeAnybodyCanActOpensAnIncident(t *testing.T) {
	o := withSettings(t, `
capacity:
  - {name: seats, query: seats_used, limit: seats_bought, entity: service/crm, lead_time: 7d, breakdown: seats_by_team}
  - {name: broken, query: 'no_such_metric', limit: '5'}
`, slog.New(slog.DiscardHandler))
	from := storyStart
	const days = 30
	disk := labels.FromStrings("__name__", "node_filesystem_avail_bytes", "instance", "node-1:9100", "job", "node", "mountpoint", "/data", "fstype", "ext4")
	calm := labels.FromStrings("__name__", "node_filesystem_avail_bytes", "instance", "node-1:9100", "job", "node", "mountpoint", "/", "fstype", "ext4")
	tell(t, o, from, days*24,
		told{disk, func(d float64) float64 { return 64e9 - 2e9*d + 1e8*math.Sin(2*math.Pi*d) }},
		told{calm, func(d float64) float64 { return 50e9 + 1e8*math.Sin(2*math.Pi*d) }},
		told{labels.FromStrings("__name__", "seats_used"), func(d float64) float64 { return 100 + d }},
		told{labels.FromStrings("__name__", "seats_bought"), func(float64) float64 { return 160 }},
		told{labels.FromStrings("__name__", "seats_by_team", "team", "sales"), func(d float64) float64 { return 40 + d }},
		told{labels.FromStrings("__name__", "seats_by_team", "team", "support"), func(float64) float64 { return 60 }})

	now := from + days*24*hourOfTest - hourOfTest
	list := compute(t, o, now)
	if len(list) != 3 {
		t.Fatalf("%d limits: %+v", len(list), list)
	}
	first := list[0]
	if first.Resource != "disk" || first.Labels["mountpoint"] != "/data" || !first.Urgent || first.P50 == nil {
		t.Fatalf("most urgent: %+v", first)
	}
	if in := float64(*first.P50-now) / (24 * float64(hourOfTest)); math.Abs(in-2) > 1 {
		t.Errorf("full in %.1f days, 2 are true", in)
	}
	seats := list[1]
	if seats.Resource != "seats" || seats.Limit != 160 || seats.Urgent || seats.Entity.Name != "crm" {
		t.Fatalf("second: %+v", seats)
	}
	if in := float64(*seats.P50-now) / (24 * float64(hourOfTest)); math.Abs(in-31) > 5 {
		t.Errorf("seats are used up in %.1f days, 31 are true", in)
	}
	if len(seats.Drivers) != 1 || !strings.Contains(seats.Drivers[0].Name, "sales") || math.Abs(seats.Drivers[0].Growth-1) > .1 {
		t.Errorf("driven by %+v", seats.Drivers)
	}
	if list[2].P10 != nil || list[2].Urgent {
		t.Errorf("stands still: %+v", list[2])
	}

	for i := range int64(4) {
		compute(t, o, now+i*60_000)
		if err := o.Pipeline.Tick(t.Context(), now+i*60_000); err != nil {
			t.Fatal(err)
		}
	}
	got := incidents(t, o)
	if len(got) != 1 || len(got[0].Anomalies) != 1 || got[0].Anomalies[0].Kind != ops.AnomalyPredicted || got[0].State != ops.StateOpen {
		t.Fatalf("%d incidents: %+v", len(got), got)
	}
	if got[0].Anomalies[0].ID != first.AnomalyID || !strings.Contains(got[0].Anomalies[0].Text, "/data") {
		t.Errorf("%+v", got[0].Anomalies[0])
	}

	roomy := now + hourOfTest
	tell(t, o, roomy, 26, told{disk, func(d float64) float64 { return 60e9 - 2e9*d }})
	list = compute(t, o, roomy+24*hourOfTest)
	for _, c := range list {
		if c.Urgent {
			t.Errorf("still urgent: %+v", c)
		}
	}
	var all []ops.Anomaly
	if err := o.Pipeline.Tick(t.Context(), roomy+24*hourOfTest); err != nil {
		t.Fatal(err)
	}
	all, err := o.Stores.State.Anomalies(t.Context(), 0, roomy+48*hourOfTest, 0)
	if err != nil {
		t.Fatal(err)
	}
	ended := false
	for _, a := range all {
		ended = ended || a.ID == first.AnomalyID && a.Ended > 0
	}
	if !ended {
		t.Error("there is room again, but the anomaly lasts")
	}
}
