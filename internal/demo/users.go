package demo

import (
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/norn-aiops/norn/internal/demo/plan"
	"github.com/norn-aiops/norn/internal/demo/shop"
)

// maxVisitors bounds the journeys under way; further visitors are turned away
// and counted.
const maxVisitors = 200

// users is the load generator: visitors arrive at random, at a rate that
// follows the time of day, and walk through their journey's requests. They
// are not instrumented, as people are not. Run owns all goroutines.
type users struct {
	plan  *plan.Plan
	rate  float64 // mean requests a second over the day
	peers func() map[string][]string
	now   func() time.Time

	surge atomic.Uint64 // factor, float bits

	sent, failed, turned atomic.Int64
	mu                   sync.Mutex
	rnd                  *rand.Rand
	client               *http.Client
	turn                 atomic.Uint64
}

func newUsers(p *plan.Plan, rate float64, seed uint64, peers func() map[string][]string) *users {
	u := &users{plan: p, rate: rate, peers: peers, now: time.Now, rnd: rand.New(rand.NewPCG(seed, 0x6c6f6164)),
		client: &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 32}}}
	u.Surge(1)
	return u
}

// Surge multiplies the demand.
func (u *users) Surge(factor float64) { u.surge.Store(math.Float64bits(factor)) }

// Sent tells how many requests were made, failed, and visitors turned away.
func (u *users) Sent() (sent, failed, turned int64) {
	return u.sent.Load(), u.failed.Load(), u.turned.Load()
}

// Run sends visitors until ctx ends, then waits for those under way.
func (u *users) Run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	places := make(chan struct{}, maxVisitors)
	visits := u.plan.RequestsPerVisit()
	for {
		demand := plan.Load(u.now()) * u.factor() * u.rate / visits
		if !pause(ctx, time.Duration(u.exp()/demand*float64(time.Second))) {
			return
		}
		select {
		case places <- struct{}{}:
			wg.Go(func() {
				defer func() { <-places }()
				u.visit(ctx)
			})
		default:
			u.turned.Add(1)
		}
	}
}

// visit is one visitor's journey. A visitor who meets an error leaves in half
// of the cases.
func (u *users) visit(ctx context.Context) {
	j := u.journey()
	user, product := fmt.Sprintf("u%d", u.intn(400)), u.product()
	for _, route := range j.Routes {
		if !u.request(ctx, route, user, product) && u.intn(2) == 0 {
			return
		}
		if !pause(ctx, time.Duration(150+u.intn(500))*time.Millisecond) {
			return
		}
	}
}

func (u *users) request(ctx context.Context, route, user string, product int) bool {
	fronts := u.peers()[plan.Frontend]
	if len(fronts) == 0 {
		return false
	}
	addr := fronts[u.turn.Add(1)%uint64(len(fronts))]
	method, path, _ := strings.Cut(route, " ")
	target := "http://" + addr + strings.ReplaceAll(path, "{id}", fmt.Sprint(product)) + "?user=" + user
	r, err := http.NewRequestWithContext(ctx, method, target, nil)
	if err != nil {
		return false
	}
	u.sent.Add(1)
	resp, err := u.client.Do(r)
	if err != nil {
		if ctx.Err() == nil {
			u.failed.Add(1)
		}
		return false
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body) // only to reuse the connection
	if resp.StatusCode >= 500 {
		u.failed.Add(1)
		return false
	}
	return true
}

func (u *users) journey() *plan.Journey {
	var total float64
	for i := range u.plan.Journeys {
		total += u.plan.Journeys[i].Share
	}
	u.mu.Lock()
	x := u.rnd.Float64() * total
	u.mu.Unlock()
	for i := range u.plan.Journeys {
		if x -= u.plan.Journeys[i].Share; x < 0 {
			return &u.plan.Journeys[i]
		}
	}
	return &u.plan.Journeys[0]
}

// product picks one; a few are much more popular than the rest.
func (u *users) product() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return 1 + int(math.Pow(u.rnd.Float64(), 2)*shop.Products)
}

func (u *users) intn(n int) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.rnd.IntN(n)
}

func (u *users) exp() float64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.rnd.ExpFloat64()
}

// pause waits and reports whether the context still lives.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// factor is the current surge.
func (u *users) factor() float64 { return math.Float64frombits(u.surge.Load()) }
