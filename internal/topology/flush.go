package topology

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/norn-aiops/norn/internal/graph"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// operationKept is how long an operation without requests stays one of its
// entity's series, so that the choice does not flicker.
const operationKept = int64(10 * time.Minute / time.Millisecond)

// Flush tells the Builder that it is now (Unix ms; the wall clock, or the
// data's in a replay). It returns the samples of all windows that are over,
// window by window, and the edges seen in them, with the calls per second as
// weight and the window's end as times; also the runs_on and part_of relations
// that resources told since the last Flush. An entity or edge that was silent
// in a window but not for longer than Quiet has rate 0 and nothing else.
func (b *Builder) Flush(now int64) (samples []Sample, edges []graph.Edge) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now = max(b.now, now*1e6)
	size := b.cfg.Window.Milliseconds()
	limit := (now - b.cfg.Lag.Milliseconds()) / size * size
	if b.open == 0 {
		b.open = limit
		for s := range b.windows {
			b.open = min(b.open, s)
		}
	}
	if b.open < limit {
		b.conclude(limit)
	}
	for n := b.table.oldest(); n != nil && n.deadline <= b.now; n = b.table.oldest() {
		b.retire(n)
	}
	for b.open < limit {
		if b.windows[b.open] == nil && len(b.entities) == 0 && len(b.edges) == 0 {
			b.open = b.nextWindow(limit)
			continue
		}
		w := b.windows[b.open]
		if w == nil {
			w = newWindow()
		}
		delete(b.windows, b.open)
		end := b.open + size
		samples = b.flushEntities(samples, w, end)
		samples = b.flushOperations(samples, w, end)
		samples, edges = b.flushEdges(samples, edges, w, end)
		b.open = end
	}
	return samples, b.flushResources(edges)
}

// nextWindow skips time in which nothing happened.
func (b *Builder) nextWindow(limit int64) int64 {
	next := limit
	for s := range b.windows {
		if s >= b.open {
			next = min(next, s)
		}
	}
	return next
}

func (b *Builder) seconds() float64 { return b.cfg.Window.Seconds() }

func (b *Builder) flushEntities(out []Sample, w *window, end int64) []Sample {
	for _, e := range slices.SortedFunc(maps.Keys(b.entities), compareEntities) {
		st, t := b.entities[e], w.entities[e]
		if t == nil || t.count == 0 {
			switch quiet := end - st.last; {
			case quiet > b.cfg.Quiet.Milliseconds():
				if !b.waits(func(w *window) bool { return w.entities[e] != nil }) {
					delete(b.entities, e)
				}
			case quiet > 0: // else it is first seen in a later window
				out = append(out, Sample{RequestRateLabels(e), end, 0})
			}
			continue
		}
		st.last = end
		out = append(out, Sample{RequestRateLabels(e), end, float64(t.count) / b.seconds()}, Sample{ErrorRatioLabels(e), end, t.errorRatio()})
		lat := t.latency.sorted()
		out = append(out, Sample{LatencyLabels(e, "0.5"), end, quantile(lat, 0.5)}, Sample{LatencyLabels(e, "0.95"), end, quantile(lat, 0.95)},
			Sample{MeanLatencyLabels(e), end, average(lat)})
		if self := t.self.sorted(); len(self) > 0 {
			out = append(out, Sample{SelfTimeLabels(e), end, quantile(self, 0.5)}, Sample{MeanSelfTimeLabels(e), end, average(self)})
		}
	}
	return out
}

// waits reports whether a window that is still open has what is asked for.
func (b *Builder) waits(has func(*window) bool) bool {
	for _, w := range b.windows {
		if has(w) {
			return true
		}
	}
	return false
}

func (b *Builder) flushEdges(out []Sample, edges []graph.Edge, w *window, end int64) ([]Sample, []graph.Edge) {
	for _, k := range slices.SortedFunc(maps.Keys(b.edges), compareEdges) {
		t := w.edges[k]
		if t == nil || t.count == 0 {
			switch quiet := end - b.edges[k]; {
			case quiet > b.cfg.Quiet.Milliseconds():
				if !b.waits(func(w *window) bool { return w.edges[k] != nil }) {
					delete(b.edges, k)
				}
			case quiet > 0:
				out = append(out, Sample{EdgeRequestRateLabels(k.from, k.to), end, 0})
			}
			continue
		}
		b.edges[k] = end
		rate := float64(t.count) / b.seconds()
		lat := t.latency.sorted()
		out = append(out,
			Sample{EdgeRequestRateLabels(k.from, k.to), end, rate},
			Sample{EdgeErrorRatioLabels(k.from, k.to), end, t.errorRatio()},
			Sample{EdgeLatencyLabels(k.from, k.to), end, quantile(lat, 0.95)},
			Sample{EdgeMeanLatencyLabels(k.from, k.to), end, average(lat)})
		if gap := t.gap.sorted(); len(gap) > 0 {
			out = append(out, Sample{EdgeGapLabels(k.from, k.to), end, quantile(gap, 0.5)})
		}
		if served := w.entities[k.from]; served != nil && served.count > 0 {
			out = append(out, Sample{EdgeCallRatioLabels(k.from, k.to), end, float64(t.count) / float64(served.count)})
		}
		edges = append(edges, graph.Edge{From: k.from, To: k.to, Kind: graph.Calls, FirstSeen: end, LastSeen: end, Weight: rate})
	}
	return out, edges
}

