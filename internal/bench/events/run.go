package events

import (
	"context"
	"math"
	"runtime"
	"sync"
	"time"
)

// warmup is the number of first points that only teach: as the Numenta
// benchmark has it, 15 %, at most 750.
func warmup(rows int) int { return int(min(.15*float64(rows), 750)) }

// steps are the thresholds that the leave-one-set-out rows choose from, as
// factors of a detector's own; the one in the middle is 1.
func steps() (out [25]float64) {
	for i := range out {
		out[i] = math.Exp2(float64(i-len(out)/2) / 6)
	}
	return out
}

// tally is what one detector did on one set, by threshold.
type tally [25]Counts

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
	for range dets {
		e.tally = append(e.tally, make([]tally, len(sets)))
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
		scores, ns := scoresOf(f, &e.dets[d])
		as := alarms(f, scores, warm)
		own := judge(f, as, e.dets[d].Threshold, warm)
		var by tally
		for i, k := range steps() {
			by[i] = judge(f, as, k*e.dets[d].Threshold, warm)
		}
		e.mu.Lock()
		for i := range by {
			e.tally[d][e.jobs[n].set][i].add(by[i])
		}
		e.files[d][n] = own
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

// scoresOf gives a file's scores by row, and the time they took in ns. Where a
// file has several columns, a row's score is the largest of theirs: one alarm
// tells of the row, whichever column it came from.
func scoresOf(f *File, d *Detector) ([]float64, float64) {
	warm := warmup(len(f.T))
	scores := make([]float64, len(f.T))
	start := time.Now()
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
	return scores, float64(time.Since(start).Nanoseconds())
}
