package season

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"
)

const (
	minute = int64(60_000)
	hours  = 60 * minute
	days   = 24 * hours
)

// monday is 2024-01-01, a Monday.
var monday = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()

// world feeds a tracker as an engine would: its rival is a level of four hours.
type world struct {
	s     *Tracker
	level float32
	n     int
	err   float64 // absolute errors of what is used, since reset
	rival float64
	k     int
}

func (w *world) step(t, every int64, x float64) {
	v := float32(x)
	if w.n == 0 {
		w.level = v
	}
	mean := w.level
	if w.s.InUse() {
		mean = w.s.Expect(t)
	}
	w.err += math.Abs(x - float64(mean))
	w.rival += math.Abs(x - float64(w.level))
	w.k++
	w.s.Step(t, v, w.level, true)
	w.level += float32(min(.25, max(1/float64(w.n+1), float64(every)/4/float64(hours)))) * (v - w.level)
	w.n++
}

func (w *world) reset() { w.err, w.rival, w.k = 0, 0, 0 }

// run feeds f from a time on for so long.
func (w *world) run(from, long, every int64, f func(t int64) float64) (end int64) {
	for t := from; t < from+long; t += every {
		w.step(t, every, f(t))
	}
	return from + long
}

func wave(t, period int64) float64 {
	return math.Sin(2 * math.Pi * float64(t%period) / float64(period))
}

func noise(seed uint64) func() float64 {
	r := rand.New(rand.NewPCG(seed, 7))
	return r.NormFloat64
}

// active gives the periods in use, in seconds.
func active(s *Tracker) (out []float64) {
	for _, p := range s.Explain(s.T).Periods {
		if p.InUse {
			out = append(out, p.Seconds)
		}
	}
	slices.Sort(out)
	return out
}

func TestPeriodsThatNoClockShowsAreFound(t *testing.T) {
	for _, c := range []struct {
		name          string
		period, every int64
		long          int64
	}{
		{"6 h", 6 * hours, 2 * minute, 3 * days},
		{"90 min", 90 * minute, minute, 2 * days},
		{"100 min by 10 s", 100 * minute, 10_000, 2 * days},
		{"8 points", 40 * minute, 5 * minute, 3 * days},
		{"36 h", 36 * hours, 10 * minute, 14 * days},
		{"50 h", 50 * hours, 10 * minute, 21 * days},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := noise(1)
			w := world{s: New(nil)}
			f := func(t int64) float64 { return 100 + 10*wave(t, c.period) + 2*n() }
			end := w.run(monday, c.long, c.every, f)
			w.reset()
			w.run(end, max(days, c.period), c.every, f)
			got := active(w.s)
			if len(got) != 1 || math.Abs(got[0]*1000/float64(c.period)-1) > .01 || !w.s.InUse() {
				t.Fatalf("periods in use %v, in use %v: %+v", got, w.s.InUse(), w.s.Explain(end))
			}
			if w.err > .55*w.rival {
				t.Errorf("errors are %.2f of the level's", w.err/w.rival)
			}
			if x := w.s.Explain(w.s.T).Text; !strings.Contains(x, "period of") || !strings.Contains(x, "confirmed on") {
				t.Errorf("said: %q", x)
			}
		})
	}
}

func TestAShortJobIsAPeriodToo(t *testing.T) {
	n := noise(2)
	w := world{s: New(nil)}
	f := func(t int64) float64 { // ten minutes of work every 90
		x := 20 + n()
		if t%(90*minute) < 10*minute {
			x += 30
		}
		return x
	}
	end := w.run(monday, 3*days, minute, f)
	w.reset()
	w.run(end, days, minute, f)
	if got := active(w.s); len(got) != 1 || got[0] != 5400 || w.err > .4*w.rival {
		t.Fatalf("periods %v, errors %.2f of the level's", got, w.err/w.rival)
	}
}

func TestTwoPeriodsAtOnce(t *testing.T) {
	n := noise(3)
	w := world{s: New(nil)}
	f := func(t int64) float64 { return 100 + 10*wave(t, 90*minute) + 15*wave(t, 5*hours) + 2*n() }
	end := w.run(monday, 6*days, 2*minute, f)
	w.reset()
	w.run(end, days, 2*minute, f)
	if got := active(w.s); !slices.Equal(got, []float64{5400, 18000}) || w.err > .3*w.rival {
		t.Fatalf("periods %v, errors %.2f of the level's", got, w.err/w.rival)
	}
	w = world{s: New(nil)}
	f = func(t int64) float64 { return 100 + 10*wave(t, 100*minute) + 15*wave(t, days) + 2*n() }
	end = w.run(monday, 10*days, 2*minute, f)
	w.reset()
	w.run(end, days, 2*minute, f)
	if got := active(w.s); !slices.Equal(got, []float64{6000}) || !w.s.Explain(end).Calendar || w.err > .35*w.rival {
		t.Fatalf("periods %v, errors %.2f of the level's: %s", got, w.err/w.rival, w.s.Explain(end).Text)
	}
}

