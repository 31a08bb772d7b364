package fault

import (
	"time"

	"github.com/norn-aiops/norn/internal/demo/plan"
)

// Prepared returns the faults that the demo brings along, in the order in
// which they are listed. Each is checked against the shop.
func Prepared() []Spec {
	min150, min180 := Duration(150*time.Second), Duration(180*time.Second)
	specs := []Spec{
		{Name: "slow-query", Description: "a statement on orders-db loses its index and scans a large table",
			Faults: []Fault{{Target: "orders->orders-db", Kind: SlowQuery, Magnitude: 0.25, Duration: min150}}},
		{Name: "error-after-deploy", Description: "pricing 3.2.0 is rolled out and fails for a third of its requests",
			Faults: []Fault{{Target: "pricing", Kind: Error, Magnitude: 0.35, Deploy: "3.2.0", Duration: min150}}},
		{Name: "memory-leak", Description: "recommendations keeps every answer in memory",
			Faults: []Fault{{Target: "recommendations", Kind: MemoryLeak, Magnitude: 256, Onset: Ramp, Duration: min180}}},
		{Name: "cpu-burn", Description: "a runaway loop in inventory eats most of a core",
			Faults: []Fault{{Target: "inventory", Kind: CPU, Magnitude: 0.85, Duration: min150}}},
		{Name: "dead-instance", Description: "one of the two instances of cart is killed",
			Faults: []Fault{{Target: "instance/cart-2", Kind: Kill, Duration: min150}}},
		{Name: "full-queue", Description: "email-worker stops consuming, the queue fills up and refuses orders' events",
			Truth:  []string{"service/" + plan.Worker, "queue/" + plan.QueueName},
			Faults: []Fault{{Target: plan.Worker, Kind: Stall, Duration: min180}}},
		{Name: "bad-cache", Description: "the cache loses nine of ten entries, catalog must ask its database",
			Faults: []Fault{{Target: plan.Cache, Kind: CacheBad, Magnitude: 0.9, Duration: min150}}},
		{Name: "surge", Description: "two and a half times as many visitors: healthy, not a fault", NotAFault: true,
			Faults: []Fault{{Target: "users", Kind: Surge, Magnitude: 2.5, Onset: Ramp, Duration: min150}}},
		{Name: "slow-payment", Description: "payment waits 300 ms longer for the bank",
			Faults: []Fault{{Target: "payment", Kind: Latency, Magnitude: 0.3, Duration: min150}}},
		{Name: "network-delay", Description: "packets to inventory take 80 ms longer",
			Faults: []Fault{{Target: "inventory", Kind: NetworkDelay, Magnitude: 0.08, Duration: min150}}},
		{Name: "two-at-once", Description: "recommendations is slow while shipping fails for four of ten requests",
			Faults: []Fault{
				{Target: "recommendations", Kind: Latency, Magnitude: 0.25, Duration: min150},
				{Target: "shipping", Kind: Error, Magnitude: 0.4, After: Duration(10 * time.Second), Duration: min150},
			}},
	}
	p := plan.Shop()
	for i := range specs {
		if err := specs[i].Check(p); err != nil {
			panic(err) // our own list is wrong: a bug
		}
	}
	return specs
}

// Find returns the prepared fault of that name.
func Find(name string) (Spec, bool) {
	for _, s := range Prepared() {
		if s.Name == name {
			return s, true
		}
	}
	return Spec{}, false
}
