package pipeline

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"golang.org/x/sync/errgroup"

	"github.com/norn-aiops/norn/internal/detect"
	"github.com/norn-aiops/norn/internal/detect/driver"
	"github.com/norn-aiops/norn/internal/detect/joint"
	"github.com/norn-aiops/norn/internal/normalize"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/store"
	"github.com/norn-aiops/norn/internal/telemetry"
)

const (
	seedBatch  = 512       // samples derived and judged at a time
	seedChunks = 2_000_000 // of samples whose places are in memory at a time: about 100 MB
)

// seeder teaches models from stored history: series by series rather than
// moment by moment, so that the state of one detector stays in the processor's
// cache for weeks of points, and with a worker for each processor. What is
// judged across series (drivers, all metrics of an entity) learns entity by
// entity, as soon as the last of an entity's series has been read.
type seeder struct {
	archive  Archive
	engine   *detect.Engine
	drivers  *driver.Book
	joint    *joint.Fleet
	describe func(*telemetry.Series)
	offer    func([]telemetry.Point) // to plugins; nil when there are none
	keep     func(telemetry.Entity) bool
	progress func(share float64) // nil: nobody asks

	to              int64 // Unix ms, of the whole run
	series, samples atomic.Int64
}

func (p *Pipeline) seeder(h Archive) *seeder {
	s := &seeder{archive: h, engine: p.engine, drivers: p.both.Drivers, joint: p.both.Joint, describe: p.describe}
	s.offer = func(pts []telemetry.Point) {
		p.met.points.Add(float64(len(pts)))
		if len(p.plugins.list) > 0 {
			p.offer(pts, true)
		}
	}
	return s
}

// run reads [from, to] (Unix ms). The engine must be quiet.
func (s *seeder) run(ctx context.Context, from, to int64) error {
	s.to = to
	passes := uint64(s.archive.Chunks()/seedChunks + 1)
	for pass := range passes {
		if err := s.pass(ctx, from, to, pass, passes); err != nil {
			return err
		}
	}
	return nil
}

// family is one job: series that are derived together, nearly always one.
type family struct {
	entity uint64 // hash of its name
	key    uint64
	at     []int // places on the shelf
	of     *collector
}

// worker is one goroutine's part of a pass.
type worker struct {
	*seeder
	shelf    store.Shelf
	families []*family
	derive   *normalize.Deriver
	refs     storage.SeriesRef
	bufs     [][]telemetry.Sample
	batch    []store.Committed
	points   []telemetry.Point
	gather   gatherer
}