func TestNoiseHasNoPeriod(t *testing.T) {
	found, used := 0, 0
	for seed := range uint64(500) {
		n := noise(seed)
		x, ar := 0., 0.
		w := world{s: New(nil)}
		w.run(monday, 21*days, 10*minute, func(int64) float64 {
			ar = .9*ar + n()
			x += n()
			switch seed % 4 {
			case 0:
				return n()
			case 1:
				return ar
			case 2:
				return x
			default:
				return math.Exp(n()) // heavy tails
			}
		})
		e := w.s.Explain(w.s.T)
		if e.Calendar || len(active(w.s)) > 0 {
			found++
			t.Logf("seed %d (kind %d): %s", seed, seed%4, e.Text)
		}
		if e.InUse {
			used++
		}
	}
	t.Logf("of 500 series of noise %d have a period, %d use one", found, used)
	if found > 5 || used > 2 {
		t.Errorf("of 500 series of noise %d have a period, %d use one", found, used)
	}
}

func TestAPeriodThatChangesIsFollowed(t *testing.T) {
	n := noise(4)
	w := world{s: New(nil)}
	end := w.run(monday, 4*days, 2*minute, func(t int64) float64 { return 50 + 10*wave(t, 6*hours) + n() })
	if got := active(w.s); !slices.Equal(got, []float64{21600}) {
		t.Fatalf("periods %v at first", got)
	}
	f := func(t int64) float64 { return 50 + 10*wave(t, 4*hours) + n() }
	end = w.run(end, 4*days, 2*minute, f)
	w.reset()
	w.run(end, days, 2*minute, f)
	if got := active(w.s); !slices.Equal(got, []float64{14400}) || w.err > .4*w.rival {
		t.Fatalf("periods %v afterwards, errors %.2f of the level's", got, w.err/w.rival)
	}
}

func TestALevelShiftLeavesThePeriodInPlace(t *testing.T) {
	n := noise(5)
	w := world{s: New(nil)}
	end := w.run(monday, 3*days, 2*minute, func(t int64) float64 { return 50 + 10*wave(t, 6*hours) + n() })
	w.s.Move(100)
	w.level += 100
	w.reset()
	w.run(end, days, 2*minute, func(t int64) float64 { return 150 + 10*wave(t, 6*hours) + n() })
	if got := active(w.s); !slices.Equal(got, []float64{21600}) || w.err > .4*w.rival {
		t.Fatalf("periods %v, errors %.2f of the level's", got, w.err/w.rival)
	}
}

// office is the load of a service that people use at work, by civil time.
func office(now time.Time) float64 {
	h := float64(now.Hour()) + float64(now.Minute())/60
	x := 20 + 80*math.Exp(-(h-13)*(h-13)/18)
	switch now.Weekday() {
	case time.Saturday, time.Sunday:
		return 15 + .2*x
	case time.Monday:
		return 1.4 * x
	}
	return x
}

func TestTheWeekIsLearnedByItsDays(t *testing.T) {
	n := noise(6)
	w := world{s: New(nil)}
	f := func(t int64) float64 { return office(time.UnixMilli(t).UTC()) + 2*n() }
	end := w.run(monday, 21*days, 5*minute, f)
	w.reset()
	w.run(end, 7*days, 5*minute, f)
	x := w.s.Explain(w.s.T)
	if !x.InUse || !x.Calendar || !slices.Equal(x.Differ, []string{"weekends", "Mondays"}) {
		t.Fatalf("%+v", x)
	}
	if m := w.err / float64(w.k); m > 4 {
		t.Errorf("the mean error in the fourth week is %.1f (noise alone 1.6)", m)
	}
	if len(active(w.s)) > 0 {
		t.Errorf("and other periods: %s", x.Text)
	}
}

func TestOneSignOfAWeekAlone(t *testing.T) {
	n := noise(7)
	w := world{s: New(nil)}
	f := func(t int64) float64 { // a job on Sunday night
		x := 10 + n()
		if now := time.UnixMilli(t).UTC(); now.Weekday() == time.Sunday && now.Hour() < 12 {
			x += 40
		}
		return x
	}
	end := w.run(monday, 42*days, 15*minute, f)
	w.reset()
	w.run(end, 14*days, 15*minute, f)
	if x := w.s.Explain(w.s.T); !x.InUse || w.err > .7*w.rival {
		t.Errorf("errors %.2f of the level's: %+v", w.err/w.rival, x)
	}
}

