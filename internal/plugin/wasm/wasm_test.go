package wasm

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/norn-aiops/norn/internal/telemetry"
)

// Bodies of functions follow.
func giveValue() []byte { return instructions(0x20, 2) }                // the value is the score
func at1024() []byte    { return instructions(0x41, signed(1024)) }     // alloc
func zero() []byte      { return f64const(0) }                          // f64.const 0
func forever() []byte   { return []byte{0x03, 0x40, 0x0c, 0x00, 0x0b} } // loop br 0 end
func grow(n int64) []byte { // memory.grow n, drop
	return append(append([]byte{0x41}, signed(n)...), 0x40, 0x00, 0x1a)
}

// count gives how often it was called; it counts in its memory, at 0.
func count() []byte {
	return instructions(0x41, 0, 0x41, 0, 0x29, 3, 0, 0x42, 1, 0x7c, 0x37, 3, 0, 0x41, 0, 0x29, 3, 0, 0xb9)
}

func good() mod { return mod{alloc: at1024(), observe: giveValue()} }

func load(t *testing.T, m mod, o Options) *Plugin {
	t.Helper()
	p, err := Load(t.Context(), m.bytes(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return p
}

func points(series int, values ...float64) []telemetry.Point {
	var out []telemetry.Point
	for i := range series {
		s := &telemetry.Series{ID: telemetry.SeriesID(i + 1), Name: "pool", Labels: labels.FromStrings("__name__", "pool", "i", fmt.Sprint(i))}
		for j, v := range values {
			out = append(out, telemetry.Point{Series: s, T: int64(j) * 1000, V: v})
		}
	}
	return out
}

func TestAModuleScoresWhatItIsGiven(t *testing.T) {
	p := load(t, good(), Options{})
	in := points(1, 3.5, -1, math.NaN(), math.Inf(1), 0)
	out := make([]float64, len(in))
	if err := p.Score(t.Context(), in, out); err != nil {
		t.Fatal(err)
	}
	if out[0] != 3.5 || !math.IsNaN(out[1]) || !math.IsNaN(out[2]) || !math.IsNaN(out[3]) || out[4] != 0 {
		t.Errorf("scores %v: negative, NaN and infinite mean no opinion", out)
	}
	if s := p.State(); s.Calls != 5 || s.Series != 1 || s.Off != "" || s.Memory != 1<<16 {
		t.Errorf("state %+v", s)
	}
}

// Series are shared out among instances, each with a memory of its own; calls
// from many goroutines are all answered.
func TestInstancesHaveAMemoryOfTheirOwn(t *testing.T) {
	p := load(t, mod{alloc: at1024(), observe: count()}, Options{Instances: 4})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			in := points(8, 1, 2, 3)
			out := make([]float64, len(in))
			if err := p.Score(context.Background(), in, out); err != nil {
				t.Error(err)
			}
			for i, v := range out {
				if !(v >= 1 && v <= 48) { // two of eight series fall to each instance
					t.Errorf("point %d is call number %v of its instance", i, v)
				}
			}
		})
	}
	wg.Wait()
	if s := p.State(); s.Calls != 8*24 || s.Memory != 4<<16 {
		t.Errorf("state %+v", s)
	}
}

// A module that wants to know is told of every series once, before its first
// point, in memory that it gave.
func TestAModuleIsToldOfItsSeries(t *testing.T) {
	// describe keeps the length at 0; observe gives it; name is 4 bytes at 1025
	// of what alloc was given: the beginning of the JSON.
	m := mod{alloc: at1024(),
		describe: instructions(0x41, 0, 0x20, 2, 0xad, 0x37, 3, 0),
		observe:  instructions(0x41, 0, 0x29, 3, 0, 0xb9)}
	p := load(t, m, Options{MaxSeries: 2})
	in := points(3, 1, 1)
	out := make([]float64, len(in))
	if err := p.Score(t.Context(), in, out); err != nil {
		t.Fatal(err)
	}
	text, ok := p.instances[0].module.Memory().Read(1024, uint32(out[2]))
	if !ok || !strings.Contains(string(text), `"labels":{"__name__":"pool","i":"1"}`) || !strings.HasPrefix(string(text), `{"id":"2",`) {
		t.Errorf("it was told %q", text)
	}
	if s := p.State(); !math.IsNaN(out[4]) || s.Unserved != 2 || s.Series != 2 {
		t.Errorf("beyond two series: scores %v, state %+v", out, s)
	}
}

