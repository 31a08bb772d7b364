// Package events scores detection by the events that it finds in labelled
// series, without point adjustment.
//
// It exists because a single benchmark can be won by a detector that is of no
// use elsewhere: six public sets are read in one run, each detector has one
// threshold for all of them, and plain detectors (an exponentially weighted and
// a rolling z-score, the spike record, a random cut forest) stand beside
// Norn's. An alarm within a labelled segment, or at most seven rows behind it,
// finds it; every alarm elsewhere is false; every detector's scores go through
// the same suppressor. The package knows no detection engine: Norn's is given
// as a [Detector]. It keeps no state and is safe for concurrent use; the main
// type is [Report].
package events

import (
	"context"
	"fmt"
	"math"
	"slices"
)

// Options steer a run. The zero value is the full run.
type Options struct {
	Quick    bool                  // without the forest, which takes most of the time
	Sets     []string              // of the public sets, only these; empty: all
	Export   string                // folder to write what is judged to, for other programs; empty: none
	Given    []Given               // what other programs made of it
	Progress func(done, total int) // called after each file, one call at a time; may be nil
}

// Row is one detector's result.
type Row struct {
	Detector  string           `json:"detector"`
	Threshold float64          `json:"threshold"` // one for all sets
	MeanF1    float64          `json:"mean_f1"`
	PerSet    map[string]Score `json:"per_set"`
	// LeftOut gives, by set, the F1 by the rules (Norn) or at the threshold (of
	// 25 between a quarter and four times the shipped one) that are best on the
	// other sets' mean.
	LeftOut     map[string]float64 `json:"leave_one_set_out"`
	LeftOutMean float64            `json:"leave_one_set_out_mean"`
	NsPerPoint  float64            `json:"ns_per_point"` // processor time; 0 for scores of another program
}

// SetInfo describes a set.
type SetInfo struct {
	Name   string `json:"name"`
	Files  int    `json:"files"`
	Events int    `json:"events"` // labelled, those in the warm-up too
	Values int    `json:"values"` // rows times columns
	InMean bool   `json:"in_mean"`
}

// Report is the outcome. The first fields are those of Norn's row.
type Report struct {
	MeanF1      float64          `json:"mean_f1"`
	PerSet      map[string]Score `json:"per_set"`
	BestOther   string           `json:"best_other"`          // the other detector with the best mean
	Margin      float64          `json:"margin"`              // Norn's mean less that
	WorstBehind float64          `json:"worst_behind"`        // how far Norn is behind the best other on a set, at most; negative: ahead everywhere
	WorstSet    string           `json:"worst_set,omitempty"` // that set
	Rows        []Row            `json:"rows"`                // Norn first
	Sets        []SetInfo        `json:"sets"`
	Missing     []string         `json:"missing,omitempty"` // sets that were not there
	Files       []FileScore      `json:"files,omitempty"`
	// FileMeanF1 is, by detector, the mean F1 over files with events, for folders.
	FileMeanF1 map[string]float64 `json:"file_mean_f1,omitempty"`
	Refused    *Refused           `json:"refused,omitempty"`
}

// FileScore is what Norn did on one file, and the others beside it.
type FileScore struct {
	Set  string `json:"set"`
	File string `json:"file"`
	Score
	Others map[string]Score `json:"others"` // by detector
}

// Run scores norn and the plain detectors on the public sets below dir.
func Run(ctx context.Context, dir string, norn Detector, o Options) (Report, error) {
	sets, missing, err := Load(dir)
	if err != nil {
		return Report{}, err
	}
	if len(o.Sets) > 0 {
		for _, name := range o.Sets {
			if !slices.ContainsFunc(sets, func(s Set) bool { return s.Name == name }) {
				return Report{}, fmt.Errorf("score sets: %s does not hold the set %q", dir, name)
			}
		}
		sets = slices.DeleteFunc(sets, func(s Set) bool { return !slices.Contains(o.Sets, s.Name) })
	}
	rep, err := score(ctx, sets, norn, o)
	rep.Missing, rep.Files, rep.FileMeanF1 = missing, nil, nil
	return rep, err
}

// RunFolders scores norn and the plain detectors on folders of CSV files with
// labels (see LoadFolder), each of which is one set.
func RunFolders(ctx context.Context, dirs []string, labels string, norn Detector, o Options) (Report, error) {
	var sets []Set
	refused := &Refused{}
	for _, dir := range dirs {
		s, err := LoadFolder(dir, labels, refused)
		if err != nil {
			return Report{}, err
		}
		for i := range sets {
			if sets[i].Name == s.Name {
				s.Name = fmt.Sprintf("%s (%d)", s.Name, len(sets)+1)
			}
		}
		sets = append(sets, s)
	}
	rep, err := score(ctx, sets, norn, o)
	rep.Refused = refused
	return rep, err
}