// flushOperations gives series to the operations with the most requests. Those
// that have one keep it while they are used.
func (b *Builder) flushOperations(out []Sample, w *window, end int64) []Sample {
	keys := slices.SortedFunc(maps.Keys(w.ops), func(x, y opKey) int {
		return cmp.Or(compareEntities(x.entity, y.entity), cmp.Compare(w.ops[y].count, w.ops[x].count), cmp.Compare(x.name, y.name))
	})
	for _, k := range keys {
		if st := b.entities[k.entity]; st != nil && st.ops == nil {
			st.ops = map[string]int64{}
		}
	}
	for _, st := range b.entities {
		maps.DeleteFunc(st.ops, func(_ string, last int64) bool { return end-last > operationKept })
	}
	for _, k := range keys {
		st := b.entities[k.entity]
		if st == nil {
			continue
		}
		if _, ok := st.ops[k.name]; !ok && len(st.ops) >= b.cfg.MaxOperations {
			b.stats.Dropped++
			continue
		}
		st.ops[k.name] = end
		t := w.ops[k]
		out = append(out,
			Sample{OperationRequestRateLabels(k.entity, k.name), end, float64(t.count) / b.seconds()},
			Sample{OperationErrorRatioLabels(k.entity, k.name), end, t.errorRatio()},
			Sample{OperationLatencyLabels(k.entity, k.name), end, quantile(t.latency.sorted(), 0.95)})
		if self := t.self.sorted(); len(self) > 0 {
			out = append(out, Sample{OperationSelfTimeLabels(k.entity, k.name), end, average(self)})
		}
	}
	return out
}

// conclude says of all spans of windows before limit what can be said by now.
func (b *Builder) conclude(limit int64) {
	for _, n := range b.table.queue[b.table.head:] {
		if n.end/1e6 < limit {
			b.selfTime(n)
			b.presume(n)
		}
	}
}

// selfTime counts how long a request kept its own service busy: its duration
// without the time in which it waited for anything remote (the union of its
// remote calls, so that parallel ones count once).
func (b *Builder) selfTime(n *node) {
	if n.selfDone || !inSide(n.kind) {
		return
	}
	n.selfDone = true
	w := b.windows[max(n.end/1e6/b.cfg.Window.Milliseconds()*b.cfg.Window.Milliseconds(), b.open)]
	if w == nil || w.entities[n.entity] == nil {
		return
	}
	busy := n.end - n.start
	spans := remoteCalls(n)
	slices.SortFunc(spans, func(a, c [2]int64) int { return cmp.Compare(a[0], c[0]) })
	at := n.start
	for _, s := range spans {
		from, to := max(s[0], at), min(s[1], n.end)
		if to > from {
			busy -= to - from
			at = to
		}
	}
	w.entities[n.entity].self.add(float64(busy)/1e9, b.priority(n))
	if n.op != nil {
		n.op.self.add(float64(busy)/1e9, b.priority(n))
	}
}

// maxWalk bounds how many spans below a request are looked at.
const maxWalk = 10_000

// remoteCalls returns start and end of what n had done elsewhere, looking
// through the internal spans of its own service.
func remoteCalls(n *node) (out [][2]int64) {
	stack := []*node{n.child}
	for steps := 0; len(stack) > 0 && steps < maxWalk; steps++ {
		c := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if c == nil {
			continue
		}
		stack = append(stack, c.next)
		if outSide(c.kind) || c.entity != n.entity || inSide(c.kind) {
			out = append(out, [2]int64{c.start, c.end})
			continue
		}
		stack = append(stack, c.child)
	}
	return out
}

func compareEntities(a, b telemetry.Entity) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
}

func compareEdges(a, b edgeKey) int {
	return cmp.Or(compareEntities(a.from, b.from), compareEntities(a.to, b.to))
}

// generalise makes an operation's name fit for a label: parts of paths that
// are numbers or long hexadecimal ids become "*", and it is cut at 128 bytes.
func generalise(name string) string {
	if strings.IndexByte(name, '/') >= 0 && strings.ContainsAny(name, "0123456789") {
		parts := strings.Split(name, "/")
		for i, p := range parts {
			if i > 0 && isID(p) {
				parts[i] = "*"
			}
		}
		name = strings.Join(parts, "/")
	}
	if len(name) > 128 {
		name = strings.ToValidUTF8(name[:128], "")
	}
	if name == "" {
		return "unknown"
	}
	return name
}

func isID(s string) bool {
	s, _, _ = strings.Cut(s, "?")
	if isNumber(s) {
		return true
	}
	return len(s) >= 8 && strings.ContainsAny(s, "0123456789") && strings.Trim(s, "0123456789abcdefABCDEF-") == ""
}
