package cause

import (
	"math"
	"testing"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/norn-aiops/norn/internal/telemetry"
)

func TestNumbersReadAsPeopleWriteThem(t *testing.T) {
	for _, c := range []struct {
		v    float64
		unit string
		want string
	}{
		{1.9, "s", "1.9 s"}, {.02, "s", "20 ms"}, {.00042, "s", "420 µs"}, {125, "s", "125 s"}, {1800, "s", "30 min"}, {10800, "s", "3 h"}, {0, "s", "0 s"},
		{.923, "1", "92 %"}, {.042, "1", "4.2 %"}, {.0003, "1", "0.03 %"}, {0, "1", "0 %"},
		{1536, "By", "1.5 KiB"}, {230 << 20, "By", "230 MiB"}, {2048, "By/s", "2 KiB/s"},
		{120, "{request}/s", "120 requests/s"}, {.5, "{line}/s", "0.5 lines/s"}, {3, "{query}/s", "3 queries/s"},
		{1234567, "", "1.2 M"}, {7, "", "7"}, {math.NaN(), "s", "unknown"}, {math.Inf(1), "", "unbounded"}, {-0.05, "s", "-50 ms"},
	} {
		if got := human(c.v, c.unit); got != c.want {
			t.Errorf("human(%v, %q) = %q, want %q", c.v, c.unit, got, c.want)
		}
	}
	if got := shorten("a\n  very   long line", 8); got != "a very …" {
		t.Errorf("shorten: %q", got)
	}
	if got := listing([]string{"a", "b", "c"}); got != "a, b and c" {
		t.Errorf("listing: %q", got)
	}
}

func TestOneFailureOfOneRequestSaysLittle(t *testing.T) {
	one, many := binomialZ(1, 1, .01), binomialZ(60, 2000, .001)
	if one > 2.5 || many < 6 {
		t.Fatalf("one of one: %v, sixty of two thousand: %v", one, many)
	}
	if z := binomialZ(0, 10, .1); z != 0 {
		t.Errorf("no failure: %v", z)
	}
}

func TestOneSlowRequestOfFewIsNoSlowService(t *testing.T) {
	cfg := Config{}.WithDefaults()
	meta := &telemetry.Series{Name: "norn_latency_seconds", Signal: telemetry.SignalLatency, Unit: "s", Labels: labels.FromStrings("quantile", "0.95")}
	s := Series{Meta: meta}
	for i := range 120 { // ten minutes, 2 requests a window; one window in 60 holds a slow request
		v := .01
		if i%60 == 11 {
			v = .2
		}
		s.Baseline = append(s.Baseline, telemetry.Sample{T: int64(i) * 10_000, V: v})
	}
	window := func(vs ...float64) Series {
		out := s
		out.Window = nil
		for i, v := range vs {
			out.Window = append(out.Window, telemetry.Sample{T: 1_300_000 + int64(i)*10_000, V: v})
		}
		return out
	}
	w := span{1_300_000, 1_350_000}
	load := traffic{growth: 1, requests: 12, usual: .2, atMost: 3}
	one, all := window(.01, .01, .25, .01, .01, .01), window(.25, .25, .25, .25, .25, .25)
	a, _ := cfg.measure(&one, kLat, w, load)
	b, _ := cfg.measure(&all, kLat, w, load)
	if a.a > .3 || b.a < .9 {
		t.Errorf("one slow window of six: %.2f, all of them: %.2f", a.a, b.a)
	}
	single := window(.25)
	c, _ := cfg.measure(&single, kLat, span{1_300_000, 1_300_000}, traffic{growth: 1, requests: 2, usual: .2, atMost: 3})
	if c.a > .3 {
		t.Errorf("one window of two requests: %.2f", c.a)
	}
}
