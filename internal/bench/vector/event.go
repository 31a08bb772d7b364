package vector

// pace says what an hour and a day are in rows.
type pace struct{ hour, day float64 }

// falseRuns keeps the false alarms of a growing set of predicted rows. A run
// of predicted rows outside of the labels that lasts d rows counts as
// ceil(d / hour) alarms; where it touches a labelled segment, as floor(d /
// hour), because the alarm was right and only lasted longer.
type falseRuns struct {
	label  []bool
	on     []bool
	other  []int // at each end of a run: the other end
	alarms int
	hour   int
}

func newFalseRuns(label []bool, hour float64) *falseRuns {
	return &falseRuns{label: label, on: make([]bool, len(label)), other: make([]int, len(label)), hour: max(1, int(hour))}
}

func (f *falseRuns) cost(from, to int) int {
	d := to - from + 1
	touches := from > 0 && f.label[from-1] || to+1 < len(f.label) && f.label[to+1]
	if touches {
		return d / f.hour
	}
	return (d + f.hour - 1) / f.hour
}

// add predicts one more row, which is not labelled.
func (f *falseRuns) add(i int) {
	from, to := i, i
	if i > 0 && f.on[i-1] {
		from = f.other[i-1]
		f.alarms -= f.cost(from, i-1)
	}
	if i+1 < len(f.on) && f.on[i+1] {
		to = f.other[i+1]
		f.alarms -= f.cost(i+1, to)
	}
	f.on[i] = true
	f.other[from], f.other[to] = to, from
	f.alarms += f.cost(from, to)
}

// events is what a threshold gives by events.
type events struct{ f1, recall, precision, falsePerDay float64 }

func eventScore(found, total, alarms int, days float64) events {
	e := events{falsePerDay: float64(alarms) / days}
	if total > 0 {
		e.recall = float64(found) / float64(total)
	}
	if found > 0 {
		e.precision = float64(found) / float64(found+alarms)
		e.f1 = 2 * e.precision * e.recall / (e.precision + e.recall)
	}
	return e
}

// eventsAtBudget lowers the threshold until more than budget false alarms a
// day come, and returns the best event F1 seen before. An event counts as
// found when any of its rows is predicted. The threshold is chosen with the
// labels: this compares scores, it is not what an operator would get.
func eventsAtBudget(score []float64, label []bool, p pace, budget float64) events {
	seq := segments(label)
	of := make([]int, len(label))
	for k, s := range seq {
		for i := s.from; i <= s.to; i++ {
			of[i] = k
		}
	}
	seen := make([]bool, len(seq))
	runs := newFalseRuns(label, p.hour)
	days := float64(len(label)) / p.day
	order := descending(score)
	var best events
	found := 0
	for i, row := range order {
		if !label[row] {
			runs.add(row)
		} else if !seen[of[row]] {
			seen[of[row]] = true
			found++
		}
		if i+1 < len(order) && score[order[i+1]] == score[row] {
			continue
		}
		if float64(runs.alarms) > budget*days {
			break
		}
		if e := eventScore(found, len(seq), runs.alarms, days); e.f1 > best.f1 {
			best = e
		}
	}
	return best
}

// eventsAbove scores by events what lies above a given threshold.
func eventsAbove(score []float64, label []bool, p pace, threshold float64) events {
	runs := newFalseRuns(label, p.hour)
	found := 0
	seq := segments(label)
	for _, s := range seq {
		for i := s.from; i <= s.to; i++ {
			if score[i] > threshold {
				found++
				break
			}
		}
	}
	for i, s := range score {
		if s > threshold && !label[i] {
			runs.add(i)
		}
	}
	return eventScore(found, len(seq), runs.alarms, float64(len(label))/p.day)
}

// budgetThreshold is the lowest threshold at which a score without labels
// gives no more than budget alarms a day. The score of quiet rows is taken as
// normal life.
func budgetThreshold(score []float64, p pace, budget float64) float64 {
	runs := newFalseRuns(make([]bool, len(score)), p.hour)
	allowed := budget * float64(len(score)) / p.day
	order := descending(score)
	for i, row := range order {
		runs.add(row)
		if i+1 < len(order) && score[order[i+1]] == score[row] {
			continue
		}
		if float64(runs.alarms) > allowed {
			return score[row]
		}
	}
	if len(order) == 0 {
		return 0
	}
	return score[order[len(order)-1]]
}