func TestAModuleNamesItself(t *testing.T) {
	named := good()
	named.name = instructions(0x42, signed(5<<32|4))
	named.start = instructions(0x41, 5, 0x41, signed(0x65736972), 0x36, 2, 0) // "rise"
	if s := load(t, named, Options{}).State(); s.Title != "rise" {
		t.Errorf("title %q", s.Title)
	}
	named.name = instructions(0x42, signed(-1))
	if _, err := Load(t.Context(), named.bytes(), Options{}); err == nil || !strings.Contains(err.Error(), "outside of the module's memory") {
		t.Errorf("a name outside of memory: %v", err)
	}
}

// Whatever a module does, it ends alone: it is switched off, the reason is
// said, its memory is freed, and other plugins go on.
func TestAHostileModuleIsSwitchedOff(t *testing.T) {
	neighbour := load(t, good(), Options{})
	exit := [][2]string{{"wasi_snapshot_preview1", "proc_exit"}}
	for _, tc := range []struct {
		name string
		m    mod
		says string
	}{
		{"an endless loop", mod{alloc: at1024(), observe: instructions(forever(), zero())}, "observe: took longer than 50ms"},
		{"a trap", mod{alloc: at1024(), observe: instructions(0x00)}, "unreachable"},
		{"a division by zero", mod{alloc: at1024(), observe: instructions(0x41, 1, 0x41, 0, 0x6d, 0x1a, zero())}, "divide by zero"},
		{"a look outside of memory", mod{alloc: at1024(), observe: instructions(0x41, signed(-1), 0x28, 2, 0, 0x1a, zero())}, "out of bounds"},
		{"endless recursion", mod{alloc: at1024(), observe: instructions(0x20, 0, 0x20, 1, 0x20, 2, 0x10, 1)}, "observe: "},
		{"a memory bomb", mod{alloc: at1024(), observe: instructions(grow(10_000), zero())}, "asked for 655425536 bytes of memory, it may have 262144"},
		{"creeping growth", mod{alloc: at1024(), observe: instructions(grow(1), zero())}, "asked for 327680 bytes"},
		{"growth beyond all bounds", mod{alloc: at1024(), observe: instructions(grow(65_535), zero())}, "asked for"},
		{"a hang in describe", mod{alloc: at1024(), observe: giveValue(), describe: instructions(forever())}, "describe: took longer"},
		{"a hang in alloc", mod{alloc: instructions(forever(), 0x41, 0), observe: giveValue(), describe: instructions()}, "alloc: took longer"},
		{"an alloc that lies", mod{alloc: instructions(0x41, signed(-8)), observe: giveValue(), describe: instructions()}, "outside of the module's memory"},
		{"an alloc that traps", mod{alloc: instructions(0x00), observe: giveValue(), describe: instructions()}, "alloc: "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := load(t, tc.m, Options{MemoryPages: 4, CallTime: 50 * time.Millisecond})
			in := points(2, 1, 2, 3, 4)
			out := make([]float64, len(in))
			err := p.Score(t.Context(), in, out)
			if !errors.Is(err, ErrOff) || !strings.Contains(err.Error(), tc.says) {
				t.Fatalf("error %v, want one that says %q", err, tc.says)
			}
			for _, v := range out {
				if !math.IsNaN(v) {
					t.Errorf("scores %v of a module that is off", out)
				}
			}
			if again := p.Score(t.Context(), in, out); !errors.Is(again, ErrOff) {
				t.Errorf("the second time: %v", again)
			}
			if s := p.State(); !strings.Contains(s.Off, tc.says) || s.Memory != 0 {
				t.Errorf("state %+v", s)
			}
			ok := make([]float64, 1)
			if err := neighbour.Score(t.Context(), in[:1], ok); err != nil || ok[0] != 1 {
				t.Errorf("its neighbour: %v %v", ok, err)
			}
		})
	}
	for name, m := range map[string]mod{
		"hangs at the start": {alloc: at1024(), observe: giveValue(), start: instructions(forever())},
		"traps at the start": {alloc: at1024(), observe: giveValue(), start: instructions(0x00)},
		"grows at the start": {alloc: at1024(), observe: giveValue(), start: instructions(grow(10))},
		"hangs in its name":  {alloc: at1024(), observe: giveValue(), name: instructions(forever(), 0x42, 0)},
		"calls exit wrongly": {alloc: at1024(), observe: giveValue(), imports: exit},
	} {
		if p, err := Load(t.Context(), m.bytes(), Options{MemoryPages: 4, StartTime: 50 * time.Millisecond}); err == nil {
			t.Errorf("a module that %s was loaded: %+v", name, p.State())
		}
	}
}

