package app

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/norn-aiops/norn/internal/cli"
)

// failing lets the small shop run with n requests in each window, of which
// about failed answer with an error, from the database up to the frontend.
func failing(t *testing.T, o *Offline, s *smallShop, from int64, windows, n, failed int) (end int64) {
	t.Helper()
	for w := range windows {
		at := from + int64(w)*10_000
		if err := o.Pipeline.Tick(t.Context(), at+10_000); err != nil {
			t.Fatal(err)
		}
		spans := s.requests(at, n)
		bad := failed
		if n >= 10 && n/5 < failed && failed < n {
			bad += s.rnd.IntN(n/5) - n/10
		}
		for i := range spans[:len(spans)/n*bad] {
			spans[i].Error = spans[i].Name != "GET" && spans[i].Name != "GET /products"
		}
		if _, err := o.Pipeline.Spans(t.Context(), spans); err != nil {
			t.Fatal(err)
		}
	}
	return from + int64(windows)*10_000
}

// One failure of two requests pages nobody, whole pipeline and default
// settings; the same share of many requests does.
func TestOneFailureOfTwoRequestsPagesNobody(t *testing.T) {
	o := offline(t, t.TempDir(), storyStart)
	defer o.Close()
	s := &smallShop{rnd: rand.New(rand.NewPCG(8, 8)), slow: 1}
	at := failing(t, o, s, storyStart, 6*45, 2, 0)
	for range 3 {
		at = failing(t, o, s, at, 1, 2, 1)
		at = failing(t, o, s, at, 6*5, 2, 0)
	}
	if got := incidents(t, o); len(got) != 0 {
		t.Errorf("one failure of two requests opened %q: %s", got[0].Title, got[0].Sentence)
	}
}

func TestHalfOfManyRequestsFailingOpens(t *testing.T) {
	o := offline(t, t.TempDir(), storyStart)
	defer o.Close()
	s := &smallShop{rnd: rand.New(rand.NewPCG(9, 9)), slow: 1}
	at := storyStart
	for range 27 { // on an ordinary day one request in some hundred fails
		at = failing(t, o, s, at, 9, 60, 0)
		at = failing(t, o, s, at, 1, 60, 1)
	}
	failing(t, o, s, at, 6*4, 60, 30)
	got := incidents(t, o)
	if len(got) != 1 || got[0].Impact < .3 {
		t.Fatalf("half of many requests fail: %v", titles(got))
	}
	held, budget := o.Pipeline.Suppressed()
	if len(held) != 0 || budget.Pages != 0 {
		t.Errorf("clear harm to users does not ask the budget: %+v, held back %+v", budget, held)
	}
}

// A service that never failed, and then fails altogether, is found: it never
// showed what share a single failure is.
func TestAServiceThatNeverFailedFailsAltogether(t *testing.T) {
	o := offline(t, t.TempDir(), storyStart)
	defer o.Close()
	s := &smallShop{rnd: rand.New(rand.NewPCG(10, 10)), slow: 1}
	at := failing(t, o, s, storyStart, 6*45, 60, 0)
	failing(t, o, s, at, 6*3, 60, 60)
	got := incidents(t, o)
	if len(got) != 1 || got[0].Impact < .9 {
		t.Fatalf("every request fails for three minutes: %v", titles(got))
	}
}

// The operator sees the budget, and that nothing is held back.
func TestTheBudgetIsShownAtTheTerminal(t *testing.T) {
	a := inProcess(t, nil)
	out, code := norn(t, a.Addr("http"), "incidents", "suppressed")
	if code != cli.ExitOK || !strings.Contains(out, "Budget: 3 false pages a week, 0.00 of them used; the next candidate may have p = 0.3") {
		t.Errorf("code %d and %q", code, out)
	}
	if out, code = norn(t, a.Addr("http"), "incidents", "suppressed", "-o", "json"); code != cli.ExitOK || !strings.Contains(out, `"suppressed": []`) {
		t.Errorf("code %d and %q", code, out)
	}
}
