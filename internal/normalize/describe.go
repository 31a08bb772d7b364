package normalize

import "github.com/norn-aiops/norn/internal/telemetry"

// SetDescribe gives others a say in how a series is described: f is called
// once for each description before anybody else sees it, and may set Signal,
// Direction, Entity, Unit and Policy. f must not call the Deriver and must be
// safe for concurrent use. It must be set before the first call of Derive;
// when its answers change, call [Deriver.Redescribe].
func (d *Deriver) SetDescribe(f func(*telemetry.Series)) { d.describe = f }

// Redescribe forgets the descriptions of all series: each is made anew with
// the next of its points, and SetDescribe's function is asked again.
func (d *Deriver) Redescribe() {
	d.refs.each(func(ref uint64, e *entry) {
		stripe := &d.stripes[ref>>pageBits%uint64(len(d.stripes))]
		stripe.Lock()
		defer stripe.Unlock()
		e.series, e.guard = nil, false
		if e.native != nil {
			e.native.p50, e.native.p99, e.native.mean, e.native.rate, e.native.guard = nil, nil, nil, nil, false
		}
		if e.fam != nil {
			e.fam.mu.Lock()
			e.fam.p50, e.fam.p99, e.fam.mean, e.fam.guard = nil, nil, nil, false
			e.fam.mu.Unlock()
		}
	})
}

// described asks the operator's word on a new description.
func (d *Deriver) described(s *telemetry.Series) *telemetry.Series {
	if d.describe != nil {
		d.describe(s)
	}
	return s
}

// name gives an entry its series. The stripe of the reference is locked.
func (d *Deriver) name(e *entry, s *telemetry.Series) {
	e.series = d.described(s)
	e.guard = guards(s)
}

func guards(s *telemetry.Series) bool { return s.Policy != nil && s.Policy.Guards() }

// takes reports whether the policy of a guarded series takes a value, and
// counts those that it has as bad data.
func (d *Deriver) takes(s *telemetry.Series, v float64) bool {
	if s.Policy.Takes(v) {
		return true
	}
	if s.Policy.Weight > 0 {
		d.outOfRange.Add(1)
	}
	return false
}

// put appends a point; of a guarded series, or one beside it, only when its
// policy takes it.
func (d *Deriver) put(out []telemetry.Point, guard bool, p telemetry.Point) []telemetry.Point {
	if guard && p.Series.Policy != nil && !d.takes(p.Series, p.V) {
		return out
	}
	return append(out, p)
}

// each visits every entry. Entries that come or go meanwhile may be missed.
func (t *refTable) each(visit func(ref uint64, e *entry)) {
	if dir := t.dir.Load(); dir != nil {
		for i := range *dir {
			p := (*dir)[i].Load()
			if p == nil {
				continue
			}
			for j := range p.slots {
				if e := p.slots[j].Load(); e != nil {
					visit(uint64(i)<<pageBits|uint64(j), e)
				}
			}
		}
	}
	t.rest.Range(func(k, e any) bool {
		visit(k.(uint64), e.(*entry))
		return true
	})
}
