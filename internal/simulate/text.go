package simulate

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// conclude orders the effects, says what is first, and when.
func (w *world) conclude() {
	a := &w.answer
	switch a.Kind {
	case Surge, Users:
		a.Asked, a.Unit = w.q.Factor, "factor"
	case Flood:
		a.Asked, a.Unit = w.q.Extra, "requests a second"
	case Slow:
		a.Asked, a.Unit = w.q.By, "seconds"
	case Loss:
		a.Asked, a.Unit = 1, "factor"
	}
	slices.SortStableFunc(a.Effects, func(x, y Effect) int {
		return cmp.Or(cmp.Compare(order(&x), order(&y)), cmp.Compare(x.Entity.String(), y.Entity.String()))
	})
	for i := range a.Effects {
		a.Effects[i].Text = w.line(&a.Effects[i])
	}
	for i := range a.Unknown {
		u := &a.Unknown[i]
		u.Text = fmt.Sprintf("%s: %s", u.Entity, u.Curve.Refusal)
	}
	if len(a.Effects) > 0 {
		first := a.Effects[0]
		a.First, a.Breaks = &first, first.Probability > .5
	}
	w.when()
	a.Sentence = w.sentence()
}

// order sorts what is gone first, then by what breaks soonest.
func order(f *Effect) float64 {
	if f.Gone {
		return -1
	}
	return f.BreakingAt.P50
}

func (w *world) line(f *Effect) string {
	if f.Gone {
		return fmt.Sprintf("%s has nothing left; all that call it fail", f.Entity)
	}
	if w.q.Kind == Slow {
		return fmt.Sprintf("%s takes %s instead of %s, %.1f requests are under way; it takes %.3g times as long once the delay is %s (%s to %s)",
			f.Entity, secs(f.Latency), secs(f.Curve.Usual), f.Waiting, w.q.Limit, secs(f.BreakingAt.P50), secs(f.BreakingAt.P10), secs(f.BreakingAt.P90))
	}
	text := fmt.Sprintf("%s gets %.3g instead of %.3g requests a second and bears %.3g (%.3g to %.3g)",
		f.Entity, f.LoadThen, f.Load, f.BreakingLoad.P50, f.BreakingLoad.P10, f.BreakingLoad.P90)
	if f.Add > 0 {
		text += fmt.Sprintf("; %d more of %d instances would bear it", f.Add, f.Curve.Instances)
	}
	return text
}

func (w *world) sentence() string {
	a := &w.answer
	if a.First == nil {
		if len(a.Unknown) == 0 {
			return "Nothing that is known is touched."
		}
		return fmt.Sprintf("It cannot be told: the past shows the limit of none of the %d things that are touched.", len(a.Unknown))
	}
	f, text := a.First, ""
	switch {
	case f.Gone:
		text = fmt.Sprintf("%s is gone with it: all that call it fail. An instance elsewhere is needed.", f.Entity)
	case a.Breaks:
		text = fmt.Sprintf("%s breaks first, %s (%s to %s); what is asked is %s. ", f.Entity, w.at(f.BreakingAt.P50), w.amountText(f.BreakingAt.P10), w.amountText(f.BreakingAt.P90), w.amountText(a.Asked))
		if f.Add > 0 {
			text += fmt.Sprintf("%d more instances of it would bear that.", f.Add)
		}
	default:
		text = fmt.Sprintf("Nothing that is known breaks; the first would be %s, %s (%s to %s).", f.Entity, w.at(f.BreakingAt.P50), w.amountText(f.BreakingAt.P10), w.amountText(f.BreakingAt.P90))
		if f.Probability > .1 {
			text += fmt.Sprintf(" The chance that it breaks is %.0f %%.", 100*f.Probability)
		}
	}
	if len(a.Unknown) > 0 {
		text += fmt.Sprintf(" The limits of %d others cannot be told.", len(a.Unknown))
	}
	if a.When != nil && a.When.Usual != nil {
		text += fmt.Sprintf(" By the forecast that comes about %s.", time.UnixMilli(*a.When.Usual).UTC().Format("2006-01-02 15:04"))
	}
	return text
}

// at says at what the first breaks.
func (w *world) at(v float64) string {
	switch w.q.Kind {
	case Flood:
		return fmt.Sprintf("at %.3g requests a second more", v)
	case Slow:
		return "at a delay of " + secs(v)
	}
	return fmt.Sprintf("at %.3g times the usual peak", v)
}

func (w *world) amountText(v float64) string {
	if w.q.Kind == Slow {
		return secs(v)
	}
	return fmt.Sprintf("%.3g", v)
}

func secs(v float64) string {
	if v < 1 {
		return fmt.Sprintf("%.3g ms", 1000*v)
	}
	return fmt.Sprintf("%.3g s", v)
}

// when finds the time at which the forecast load itself reaches what breaks
// first: for a surge of all traffic, with its factor on top.
func (w *world) when() {
	o, f := w.e.Outlook, w.answer.First
	if o == nil || f == nil || f.Gone || w.q.Kind == Slow || f.Load <= 0 {
		return
	}
	scale := 1.0
	if (w.q.Kind == Surge || w.q.Kind == Users) && w.q.Entity.IsZero() {
		scale = w.q.Factor
	}
	find := func(path []float64, bear float64) *int64 {
		for i := range min(len(path), len(o.Times)) {
			if path[i]*scale*f.Load >= bear {
				return &o.Times[i]
			}
		}
		return nil
	}
	w.answer.When = &When{find(o.P90, f.BreakingLoad.P10), find(o.P50, f.BreakingLoad.P50), find(o.P10, f.BreakingLoad.P90)}
}
