package season

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Explanation says what a tracker found. JSON names are stable.
type Explanation struct {
	InUse    bool     `json:"in_use"`            // the expectation follows it
	Gain     float64  `json:"gain"`              // share by which it errs less than the rival
	Calendar bool     `json:"calendar"`          // the civil day and week are in use
	Zone     string   `json:"zone,omitempty"`    // of the calendar
	Differ   []string `json:"differ,omitempty"`  // days of the week unlike others of their kind, "weekends"
	Special  []string `json:"special,omitempty"` // days of the month that differ
	Periods  []Period `json:"periods,omitempty"` // beside the calendar
	Today    string   `json:"today,omitempty"`   // what is special now
	Text     string   `json:"text"`              // all of it in words, "" when nothing is known
}

// Period is one that was found.
type Period struct {
	Seconds float64 `json:"seconds"`
	Cycles  int     `json:"cycles"` // seen
	InUse   bool    `json:"in_use"` // else it is still on trial
}

// Explain says what is known, and what is special at t (Unix ms).
func (s *Tracker) Explain(t int64) Explanation {
	x := Explanation{InUse: s.Use}
	if s.ErrRival > 0 {
		x.Gain = 1 - float64(root(s.ErrUse)/root(s.ErrRival))
	}
	if w := s.week; w != nil && w.Active {
		x.Calendar = true
		if s.cal.Zone != nil {
			x.Zone = s.cal.Zone.String()
		}
		x.Differ = w.differ(root(s.ErrUse) / 1.3)
		for i, name := range [specialDays]string{"the last day of the month", "the first of the month"} {
			if w.Special[i].Active {
				x.Special = append(x.Special, name)
			}
		}
		x.Today = s.today(t)
	}
	for _, c := range s.cycles {
		if c != nil {
			x.Periods = append(x.Periods, Period{Seconds: c.Period / 1000, Cycles: c.cyclesSeen(t), InUse: c.Active})
		}
	}
	x.Text = s.text(&x, t)
	return x
}

func dayName(d int) string { return time.Weekday((d + 1) % 7).String() }

// differ names the days whose profile lies off that of their kind by more than
// the usual error.
func (w *week) differ(usual float32) (out []string) {
	off := func(f func(h int) (float32, bool)) bool {
		var sum, n float32
		for h := range 24 {
			if d, ok := f(h); ok {
				sum += abs(d)
				n++
			}
		}
		return n >= 6 && sum > 1.2*usual*n
	}
	if off(func(h int) (float32, bool) {
		a, _, n, _ := w.means(0, h)
		b, _, m, _ := w.means(1, h)
		return a - b, n > 0 && m > 0
	}) {
		out = append(out, "weekends")
	}
	for d := range 7 {
		if off(func(h int) (float32, bool) {
			others, n := w.others(d, h)
			return w.estimate(d, h) - others, n && w.Visits[d*24+h] > 0
		}) {
			out = append(out, dayName(d)+"s")
		}
	}
	return out
}

// others is the median of an hour over the other days of a day's kind.
func (w *week) others(day, hour int) (float32, bool) {
	var list [7]float32
	n := 0
	for d := range 7 {
		if d != day && kindOf(d) == kindOf(day) && w.Visits[d*24+hour] > 0 {
			list[n] = w.Bins[d*24+hour]
			n++
		}
	}
	if n == 0 {
		return 0, false
	}
	slices.Sort(list[:n])
	return (list[(n-1)/2] + list[n/2]) / 2, true
}

// today says what the calendar makes of t.
func (s *Tracker) today(t int64) string {
	c := s.cal.at(t)
	switch {
	case c.holiday:
		like := dayName(s.week.like(c))
		if s.week.like(c) == c.day {
			like = "ordinary " + like
		}
		return fmt.Sprintf("%s, expected like a%s", s.cal.holidayName(s.cal.local(t)), article(like))
	case c.special == firstDay && s.week.Special[firstDay].Active:
		return "the first of the month"
	case c.special == lastDay && s.week.Special[lastDay].Active:
		return "the last day of the month"
	}
	return ""
}

func article(word string) string {
	if strings.ContainsAny(word[:1], "aeiou") {
		return "n " + word
	}
	return " " + word
}

func (s *Tracker) text(x *Explanation, t int64) string {
	var says, tried []string
	for _, p := range x.Periods {
		if p.InUse {
			says = append(says, fmt.Sprintf("period of %s, confirmed on %d cycles", length(p.Seconds), p.Cycles))
		} else {
			tried = append(tried, length(p.Seconds))
		}
	}
	if x.Calendar {
		days := max(0, int((t-s.week.First)/dayMS))
		text := fmt.Sprintf("period of a day, confirmed on %d days", days)
		if len(x.Differ) > 0 {
			text = fmt.Sprintf("period of a week, learned on %d days; %s differ", days, strings.Join(x.Differ, " and "))
			if len(x.Differ) > 4 {
				text = fmt.Sprintf("period of a week, learned on %d days; its days differ from each other", days)
			}
		}
		says = append(says, text)
	} else if s.week != nil {
		tried = append(tried, "a day")
	}
	if len(x.Special) > 0 {
		says = append(says, strings.Join(x.Special, " and ")+" differ")
	}
	out := strings.Join(says, "; ")
	if x.Today != "" && out != "" {
		out += "; today is " + x.Today
	}
	if len(tried) > 0 {
		if out != "" {
			out += "; "
		}
		out += "on trial: period of " + strings.Join(tried, ", ")
	}
	return out
}

// length says a number of seconds in words.
func length(s float64) string {
	switch {
	case s >= 2*86400:
		return fmt.Sprintf("%g days", math.Round(s/8640)/10)
	case s >= 7200:
		return fmt.Sprintf("%g h", math.Round(s/360)/10)
	case s >= 120:
		return fmt.Sprintf("%g min", math.Round(s/6)/10)
	}
	return fmt.Sprintf("%g s", math.Round(s*10)/10)
}
