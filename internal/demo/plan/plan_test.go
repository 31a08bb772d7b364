package plan

import (
	"math"
	"testing"
	"time"
)

// Every step of the plan leads somewhere that exists, so that the shop cannot
// call into the void.
func TestEveryStepLeadsSomewhere(t *testing.T) {
	p := Shop()
	stores := map[string]bool{Cache: true, QueueName: true, OrdersDB: true, CatalogDB: true}
	for i := range p.Services {
		for j := range p.Services[i].Ops {
			op := &p.Services[i].Ops[j]
			walk(op.Steps, func(s *Step) {
				if s.Kind != StepCall {
					if !stores[s.To] {
						t.Errorf("%s %s: step to unknown store %q", p.Services[i].Name, op.Route(), s.To)
					}
					return
				}
				if _, ok := p.Op(s.To, s.Route); !ok {
					t.Errorf("%s %s calls %s %s, which does not exist", p.Services[i].Name, op.Route(), s.To, s.Route)
				}
			})
		}
	}
	for _, j := range p.Journeys {
		for _, r := range j.Routes {
			if _, ok := p.Op(Frontend, r); !ok {
				t.Errorf("journey %s asks for %s, which does not exist", j.Name, r)
			}
		}
	}
}

// One user request is one frontend request, and everything further down is
// counted by caller.
func TestUsesAddUp(t *testing.T) {
	var front, paid, shipped, processed float64
	for _, u := range Shop().Uses(0) {
		switch u.Service {
		case Frontend:
			front += u.Each
		case "payment":
			paid += u.Each
		case "shipping":
			shipped += u.Each
		case Worker:
			processed += u.Each
		}
	}
	if math.Abs(front-1) > 1e-9 {
		t.Errorf("one request makes %g at the frontend", front)
	}
	if paid == 0 || math.Abs(paid-shipped) > 1e-9 || math.Abs(paid-processed) > 1e-9 {
		t.Errorf("payments %g, shipments %g, mails %g: each checkout has one of each", paid, shipped, processed)
	}
}

// The load is quiet at night, busy in the afternoon, lower on Sunday, and
// never jumps, not even at midnight.
func TestLoadHasDayAndWeek(t *testing.T) {
	monday := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	at := func(d, h int) float64 { return Load(monday.AddDate(0, 0, d).Add(time.Duration(h) * time.Hour)) }
	if night, day := at(0, 4), at(0, 16); night*2 > day {
		t.Errorf("night %g, afternoon %g: want at least twice", night, day)
	}
	if work, sunday := at(1, 15), at(6, 15); sunday > 0.8*work {
		t.Errorf("tuesday %g, sunday %g: want sunday quieter", work, sunday)
	}
	prev := Load(monday)
	for m := 1; m < 14*24*60; m++ {
		v := Load(monday.Add(time.Duration(m) * time.Minute))
		if math.Abs(v-prev) > 0.02 || v < 0.2 || v > 1.7 {
			t.Fatalf("minute %d: %g after %g", m, v, prev)
		}
		prev = v
	}
}
