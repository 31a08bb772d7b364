package joint

import (
	"fmt"
	"slices"
	"strings"
	"unsafe"
)

// shownBlame is how many metrics an explanation names.
const shownBlame = 8

// Explanation says in numbers and words what the model of an entity does.
type Explanation struct {
	Phase    string   `json:"phase"` // learning, ready
	Rows     int64    `json:"rows"`
	Interval float64  `json:"interval_seconds"`
	Columns  int      `json:"columns"`
	Judged   int      `json:"judged"` // columns that take part
	Constant []string `json:"constant,omitempty"`
	Young    []string `json:"young,omitempty"` // seen too short to take part
	Choice   Choice   `json:"choice"`
	Training bool     `json:"training"` // a network learns or waits for its contest
	Doubted  float64  `json:"doubted"`  // seconds for which strangeness has lasted
	Adopting bool     `json:"adopting"` // it has lasted so long that it is learned
	Bytes    int      `json:"bytes"`    // of state
	Members  []Member `json:"members"`  // what each says of the last row
	Blame    []Blame  `json:"blame"`    // columns that deviate most now, at most 8, the most first; a Fleet names them by series id
	Sentence string   `json:"sentence"` // all of it in words
}

// Explain describes the model.
func (m *Model) Explain() Explanation {
	x := Explanation{
		Phase: Learning, Rows: m.rows, Interval: m.every / 1000, Columns: len(m.cols), Choice: m.choice,
		Training: m.rival != nil, Doubted: m.doubted * m.every / 1000, Adopting: m.adopting, Bytes: m.Bytes(), Members: m.Members(),
	}
	if m.verdict.ready {
		x.Phase = Ready
	}
	for j := range m.cols {
		c := &m.cols[j]
		switch {
		case !m.judged[j]:
			x.Young = append(x.Young, c.name)
		default:
			x.Judged++
			if c.big == 0 || c.scale <= relFloor*c.big*1.001 {
				x.Constant = append(x.Constant, c.name)
			}
		}
	}
	if m.verdict.ready {
		list := m.blamed()
		x.Blame = slices.Clone(list[:min(len(list), shownBlame)])
	}
	x.Sentence = x.sentence()
	return x
}

func (x *Explanation) sentence() string {
	var b strings.Builder
	if x.Phase == Learning {
		fmt.Fprintf(&b, "Still learning how %d metrics hang together: %d rows so far.", x.Columns, x.Rows)
		return b.String()
	}
	fmt.Fprintf(&b, "%d of %d metrics are judged together, a row about every %.3g s", x.Judged, x.Columns, x.Interval)
	if n := len(x.Constant); n > 0 {
		fmt.Fprintf(&b, " (%d of them never move)", n)
	}
	b.WriteString(". ")
	c := x.Choice
	switch {
	case c.Contests == 0:
		b.WriteString("What three rows foretell of the next is learned by an autoregression; no network has been tried.")
	case c.Member == MemberNeural:
		fmt.Fprintf(&b, "A small neural network leads with the autoregression: on %d rows that neither had seen it found disturbances with surprise %.2f against %.2f (t = %.1f).", c.HeldBack, c.Neural, c.Linear, c.T)
	default:
		fmt.Fprintf(&b, "The autoregression leads: on %d rows that neither had seen a neural network found disturbances with surprise %.2f against its %.2f (t = %.1f): not %d times in a row by %.0f %% more.", c.HeldBack, c.Neural, c.Linear, c.T, contestRow, 100*contestGain)
	}
	if x.Adopting {
		b.WriteString(" Strangeness has lasted so long that it is being learned as the new normal.")
	}
	return b.String()
}

// Bytes is the size of the state in memory.
func (m *Model) Bytes() int {
	d := len(m.cols)
	n := int(unsafe.Sizeof(*m)) + d*(int(unsafe.Sizeof(column{}))+int(unsafe.Sizeof(Blame{}))) + 4*(5*d+lags*d+len(m.work)) + 10*d
	n += 4*len(m.mom.buf) + 4*d
	for h := range m.mom.g {
		n += 4*len(m.mom.g[h]) + 16*d
	}
	n += m.regress.bytes() + m.graph.bytes() + m.axes.bytes()
	if m.forest != nil {
		n += trees*treeNodes*8 + 2*(poolRows+1)*d
	}
	if m.past != nil {
		n += 2*(len(m.past.recent)+len(m.past.old)+len(m.past.open)) + len(m.past.trust)
	}
	for _, w := range [...]*network{m.net, m.rival} {
		if w != nil {
			n += w.skip.bytes() + 4*(len(w.w1)+len(w.w2)+len(w.gain))
			if w.opt != nil {
				n += 4 * 3 * (len(w.w1) + len(w.w2))
			}
		}
	}
	return n
}

func (l *linear) bytes() int { return 4 * (len(l.w) + len(l.bias) + len(l.inv)) }
