package events

import (
	"context"
	"math"
	"runtime"
	"sync"
)

// warmup is the number of first points that only teach: as the Numenta
// benchmark has it, 15 %, at most 750.
func warmup(rows int) int { return int(min(.15*float64(rows), 750)) }

// steps are the thresholds that the leave-one-set-out rows choose from, as
// factors of a detector's own; the first is 1.
func steps() []float64 {
	out := []float64{1}
	for i := 1.; i <= 12; i++ {
		out = append(out, math.Exp2(i/6), math.Exp2(-i/6))
	}
	return out
}

// choices is the number of thresholds or variants of a detector.
func (d *Detector) choices() int {
	if len(d.Variants) > 0 {
		return 1 + len(d.Variants)
	}
	return len(steps())
}

// try runs a detector over a file and judges it at its own threshold first,
// then at all others, or by all variants. ns is the time of the first run.
func (d *Detector) try(f *File, warm int) (out tally, ns float64) {
	scores, ns := scoresOf(f, d)
	as := alarms(f, scores, warm)
	if len(d.Variants) == 0 {
		for _, k := range steps() {
			out = append(out, judge(f, as, k*d.Threshold, warm))
		}
		return out, ns
	}
	out = append(out, judge(f, as, d.Threshold, warm))
	for i := range d.Variants {
		v := &d.Variants[i]
		scores, _ := scoresOf(f, v)
		out = append(out, judge(f, alarms(f, scores, warm), v.Threshold, warm))
	}
	return out, ns
}

// tally is what one detector did on one set, by threshold or variant; the first
// is the shipped one.
type tally []Counts

// evaluation is a run of detectors over sets.
type evaluation struct {
	sets  []Set
	dets  []Detector
	tally [][]tally  // by detector, set
	files [][]Counts // by detector, then file of all sets in order; at the detector's own threshold
	spent []float64  // ns by detector
	jobs  []job      // all files
	mu    sync.Mutex // guards what follows, and the sums above while running
	next  int        // job
	done  int        // jobs
	tell  func(n, of int)
}

type job struct {
	set  int
	file *File
}

// evaluate runs every detector over every file. The detectors of one file run
// one after the other, two files at a time.
func evaluate(ctx context.Context, sets []Set, dets []Detector, tell func(n, of int)) (*evaluation, error) {
	e := &evaluation{sets: sets, dets: dets, tell: tell, spent: make([]float64, len(dets))}
	for i := range sets {
		for j := range sets[i].Files {
			e.jobs = append(e.jobs, job{i, &sets[i].Files[j]})
		}
	}
	for d := range dets {
		by := make([]tally, len(sets))
		for i := range by {
			by[i] = make(tally, dets[d].choices())
		}
		e.tally = append(e.tally, by)
		e.files = append(e.files, make([]Counts, len(e.jobs)))
	}
	var wg sync.WaitGroup
	for range min(2, runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			for e.work(ctx) {
			}
		})
	}
	wg.Wait()
	return e, ctx.Err()
}

// work does one file; it returns false when there is none left.
func (e *evaluation) work(ctx context.Context) bool {
	e.mu.Lock()
	n := e.next
	e.next++
	e.mu.Unlock()
	if n >= len(e.jobs) {
		return false
	}
	f, warm := e.jobs[n].file, warmup(len(e.jobs[n].file.T))
	for d := range e.dets {
		if ctx.Err() != nil {
			return false
		}
		by, ns := e.dets[d].try(f, warm)
		e.mu.Lock()
		for i := range by {
			e.tally[d][e.jobs[n].set][i].add(by[i])
		}
		e.files[d][n] = by[0]
		e.spent[d] += ns
		e.mu.Unlock()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.done++; e.tell != nil {
		e.tell(e.done, len(e.jobs))
	}
	return true
}

// scoresOf gives a file's scores by row, and the processor time they took in
// ns; scores that another program gave took none.
func scoresOf(f *File, d *Detector) ([]float64, float64) {
	if d.given != nil {
		return d.given[f], 0
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	warm := warmup(len(f.T))
	start := threadTime()
	if d.Rows != nil && len(f.V) > 1 {
		return byRow(f, d.Rows(warm, len(f.V))), float64(threadTime() - start)
	}
	scores := make([]float64, len(f.T))
	for _, col := range f.V {
		step := d.New(warm)
		for i, v := range col {
			if math.IsNaN(v) {
				continue
			}
			if s := step(f.T[i], v); s > scores[i] {
				scores[i] = s
			}
		}
	}
	return scores, float64(threadTime() - start)
}

// byRow reads all columns together.
func byRow(f *File, step func(int64, []float64) float64) []float64 {
	scores, row := make([]float64, len(f.T)), make([]float64, len(f.V))
	for i, t := range f.T {
		for c := range f.V {
			row[c] = f.V[c][i]
		}
		scores[i] = step(t, row)
	}
	return scores
}