func TestAWaveOfSevenDays(t *testing.T) {
	n := noise(13)
	w := world{s: New(nil)}
	f := func(t int64) float64 { return 100 + 20*wave(t, 7*days) + 2*n() }
	end := w.run(monday, 42*days, hours, f)
	w.reset()
	w.run(end, 14*days, hours, f)
	if x := w.s.Explain(w.s.T); !x.Calendar || w.err > 1.1*w.rival {
		t.Errorf("errors %.2f of the level's, which follows so slow a wave well: %+v", w.err/w.rival, x)
	}
}

func TestADayWithoutPointsIsNoFault(t *testing.T) {
	n := noise(14)
	w := world{s: New(nil)}
	f := func(t int64) float64 { return 50 + 10*wave(t, 6*hours) + n() }
	end := w.run(monday, 3*days, 2*minute, f)
	end += days + 37*minute
	w.reset()
	w.run(end, days, 2*minute, f)
	if got := active(w.s); !slices.Equal(got, []float64{21600}) || w.err > .4*w.rival {
		t.Fatalf("periods %v, errors %.2f of the level's", got, w.err/w.rival)
	}
}

func zone(t *testing.T, name string) *time.Location {
	l, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestTheClockChangeShiftsNothing(t *testing.T) {
	for _, c := range []struct {
		zone  string
		month time.Month
		day   int
	}{
		{"Europe/Berlin", 3, 31}, {"Europe/Berlin", 10, 27}, {"America/New_York", 3, 10}, {"America/New_York", 11, 3},
	} {
		l := zone(t, c.zone)
		change := time.Date(2024, c.month, c.day, 0, 0, 0, 0, l)
		from := change.AddDate(0, 0, -28).UnixMilli()
		errs := func(cal *Calendar) float64 {
			n := noise(8)
			w := world{s: New(cal)}
			f := func(t int64) float64 { return office(time.UnixMilli(t).In(l)) + n() }
			w.run(from, change.UnixMilli()-from, 5*minute, f)
			w.reset()
			w.run(change.UnixMilli(), 2*days, 5*minute, f) // the Sunday, and the first Monday
			if !w.s.InUse() {
				t.Fatalf("%s: not in use", c.zone)
			}
			return w.err / float64(w.k)
		}
		civil, utc := errs(&Calendar{Zone: l}), errs(nil)
		t.Logf("%s %v: mean error %.2f by civil time, %.2f by UTC", c.zone, c.month, civil, utc)
		if civil > 4 || civil > .7*utc {
			t.Errorf("%s %v: mean error %.2f by civil time, %.2f by UTC", c.zone, c.month, civil, utc)
		}
	}
}

func TestHolidaysAreLikeTheDayThatFits(t *testing.T) {
	names := map[int]string{100: "Feast", 130: "Fair", 150: "Rest"} // days of the year
	cal := &Calendar{Holiday: func(y int, m time.Month, d int) string {
		return names[time.Date(y, m, d, 0, 0, 0, 0, time.UTC).YearDay()]
	}}
	for _, closed := range []bool{true, false} {
		n := noise(9)
		with, without := world{s: New(cal)}, world{s: New(nil)}
		var a, b float64
		for at := monday + 60*days; at < monday+155*days; at += 10 * minute {
			now := time.UnixMilli(at).UTC()
			x := office(now) + n()
			feast := names[now.YearDay()] != ""
			if feast && closed {
				x = 15 + .2*x
			}
			with.reset()
			without.reset()
			with.step(at, 10*minute, x)
			without.step(at, 10*minute, x)
			if feast {
				a, b = a+with.err, b+without.err
			}
			if now.YearDay() == 100 && now.Hour() == 12 && now.Minute() == 0 && closed {
				if s := with.s.Explain(at).Text; !strings.Contains(s, "today is Feast, expected like a Sunday") {
					t.Errorf("said on a holiday: %q", s)
				}
			}
		}
		t.Logf("closed %v: errors on holidays %.0f with the calendar, %.0f without", closed, a, b)
		if closed && a > .4*b || !closed && a > 2.5*b {
			t.Errorf("closed %v: errors on holidays %.0f with the calendar, %.0f without", closed, a, b)
		}
	}
}

func TestTheEndOfTheMonthIsLearned(t *testing.T) {
	n := noise(10)
	w := world{s: New(nil)}
	var early, late float64
	for at := monday; at < monday+366*days; at += 15 * minute {
		now := time.UnixMilli(at).UTC()
		x := office(now) + n()
		end := now.AddDate(0, 0, 1).Day() == 1
		if end && now.Hour() >= 6 {
			x += 120
		}
		w.reset()
		w.step(at, 15*minute, x)
		if end && now.Month() <= 2 {
			early += w.err / 2
		} else if end && now.Month() > 6 {
			late += w.err / 6
		}
	}
	x := w.s.Explain(w.s.T)
	t.Logf("errors on a last day: %.0f in the first months, %.0f after half a year; %s", early, late, x.Text)
	if late > .4*early || !slices.Contains(x.Special, "the last day of the month") {
		t.Errorf("errors on a last day: %.0f in the first months, %.0f after half a year; %+v", early, late, x)
	}
}

func TestTheStateIsBoundedAndNothingIsAllocated(t *testing.T) {
	n := noise(11)
	w := world{s: New(&Calendar{Zone: zone(t, "Europe/Berlin")})}
	end := w.run(monday, 30*days, 5*minute, func(t int64) float64 {
		return office(time.UnixMilli(t).UTC()) + 20*wave(t, 100*minute) + 30*wave(t, 5*hours) + n()
	})
	t.Logf("%d bytes: %s", w.s.Bytes(), w.s.Explain(end).Text)
	if w.s.week == nil || w.s.Bytes() > 3200 {
		t.Errorf("%d bytes with a week", w.s.Bytes())
	}
	w.s.week = nil
	if w.s.Bytes() > 2048 {
		t.Errorf("%d bytes without a week", w.s.Bytes())
	}
	at := end
	w.run(at, days, 5*minute, func(t int64) float64 { return 100 + n() })
	if a := testing.AllocsPerRun(2000, func() {
		at += 5 * minute
		w.s.Step(at, 100, 100, true)
	}); a != 0 {
		t.Errorf("%v allocations a point", a)
	}
}

func TestASnapshotGoesOnAsIfNothingHadBeen(t *testing.T) {
	n := noise(12)
	cal := &Calendar{Zone: zone(t, "America/New_York")}
	w := world{s: New(cal)}
	f := func(t int64) float64 { return office(time.UnixMilli(t).UTC()) + 20*wave(t, 100*minute) + n() }
	end := w.run(monday, 20*days+13*minute, 5*minute, f)
	b, err := w.s.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	back := New(cal)
	if err := back.Read(b); err != nil {
		t.Fatal(err)
	}
	for at := end; at < end+3*days; at += 5 * minute {
		x := float32(f(at))
		w.s.Step(at, x, 50, true)
		back.Step(at, x, 50, true)
		if a, b := w.s.Expect(at+hours), back.Expect(at+hours); abs(a-b) > 1e-2 {
			t.Fatalf("after %d h %v, restored %v", (at-end)/hours, a, b)
		}
	}
	for cutAt := range len(b) {
		if New(cal).Read(b[:cutAt]) == nil {
			t.Fatalf("a state of %d of %d bytes was taken", cutAt, len(b))
		}
	}
}

func TestAnythingFiniteAndUnevenIsTaken(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 1))
		s := New(nil)
		at := monday
		for range 5000 {
			at += 1 + r.Int64N(1<<uint(10+r.IntN(20)))
			x := float32(r.NormFloat64() * math.Pow(10, float64(r.IntN(30)-12)))
			s.Step(at, x, 0, r.IntN(10) > 0)
			if e := s.Expect(at + r.Int64N(days)); e != e || math.IsInf(float64(e), 0) {
				t.Fatalf("seed %d: expected %v", seed, e)
			}
			if r.IntN(100) == 0 {
				s.Move(x)
			}
		}
	}
}

// BenchmarkStep is what a point costs beside the detector: while nothing is
// known, and with a week and a period in use.
func BenchmarkStep(b *testing.B) {
	n := noise(15)
	for _, c := range []struct {
		name string
		f    func(t int64) float64
	}{
		{"searching", func(int64) float64 { return n() }},
		{"following", func(t int64) float64 { return office(time.UnixMilli(t).UTC()) + 30*wave(t-monday, 7*hours) + n() }},
	} {
		b.Run(c.name, func(b *testing.B) {
			w := world{s: New(nil)}
			at := w.run(monday, 21*days, 5*minute, c.f)
			var week [2016]float32
			for i := range week {
				week[i] = float32(c.f(at + int64(i)*5*minute))
			}
			i := 0
			for b.Loop() {
				w.s.Step(at, week[i], 50, true)
				at += 5 * minute
				i = (i + 1) % len(week)
			}
			b.Log(w.s.Explain(at).Text)
		})
	}
}