// pass reads the entities whose hash is pass modulo passes.
func (s *seeder) pass(ctx context.Context, from, to int64, pass, passes uint64) error {
	n := uint64(runtime.GOMAXPROCS(0))
	workers := make([]*worker, n)
	defer func() {
		for _, w := range workers {
			if w != nil && w.shelf != nil {
				_ = w.shelf.Close() // it was only read
			}
		}
	}()
	g, walk := errgroup.WithContext(ctx)
	for i := range n {
		w := &worker{seeder: s, derive: normalize.NewDeriver()}
		w.derive.SetDescribe(s.describe)
		workers[i] = w
		g.Go(func() error {
			return w.open(walk, from, to, func(entity, key uint64) bool { return entity%passes == pass && key%n == i })
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	entities := collectors(workers)
	total, done := 0, atomic.Int64{}
	for _, w := range workers {
		total += len(w.families)
	}
	g, work := errgroup.WithContext(ctx)
	for _, w := range workers {
		g.Go(func() error {
			for _, f := range w.families {
				if err := work.Err(); err != nil {
					return err
				}
				if err := w.family(f); err != nil {
					return err
				}
				if c := entities[f.entity]; c.left.Add(-1) == 0 {
					w.learnTogether(c)
				}
				s.tell(pass, passes, int(done.Add(1)), total)
			}
			return nil
		})
	}
	return g.Wait()
}

func (s *seeder) tell(pass, passes uint64, done, total int) {
	if s.progress != nil && done%64 == 0 {
		s.progress((float64(pass) + float64(done)/float64(total)) / float64(passes))
	}
}

// collectors makes one for each entity that has work.
func collectors(workers []*worker) map[uint64]*collector {
	out := map[uint64]*collector{}
	for _, w := range workers {
		for _, f := range w.families {
			c := out[f.entity]
			if c == nil {
				c = &collector{}
				out[f.entity] = c
			}
			c.left.Add(1)
			f.of = c
		}
	}
	return out
}

// open finds the worker's share of the series and puts families in order of
// entities, which is the same for all workers.
func (w *worker) open(ctx context.Context, from, to int64, mine func(entity, key uint64) bool) (err error) {
	type place struct{ entity, key uint64 }
	var places []place
	buf := make([]byte, 0, 1024)
	w.shelf, err = w.archive.Shelf(ctx, from, to, func(ls labels.Labels) bool {
		e, _, _ := normalize.EntityOfLabels(ls)
		if w.keep != nil && !w.keep(e) {
			return false
		}
		p := place{entity: hashOf(e.String())}
		p.key, buf = familyKey(ls, buf)
		if !mine(p.entity, p.key) {
			return false
		}
		places = append(places, p)
		return true
	})
	if err != nil {
		return err
	}
	by := map[place]*family{}
	for i, p := range places {
		f := by[p]
		if f == nil {
			f = &family{entity: p.entity, key: p.key}
			by[p] = f
			w.families = append(w.families, f)
		}
		f.at = append(f.at, i)
	}
	slices.SortFunc(w.families, func(a, b *family) int {
		switch {
		case a.entity < b.entity || a.entity == b.entity && a.key < b.key:
			return -1
		case a.entity == b.entity && a.key == b.key:
			return 0
		}
		return 1
	})
	return nil
}

// familyKey is the same for the parts of one histogram or summary.
func familyKey(ls labels.Labels, buf []byte) (uint64, []byte) {
	name := ls.Get(labels.MetricName)
	for _, end := range [...]string{"_bucket", "_count", "_sum"} {
		if base, ok := strings.CutSuffix(name, end); ok {
			name = base
			break
		}
	}
	h, buf := ls.HashWithoutLabels(buf, labels.MetricName, "le")
	return h*31 + hashOf(name), buf
}

// hashOf is FNV-1a.
func hashOf(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h ^ h>>32
}

// family reads all of a family's samples and has them judged in order of time.
func (w *worker) family(f *family) error {
	heads := make([]store.Committed, len(f.at))
	for len(w.bufs) < len(f.at) {
		w.bufs = append(w.bufs, nil)
	}
	for k, i := range f.at {
		ls := w.shelf.Labels(i)
		typ, unit := w.archive.Metadata(ls.Get(labels.MetricName))
		w.refs++
		heads[k] = store.Committed{Ref: w.refs, Labels: ls, Type: typ, Unit: unit}
		var err error
		if w.bufs[k], err = w.shelf.Samples(i, w.bufs[k][:0]); err != nil {
			return fmt.Errorf("series %.200s: %w", ls, err)
		}
		w.samples.Add(int64(len(w.bufs[k])))
	}
	w.series.Add(int64(len(f.at)))
	w.merge(heads, w.bufs[:len(f.at)])
	w.flush()
	for _, h := range heads {
		w.derive.Forget(h.Ref)
	}
	f.of.take(&w.gather)
	return nil
}

// merge hands over the samples of several series moment by moment.
func (w *worker) merge(heads []store.Committed, bufs [][]telemetry.Sample) {
	at := make([]int, len(bufs))
	for {
		now, any := int64(0), false
		for k, b := range bufs {
			if at[k] < len(b) && (!any || b[at[k]].T < now) {
				now, any = b[at[k]].T, true
			}
		}
		if !any {
			return
		}
		for k, b := range bufs {
			if at[k] < len(b) && b[at[k]].T == now {
				c := heads[k]
				c.T, c.V = now, b[at[k]].V
				at[k]++
				if w.batch = append(w.batch, c); len(w.batch) == seedBatch {
					w.flush()
				}
			}
		}
	}
}

// flush judges what is in the batch.
func (w *worker) flush() {
	w.points = w.derive.Derive(w.batch, w.points[:0])
	w.engine.ObserveBatch(w.points, func(*ops.Anomaly) {})
	if w.offer != nil {
		w.offer(w.points)
	}
	w.gather.add(w.points)
	clear(w.batch)
	w.batch = w.batch[:0]
}

// collector holds what an entity's series say of it together.
type collector struct {
	left    atomic.Int32 // families
	mu      sync.Mutex
	columns []*column
}

func (c *collector) take(g *gatherer) {
	if len(g.columns) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.columns = append(c.columns, g.columns...)
	if len(c.columns) > 2*maxColumns {
		sortColumns(c.columns)
		clear(c.columns[maxColumns:])
		c.columns = c.columns[:maxColumns]
	}
	g.columns, g.last = nil, nil
}
