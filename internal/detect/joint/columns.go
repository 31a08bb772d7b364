package joint

// Columns gives the names of the columns in the order of the rows.
func (m *Model) Columns() []string {
	out := make([]string, len(m.cols))
	for j := range m.cols {
		out[j] = m.cols[j].name
	}
	return out
}

// SetColumns changes the columns while the model runs. What is known of those
// that stay, by name, is kept, also how they hang together; new ones learn
// beside them and are judged when they have been seen long enough. A name that
// comes twice counts the first time. Trees begin anew, the network and its
// memory are dropped.
func (m *Model) SetColumns(names []string) {
	from := make([]int, 0, len(names)) // place of each column before, -1 for new ones
	old := map[string]int{}
	for j := range m.cols {
		old[m.cols[j].name] = j
	}
	cols := make([]column, 0, len(names))
	same := len(names) == len(m.cols)
	done := map[string]bool{}
	for i, name := range names {
		at, ok := old[name]
		if done[name] || !ok {
			at = -1
		}
		done[name] = true
		from = append(from, at)
		c := column{name: name}
		if at >= 0 {
			c = m.cols[at]
		}
		cols = append(cols, c)
		same = same && at == i
	}
	if same {
		return
	}
	m.mom.flush()
	was := *m
	m.cols = cols
	m.size()
	m.mom = was.mom.pick(from)
	m.regress, m.graph = was.regress.pick(from, from, lags), was.graph.pick(from, from, 1)
	axes := make([]int, was.axes.out)
	for i := range axes {
		axes[i] = i
	}
	m.axes = was.axes.pick(axes, from, 1)
	d := len(was.cols)
	for i, at := range from {
		if at < 0 {
			continue
		}
		m.judged[i], m.blame[i], m.r[i] = was.judged[at], was.blame[at], was.r[at]
		for k := range lags {
			m.lag[k*len(cols)+i] = was.lag[k*d+at]
		}
	}
	m.grow()
	m.born = m.rows
	m.open = max(m.open, m.rows+settled+young)
	if m.fitted {
		m.refit()
	}
	m.nextFit = min(m.nextFit, m.rows+young)
}

// pick gives moments of chosen columns; -1 stands for a new one.
func (m *moments) pick(from []int) *moments {
	out := newMoments(len(from))
	out.half, out.top = m.half, m.top
	const width = lags + block
	for i, a := range from {
		if a < 0 {
			continue
		}
		for h := range m.g {
			out.sum[h][i], out.n[h][i] = m.sum[h][a], m.n[h][a]
			for j, b := range from {
				if b < 0 {
					continue
				}
				for k := range lags + 1 {
					out.g[h][(k*out.d+i)*out.d+j] = m.g[h][(k*m.d+a)*m.d+b]
				}
			}
		}
		copy(out.buf[i*width:(i+1)*width], m.buf[a*width:(a+1)*width])
	}
	return out
}

// pick gives a map with chosen outputs and inputs; each input comes copies
// times, one run of columns after the other.
func (l *linear) pick(outputs, inputs []int, copies int) linear {
	d := l.in / copies
	p := linear{in: copies * len(inputs), out: len(outputs)}
	p.w, p.bias, p.inv = make([]float32, p.out*p.in), make([]float32, p.out), make([]float32, p.out)
	for i, a := range outputs {
		if a < 0 || a >= l.out {
			continue
		}
		p.bias[i], p.inv[i] = l.bias[a], l.inv[a]
		for k := range copies {
			for j, b := range inputs {
				if b >= 0 {
					p.w[i*p.in+k*len(inputs)+j] = l.w[a*l.in+k*d+b]
				}
			}
		}
	}
	return p
}
