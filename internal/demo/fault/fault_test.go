package fault

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/norn-aiops/norn/internal/demo/plan"
	"github.com/norn-aiops/norn/internal/telemetry"
)

const composed = `
name: black-friday
description: nobody prepared this one
faults:
  - target: service/orders
    kind: latency
    magnitude: 250ms
    onset: ramp
    duration: 3m
  - target: "orders->orders-db"
    kind: slow_query
    magnitude: 0.2
    after: 30s
    duration: 1m
  - target: cart-2
    kind: kill
  - target: cache/product-cache
    kind: cache_bad
    magnitude: 60%
    share: 0.5
`

// Somebody composes four faults in YAML; each means what it says.
func TestComposedFaultIsUnderstood(t *testing.T) {
	s, err := Parse([]byte(composed), plan.Shop())
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Faults[0].Magnitude; got != 0.25 {
		t.Errorf("250ms became %v, want 0.25 seconds", got)
	}
	if got := s.Faults[3].Magnitude; got != 0.6 {
		t.Errorf("60%% became %v, want 0.6", got)
	}
	if got := s.Length(); got != 3*time.Minute {
		t.Errorf("length %s, want 3m", got)
	}
	want := []string{"service/orders", "database/orders-db", "service/cart", "cache/product-cache"}
	var got []string
	for _, e := range s.Truths() {
		got = append(got, e.String())
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("truths %v, want %v", got, want)
	}
	if tg := s.Faults[2].Resolved(); tg != (Target{Kind: OnInstance, Service: "cart", Instance: "cart-2"}) {
		t.Errorf("cart-2 resolved to %+v", tg)
	}
}

// A bare list, and the same spec as JSON, are taken too.
func TestListAndJSONAreTaken(t *testing.T) {
	for _, text := range []string{
		"- {target: payment, kind: error, magnitude: 0.5}",
		`{"faults":[{"target":"service/payment","kind":"error","magnitude":0.5,"duration":"2m"}]}`,
	} {
		s, err := Parse([]byte(text), plan.Shop())
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if s.Name != "custom" || s.Faults[0].Resolved().Service != "payment" {
			t.Errorf("%s: got %+v", text, s)
		}
	}
}

// Each mistake is refused, and the message names the field so that the writer
// finds it.
func TestMistakesAreNamed(t *testing.T) {
	cases := []struct{ text, want string }{
		{"", "empty"},
		{"faults: []", "faults: needs at least one"},
		{"name: x\nfautls: []", "field fautls not found"},
		{"faults: [{target: cart, kind: latency, magnitud: 1}]", "field magnitud not found"},
		{"faults: [{target: basket, kind: latency}]", `faults[0].target: "basket" is nothing in the shop`},
		{"faults: [{target: cart, kind: melt}]", `faults[0].kind: "melt" is not one of`},
		{"faults: [{target: cart, kind: error, magnitude: 3}]", "faults[0].magnitude: 3 is outside"},
		{"faults: [{target: cart, kind: error, magnitude: .nan}]", `magnitude ".nan"`},
		{"faults: [{target: cart, kind: latency, magnitude: [1]}]", "magnitude must be a number"},
		{"faults: [{target: cart, kind: latency, duration: soon}]", `"soon" is not a time span`},
		{"faults: [{target: cart, kind: latency, duration: 10h}]", "faults[0].duration: 10h0m0s is outside"},
		{"faults: [{target: cart, kind: latency, after: -3s}]", "faults[0].after: -3s is outside"},
		{"faults: [{target: cart, kind: latency, onset: slowly}]", `faults[0].onset: "slowly"`},
		{"faults: [{target: cart, kind: latency, share: 2}]", "faults[0].share: 2 is outside"},
		{"faults: [{target: cart, kind: kill}]", "faults[0].target: kill cannot be done to"},
		{"faults: [{target: cart, kind: consumer_stall}]", "consumer_stall needs a worker"},
		{"faults: [{target: cart, kind: slow_query}]", "slow_query needs a database"},
		{"faults: [{target: orders->payment, kind: slow_query}]", "slow_query needs a database"},
		{"faults: [{target: order-events, kind: latency}]", "latency cannot be done to the queue"},
		{"faults: [{target: cart, kind: cache_bad}]", "cache_bad needs the cache"},
		{"faults: [{target: cart->payment, kind: network_delay}]", "is not an edge of the shop"},
		{"faults: [{target: cart-1, kind: error, deploy: 2.0.0}]", "faults[0].deploy"},
		{"faults: [{target: payment, kind: surge}]", "a surge comes from users"},
		{"name: a b\nfaults: [{target: cart, kind: latency}]", "name:"},
		{"truth: [cart]\nfaults: [{target: cart, kind: latency}]", "truth[0]"},
		{"faults: [{target: cart, kind: latency}]\n---\nfaults: []", "one document expected"},
		{"just words", "cannot unmarshal"},
		{strings.Repeat("# long\n", MaxBytes/7+1), "more than the limit"},
	}
	for _, c := range cases {
		_, err := Parse([]byte(c.text), plan.Shop())
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.60q gave %v, want an error with %q", c.text, err, c.want)
		}
	}
}