// Tables lie outside of a module's memory: they may not grow without bounds.
func TestTablesAreBounded(t *testing.T) {
	// gives what table.grow gives: -1 when it is refused, which is no opinion
	bomb := mod{alloc: at1024(), table: 3, observe: instructions(0xd0, 0x70, 0x41, signed(100_000_000), 0xfc, 0x0f, 0, 0xb7)}
	p := load(t, bomb, Options{})
	out := make([]float64, 1)
	if err := p.Score(t.Context(), points(1, 1), out); err != nil || !math.IsNaN(out[0]) {
		t.Errorf("a table of 100 million entries: %v %v", out, err)
	}
	huge := good()
	huge.table = 100_000_000
	if _, err := Load(t.Context(), huge.bytes(), Options{}); err == nil || !strings.Contains(err.Error(), "table of 100000000 entries") {
		t.Errorf("a huge table: %v", err)
	}
}

func TestWhatIsNotADetectorIsRefusedByName(t *testing.T) {
	noMemory, wrong, tooLarge := good(), good(), good()
	noMemory.noMemory, wrong.wrong, tooLarge.pages = true, true, 300
	wrong.observe = instructions(0x20, 0)
	evil := good()
	evil.imports = [][2]string{{"env", "open_the_door"}}
	for name, tc := range map[string]struct {
		code []byte
		says string
	}{
		"nothing":          {nil, "not WebAssembly"},
		"text":             {[]byte("#!/bin/sh\n"), "not WebAssembly"},
		"a cut module":     {good().bytes()[:30], "ends too early"},
		"no memory":        {noMemory.bytes(), "does not export memory"},
		"no observe":       {mod{alloc: at1024()}.bytes(), "does not export observe(i64, i64, f64) -> f64"},
		"no alloc":         {mod{observe: giveValue()}.bytes(), "does not export alloc(i32) -> i32"},
		"a wrong observe":  {wrong.bytes(), "exports observe(i32) -> i32, it must be observe(i64, i64, f64) -> f64"},
		"a foreign import": {evil.bytes(), "imports env.open_the_door"},
		"much memory":      {tooLarge.bytes(), "begins with 300 pages of memory, it may have 256"},
	} {
		if _, err := Load(t.Context(), tc.code, Options{}); err == nil || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v, want %q", name, err, tc.says)
		}
	}
}

// A caller who goes away does not cost the module its place.
func TestACallerMayGiveUp(t *testing.T) {
	p := load(t, good(), Options{})
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	out := make([]float64, 1)
	if err := p.Score(gone, points(1, 1), out); !errors.Is(err, context.Canceled) || errors.Is(err, ErrOff) {
		t.Errorf("error %v", err)
	}
	if err := p.Score(t.Context(), points(1, 7), out); err != nil || out[0] != 7 {
		t.Errorf("afterwards: %v %v", out, err)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add(good().bytes())
	f.Add(mod{alloc: at1024(), observe: count(), table: 2}.bytes())
	f.Fuzz(func(t *testing.T, code []byte) {
		p, err := Load(t.Context(), code, Options{MemoryPages: 4, CallTime: 20 * time.Millisecond, StartTime: 20 * time.Millisecond})
		if err != nil {
			return
		}
		out := make([]float64, 2)
		_ = p.Score(t.Context(), points(1, 1, 2), out) // may switch it off
		if err := p.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

func BenchmarkScore(b *testing.B) {
	p, err := Load(b.Context(), good().bytes(), Options{})
	if err != nil {
		b.Fatal(err)
	}
	in := points(1, make([]float64, 256)...)
	out := make([]float64, len(in))
	for b.Loop() {
		if err := p.Score(b.Context(), in, out); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/256, "ns/point")
}
