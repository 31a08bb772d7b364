package events

// grace is the number of rows after a labelled segment in which an alarm
// still finds it.
const grace = 7

// Counts are what a detector did on one or many files.
type Counts struct {
	Found, Missed int // events
	False         int // alarms outside of every event
	Alarms        int
	Points        int // judged values: rows after the warm-up, times columns
	Events        int
}

func (c *Counts) add(o Counts) {
	c.Found += o.Found
	c.Missed += o.Missed
	c.False += o.False
	c.Alarms += o.Alarms
	c.Points += o.Points
	c.Events += o.Events
}

// Score is how well a detector did. Precision counts events, not points:
// found / (found + false alarms). Nothing is adjusted: an alarm in an event
// finds that event once, and each alarm outside costs by itself.
type Score struct {
	F1          float64 `json:"f1"`
	Precision   float64 `json:"precision"`
	Recall      float64 `json:"recall"`
	FalsePer10k float64 `json:"false_alarms_per_10k"`
	Found       int     `json:"found"`
	Events      int     `json:"events"`
	FalseAlarms int     `json:"false_alarms"`
	Points      int     `json:"points"`
}

func (c Counts) score() Score {
	s := Score{Found: c.Found, Events: c.Events, FalseAlarms: c.False, Points: c.Points}
	if d := 2*c.Found + c.False + c.Missed; d > 0 {
		s.F1 = 2 * float64(c.Found) / float64(d)
	}
	if d := c.Found + c.False; d > 0 {
		s.Precision = float64(c.Found) / float64(d)
	}
	if c.Events > 0 {
		s.Recall = float64(c.Found) / float64(c.Events)
	}
	if c.Points > 0 {
		s.FalsePer10k = 1e4 * float64(c.False) / float64(c.Points)
	}
	return s
}

// hold is the number of rows in which an alarm silences weaker ones.
func hold(warm int) int { return max(5, warm*12/100) }

// suppressor lets a score through only when it exceeds the last one that
// passed by 30 %, or hold rows have gone by. Every detector goes through it.
type suppressor struct {
	m    float64
	k    int
	hold int
}

// pass says whether score s of row n passes.
func (p *suppressor) pass(n int, s float64) bool {
	if n-p.k > p.hold {
		p.m = 0
	}
	if !(s > 1.3*p.m) {
		return false
	}
	p.m, p.k = s, n
	return true
}

// alarm is a score that passed the suppressor.
type alarm struct {
	row   int
	score float64
}

// first is the first row that is scored.
func first(f *File, warm int) int { return max(f.From, warm) }

// alarms gives the scores that pass the suppressor. Which pass does not depend
// on a threshold.
func alarms(f *File, scores []float64, warm int) []alarm {
	var out []alarm
	p := suppressor{k: -1 << 30, hold: hold(warm)}
	for n := first(f, warm); n < len(scores); n++ {
		if s := scores[n]; p.pass(n, s) {
			out = append(out, alarm{n, s})
		}
	}
	return out
}

// judge counts the alarms that reach the threshold. Rows before the first that
// is scored teach only; events that end there are left out.
func judge(f *File, as []alarm, threshold float64, warm int) Counts {
	from := first(f, warm)
	events := f.Events
	for len(events) > 0 && events[0][1] < from {
		events = events[1:]
	}
	c := Counts{Points: max(0, len(f.T)-from) * len(f.V), Events: len(events)}
	found := make([]bool, len(events))
	next := 0 // first event that ends, with its grace, at or after the alarm
	for _, a := range as {
		if a.score < threshold {
			continue
		}
		for next < len(events) && events[next][1]+grace < a.row {
			next++
		}
		c.Alarms++
		if i := eventAt(events, next, a.row); i >= 0 {
			found[i] = true
		} else {
			c.False++
		}
	}
	for _, ok := range found {
		if ok {
			c.Found++
		} else {
			c.Missed++
		}
	}
	return c
}

// eventAt gives the event that row n lies in, before one in whose grace it
// lies; -1 for neither. Events before next have passed.
func eventAt(events [][2]int, next, n int) int {
	if next >= len(events) || events[next][0] > n {
		return -1
	}
	if n > events[next][1] && next+1 < len(events) && events[next+1][0] <= n {
		return next + 1
	}
	return next
}