func score(ctx context.Context, sets []Set, norn Detector, o Options) (Report, error) {
	if o.Export != "" {
		if err := export(sets, o.Export); err != nil {
			return Report{}, err
		}
	}
	more, err := others(sets, o.Given)
	if err != nil {
		return Report{}, err
	}
	if n := slices.IndexFunc(sets, func(s Set) bool { return s.counts() }); n < 0 || !slices.ContainsFunc(sets[n+1:], func(s Set) bool { return s.counts() }) {
		norn.Variants = nil // with one set none can be left out
	}
	e, err := evaluate(ctx, sets, slices.Concat([]Detector{norn}, Simple(!o.Quick), more), o.Progress)
	if err != nil {
		return Report{}, err
	}
	return e.report(), nil
}

func (e *evaluation) report() Report {
	var rep Report
	values := 0
	for i := range e.sets {
		s := &e.sets[i]
		rep.Sets = append(rep.Sets, SetInfo{s.Name, len(s.Files), s.events(), s.values(), s.counts()})
		values += s.values()
	}
	for d := range e.dets {
		r := e.row(d)
		r.NsPerPoint = math.Round(e.spent[d] / float64(max(1, values)))
		rep.Rows = append(rep.Rows, r)
	}
	rep.MeanF1, rep.PerSet = rep.Rows[0].MeanF1, rep.Rows[0].PerSet
	rep.compare()
	e.byFile(&rep)
	return rep
}

// byFile fills in the figures of single files, and their means over the files
// that have events.
func (e *evaluation) byFile(rep *Report) {
	rep.FileMeanF1 = map[string]float64{}
	f1 := make([][]float64, len(e.dets))
	for i, job := range e.jobs {
		f := FileScore{Set: e.sets[job.set].Name, File: job.file.Name, Score: e.files[0][i].score(), Others: map[string]Score{}}
		for d := range e.dets {
			s := e.files[d][i].score()
			if d > 0 {
				f.Others[e.dets[d].Name] = s
			}
			if s.Events > 0 {
				f1[d] = append(f1[d], s.F1)
			}
		}
		rep.Files = append(rep.Files, f)
	}
	for d := range e.dets {
		rep.FileMeanF1[e.dets[d].Name] = mean(f1[d], -1)
	}
}

// row sums up one detector.
func (e *evaluation) row(d int) Row {
	r := Row{Detector: e.dets[d].Name, Threshold: e.dets[d].Threshold, PerSet: map[string]Score{}, LeftOut: map[string]float64{}}
	f1 := make([][]float64, e.dets[d].choices()) // by threshold or variant, set of the mean
	var names []string
	for i := range e.sets {
		t := e.tally[d][i]
		r.PerSet[e.sets[i].Name] = t[0].score()
		if !e.sets[i].counts() {
			continue
		}
		names = append(names, e.sets[i].Name)
		for k := range t {
			f1[k] = append(f1[k], t[k].score().F1)
		}
	}
	r.MeanF1 = mean(f1[0], -1)
	if len(names) < 2 {
		return r
	}
	for i, name := range names {
		best := 0
		for k := range f1 {
			if mean(f1[k], i) > mean(f1[best], i) {
				best = k
			}
		}
		r.LeftOut[name] = f1[best][i]
		r.LeftOutMean += f1[best][i] / float64(len(names))
	}
	return r
}

// mean is the mean of all but one; without -1 of all.
func mean(xs []float64, without int) float64 {
	var sum float64
	n := 0
	for i, x := range xs {
		if i != without {
			sum, n = sum+x, n+1
		}
	}
	return sum / float64(max(1, n))
}

// compare sets Norn's row against the best of the others.
func (rep *Report) compare() {
	norn, others := rep.Rows[0], rep.Rows[1:]
	best := -1
	rep.WorstBehind = math.Inf(-1)
	for i, o := range others {
		if best < 0 || o.MeanF1 > others[best].MeanF1 {
			best = i
		}
		for _, s := range rep.Sets {
			if !s.InMean {
				continue
			}
			if d := o.PerSet[s.Name].F1 - norn.PerSet[s.Name].F1; d > rep.WorstBehind {
				rep.WorstBehind, rep.WorstSet = d, s.Name
			}
		}
	}
	if best >= 0 {
		rep.BestOther, rep.Margin = others[best].Detector, norn.MeanF1-others[best].MeanF1
	}
	if math.IsInf(rep.WorstBehind, -1) {
		rep.WorstBehind = 0
	}
}
