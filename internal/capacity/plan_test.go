package capacity

import (
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"
)

// office is a demand of weeks in a zone: 90 a second in working hours, 9 else.
func office(weeks int, zone *time.Location, seed uint64) Demand {
	r := rand.New(rand.NewPCG(seed, 3))
	d := Demand{PerReplica: 10, Risk: .01, Zone: zone}
	from := time.Date(2026, 3, 2, 0, 0, 0, 0, zone)
	for t := from; t.Before(from.AddDate(0, 0, 7*weeks)); t = t.Add(10 * time.Minute) {
		v := 9.0
		if wd := t.In(zone).Weekday(); wd != time.Saturday && wd != time.Sunday && t.In(zone).Hour() >= 8 && t.In(zone).Hour() < 18 {
			v = 90
		}
		d.Times, d.Values = append(d.Times, t.UnixMilli()), append(d.Values, v*(1+.02*r.NormFloat64()))
	}
	return d
}

func TestAPlanFollowsTheOfficeAndSaysWhatItSaves(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	p, err := Make(office(6, berlin, 1)) // the clocks change in its third week
	if err != nil {
		t.Fatal(err)
	}
	for h, n := range p.Replicas {
		busy := h < 5*24 && h%24 >= 8 && h%24 < 18
		if busy && (n < 9 || n > 10) || !busy && n > 2 {
			t.Errorf("hour %d: %d replicas", h, n)
		}
	}
	if p.Saved < .5 || p.Static != 10 || p.Exceeded > .02 || p.Weeks != 6 {
		t.Errorf("saved %.2f against %d, exceeded %.3f, %d weeks", p.Saved, p.Static, p.Exceeded, p.Weeks)
	}
}

func TestExportsAreWhatTheirReadersExpect(t *testing.T) {
	p, err := Make(office(4, time.UTC, 2))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := p.Export(&b, "csv", Target{}); err != nil || strings.Count(b.String(), "\n") != 169 || !strings.HasPrefix(b.String(), "weekday,hour,demand,replicas\nMon,0,") {
		t.Errorf("csv: %v\n%.200s", err, b.String())
	}
	b.Reset()
	if err := p.Export(&b, "keda", Target{Name: "shop", Namespace: "prod"}); err != nil {
		t.Fatal(err)
	}
	var so struct {
		Kind string
		Spec struct {
			ScaleTargetRef  struct{ Name string } `yaml:"scaleTargetRef"`
			MinReplicaCount int                   `yaml:"minReplicaCount"`
			Triggers        []struct {
				Type     string
				Metadata map[string]string
			}
		}
	}
	if err := yaml.Unmarshal([]byte(b.String()), &so); err != nil || so.Kind != "ScaledObject" || so.Spec.ScaleTargetRef.Name != "shop" || so.Spec.MinReplicaCount > 2 {
		t.Fatalf("keda: %v\n%s", err, b.String())
	}
	if len(so.Spec.Triggers) < 5 || so.Spec.Triggers[0].Metadata["start"] != "0 8 * * 1" || so.Spec.Triggers[0].Metadata["timezone"] != "UTC" {
		t.Errorf("keda: %s", b.String())
	}
	b.Reset()
	if err := p.Export(&b, "cronjob", Target{Name: "shop"}); err != nil || strings.Count(b.String(), "kind: CronJob") < 2 || !strings.Contains(b.String(), "0 8 * * 1,2,3,4,5") {
		t.Errorf("cronjob: %v\n%s", err, b.String())
	}
	if err := p.Export(&b, "excel", Target{}); err == nil || !strings.Contains(err.Error(), "excel") {
		t.Errorf("excel: %v", err)
	}
}

func TestBadDemandsAreNamed(t *testing.T) {
	good := office(3, time.UTC, 1)
	for what, change := range map[string]func(*Demand){
		"replica": func(d *Demand) { d.PerReplica = 0 }, "risk": func(d *Demand) { d.Risk = math.NaN() }, "headroom": func(d *Demand) { d.Headroom = -1 },
	} {
		d := good
		change(&d)
		if _, err := Make(d); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := Make(office(1, time.UTC, 1)); !errors.Is(err, ErrTooShort) {
		t.Errorf("one week: %v", err)
	}
	holes := office(3, time.UTC, 1)
	for i := range holes.Values {
		if i%5 == 0 {
			holes.Values[i] = math.NaN()
		}
	}
	if p, err := Make(holes); err != nil || p.Saved < .4 {
		t.Errorf("holes: %v %v", p.Saved, err)
	}
}

func TestConventionsAreQueriesThatCanBeNarrowed(t *testing.T) {
	ls := labels.FromStrings("__name__", "x_bytes", "instance", `a"b`, "mountpoint", "/")
	for _, r := range Conventions() {
		q, err := Select(r.Query, ls)
		if err != nil {
			t.Errorf("%s: %v", r.Name, err)
			continue
		}
		if _, err := parser.NewParser(parser.Options{}).ParseExpr(q); err != nil || !strings.Contains(q, `mountpoint="/"`) {
			t.Errorf("%s: %s: %v", r.Name, q, err)
		}
		if r.Lead <= 0 {
			t.Errorf("%s has no lead time", r.Name)
		}
	}
}

func TestFaultsOfDeclarationsAreAllNamed(t *testing.T) {
	var got []string
	Check([]Config{{Name: "a", Query: "up", Limit: "5"}, {Name: "a", Query: "sum(", Direction: "sideways"}}, func(key, format string, _ ...any) { got = append(got, key+" "+format) })
	all := strings.Join(got, "\n")
	for _, want := range []string{"is taken", "capacity[1].query", "is missing", "capacity[1].direction"} {
		if !strings.Contains(all, want) {
			t.Errorf("not named: %s in\n%s", want, all)
		}
	}
	a, b := (&Config{Limit: "-2.5e3"}).Rule(), (&Config{Limit: "2 * quota"}).Rule()
	if a.Limit != -2500 || a.LimitExpr != "" || b.LimitExpr != "2 * quota" {
		t.Errorf("%+v %+v", a, b)
	}
	if l, ok := ShareLimit([]float64{3, 70}); !ok || l != 100 {
		t.Error(l, ok)
	}
	if _, ok := ShareLimit([]float64{300}); ok {
		t.Error("300 is no share")
	}
}