// Two mistakes in one file are both told.
func TestAllMistakesAreToldAtOnce(t *testing.T) {
	_, err := Parse([]byte("faults: [{target: cart, kind: error, magnitude: 9}, {target: nil, kind: cpu}]"), plan.Shop())
	if err == nil || !strings.Contains(err.Error(), "faults[0].magnitude") || !strings.Contains(err.Error(), "faults[1].target") {
		t.Errorf("got %v", err)
	}
}

func TestOnsetShapes(t *testing.T) {
	at := func(o Onset, t time.Duration) float64 {
		f := Fault{Magnitude: 1, Onset: o, After: Duration(10 * time.Second), Duration: Duration(60 * time.Second)}
		return f.Level(t)
	}
	cases := []struct {
		o    Onset
		t    time.Duration
		want float64
	}{
		{Step, 9 * time.Second, 0}, {Step, 10 * time.Second, 1}, {Step, 69 * time.Second, 1}, {Step, 70 * time.Second, 0},
		{Ramp, 10 * time.Second, 0}, {Ramp, 30 * time.Second, 0.5}, {Ramp, 60 * time.Second, 1},
		{Spike, 20 * time.Second, 1}, {Spike, 40 * time.Second, 0.1}, {Spike, 80 * time.Second, 0},
	}
	for _, c := range cases {
		if got := at(c.o, c.t); got != c.want {
			t.Errorf("%s at %s: %g, want %g", c.o, c.t, got, c.want)
		}
	}
}

// Every prepared fault says truly whether it is one, names an entity of the
// shop as its truth, and touches some process, the load or the supervisor.
func TestPreparedFaultsAreComplete(t *testing.T) {
	p := plan.Shop()
	asked := []string{"slow-query", "error-after-deploy", "memory-leak", "cpu-burn", "dead-instance", "full-queue", "bad-cache", "surge"}
	for _, name := range asked {
		if _, ok := Find(name); !ok {
			t.Errorf("%s is missing", name)
		}
	}
	for _, s := range Prepared() {
		if s.IsFault() == (s.Name == "surge") {
			t.Errorf("%s: is a fault = %v", s.Name, s.IsFault())
		}
		for i := range s.Faults {
			if !somebodyFeels(&s.Faults[i], p) {
				t.Errorf("%s: faults[%d] touches nobody", s.Name, i)
			}
		}
	}
	if s, _ := Find("slow-query"); s.Truths()[0] != (telemetry.Entity{Kind: telemetry.KindDatabase, Name: "orders-db"}) {
		t.Errorf("slow-query's truth is %v", s.Truths())
	}
}

func somebodyFeels(f *Fault, p *plan.Plan) bool {
	if f.Kind == Kill || f.Kind == Surge || f.Kind == Deploy {
		return true
	}
	mid := time.Duration(f.After) + time.Duration(f.Duration)/2
	for i := range p.Services {
		for _, in := range p.Services[i].InstanceNames() {
			if e, ok := f.Touches(p.Services[i].Name, in, mid); ok && e.Level >= 0 {
				return true
			}
		}
	}
	return false
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(composed))
	f.Add([]byte("- {target: payment, kind: error, magnitude: 0.5}"))
	f.Add([]byte(`{"faults":[{"target":"cart","kind":"latency","magnitude":"1e3ms"}]}`))
	f.Add([]byte("a: &a [*a]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Parse(data, plan.Shop())
		if err != nil {
			return
		}
		// What was accepted is within its limits and survives being written
		// and read again in both languages.
		for i := range s.Faults {
			lv := s.Faults[i].Level(s.Length() / 2)
			if r, _ := ruleOf(s.Faults[i].Kind); !(lv >= 0 && lv <= r.hi) {
				t.Fatalf("level %g is outside the limits of %s", lv, s.Faults[i].Kind)
			}
		}
		y, err := yaml.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		j, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range [][]byte{y, j} {
			again, err := Parse(text, plan.Shop())
			if err != nil {
				t.Fatalf("cannot read back: %v\n%s", err, text)
			}
			if !reflect.DeepEqual(s, again) {
				t.Fatalf("changed on the way:\n%+v\n%+v\n%s", s, again, text)
			}
		}
	})
}
