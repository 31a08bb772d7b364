package joint

import "slices"

// blamed lists the columns by falling share of the smoothed blame: the square
// of the standardised error, and twice the square of the deviation in units of
// all that the metric has ever done, added up.
func (m *Model) blamed() []Blame {
	total := float32(0)
	for _, b := range m.blame {
		total += b
	}
	m.list = m.list[:0]
	for j := range m.cols {
		c := &m.cols[j]
		if !m.judged[j] || m.blame[j] <= 0 {
			continue
		}
		b := Blame{Column: j, Name: c.name, Share: float64(m.blame[j] / total), Z: float64(m.e[j])}
		b.Expected = c.centre + c.scale*float64(c.level+m.regress.foretell(j, m.lag))
		b.Observed = b.Expected
		if m.there[j] {
			b.Observed = m.x[j]
		}
		m.list = append(m.list, b)
	}
	slices.SortStableFunc(m.list, func(a, b Blame) int {
		switch {
		case a.Share > b.Share:
			return -1
		case a.Share < b.Share:
			return 1
		}
		return 0
	})
	return m.list
}

// BlameNow copies the smoothed blame of every column into dst, which grows
// where needed, in units of squared usual errors. It is there whatever the
// score.
func (m *Model) BlameNow(dst []float64) []float64 {
	dst = dst[:0]
	for _, b := range m.blame {
		dst = append(dst, float64(b))
	}
	return dst
}

// Member is the present state of one member.
type Member struct {
	Name     string  `json:"name"`
	Surprise float64 `json:"surprise"` // -log10 of how rare its score is, at least 0
	Ready    bool    `json:"ready"`
	Leads    bool    `json:"leads"` // carries the joint score
}

// Members gives what each member says of the last row.
func (m *Model) Members() []Member {
	names := [...]string{MemberLinear, MemberAxes, MemberSpike, MemberForest, MemberNeural, MemberGraph}
	out := make([]Member, 0, len(names))
	for i, name := range names {
		c := &m.channels[i]
		s := Member{Name: name, Surprise: float64(max(0, c.score())), Ready: c.ready(), Leads: name == m.choice.Member}
		if i == chSpike {
			s.Surprise, s.Ready = float64(max(0, c.s[0])), c.tails[0].ready
		}
		out = append(out, s)
	}
	return out
}
