// Package logseq scores the sequence model of logmine on labelled sequences of
// log events.
//
// It exists so that a change to the model can be judged by figures that the
// literature uses: F1 at the model's own threshold and the area under the ROC
// curve (AUC). It ships no data. [Run] is used by one goroutine.
//
// The layout is that of github.com/ait-aecid/anomaly-detection-log-datasets:
// SET_train, SET_test_normal and SET_test_abnormal (perhaps several: SET_test_
// abnormal_KIND), a line "id,event event ..." a sequence. The model learns from
// the normal sequences of the training file, of one percent in the published
// protocol, sets its limits by them alone, and judges all others. See Landauer
// et al., "A Critical Review of Common Log Data Sets Used for Evaluation of
// Sequence-based Anomaly Detection Techniques" (FSE 2024).
package logseq

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/norn-aiops/norn/internal/logmine/sequence"
)

// ErrNoData is returned (wrapped) when a directory holds no set.
var ErrNoData = errors.New("no *_train file with *_test_normal and *_test_abnormal beside it")

// Set is the result of one set.
type Set struct {
	Name     string  `json:"name"`
	Train    int     `json:"train"`
	Normal   int     `json:"normal"`
	Abnormal int     `json:"abnormal"`
	F1       float64 `json:"f1"` // at the model's own threshold
	TPR      float64 `json:"tpr"`
	FPR      float64 `json:"fpr"`
	AUC      float64 `json:"auc"`
	BestF1   float64 `json:"best_f1"`     // at the threshold that is best in hindsight
	FlagAll  float64 `json:"flag_all_f1"` // of saying that everything is abnormal
}

// Report is the result of a run. Means weigh all sets alike.
type Report struct {
	Sets    []Set   `json:"sets"`
	MeanF1  float64 `json:"mean_f1"`
	MeanAUC float64 `json:"mean_auc"`
}

// Run scores every set below dir.
func Run(ctx context.Context, dir string) (Report, error) {
	var rep Report
	var trains []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(path, "_train") {
			trains = append(trains, path)
		}
		return err
	})
	if err != nil {
		return rep, fmt.Errorf("look for sequences: %w", err)
	}
	for _, path := range trains {
		if err := ctx.Err(); err != nil {
			return rep, fmt.Errorf("score sequences: %w", err)
		}
		set, err := runSet(strings.TrimSuffix(path, "_train"))
		if errors.Is(err, ErrNoData) {
			continue
		}
		if err != nil {
			return rep, err
		}
		rep.Sets = append(rep.Sets, set)
	}
	if len(rep.Sets) == 0 {
		return rep, fmt.Errorf("look for sequences in %s: %w", dir, ErrNoData)
	}
	for _, s := range rep.Sets {
		rep.MeanF1 += s.F1 / float64(len(rep.Sets))
		rep.MeanAUC += s.AUC / float64(len(rep.Sets))
	}
	return rep, nil
}

// runSet scores the set whose files begin with base.
func runSet(base string) (Set, error) {
	train, err := read(base + "_train")
	if err != nil {
		return Set{}, err
	}
	var tests [2][][]uint64
	for k, kind := range []string{"_test_normal", "_test_abnormal"} {
		files, err := filepath.Glob(base + kind + "*")
		if err != nil || len(files) == 0 {
			return Set{}, ErrNoData
		}
		for _, f := range files {
			seqs, err := read(f)
			if err != nil {
				return Set{}, err
			}
			tests[k] = append(tests[k], seqs...)
		}
	}
	set := Score(train, tests[0], tests[1])
	set.Name = filepath.Base(base)
	return set, nil
}

// read reads "id,event event ..." lines. Events are named by anything.
func read(path string) ([][]uint64, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open sequences: %w", err)
	}
	defer func() { _ = f.Close() }() // only read
	var out [][]uint64
	scan := bufio.NewScanner(f)
	scan.Buffer(nil, 64<<20)
	for scan.Scan() {
		_, events, ok := strings.Cut(scan.Text(), ",")
		if !ok {
			return nil, fmt.Errorf("%s, line %d: no comma behind the id", path, len(out)+1)
		}
		var seq []uint64
		for name := range strings.FieldsSeq(events) {
			h := fnv.New64a()
			_, _ = h.Write([]byte(name))
			seq = append(seq, h.Sum64()>>1)
		}
		out = append(out, seq)
	}
	if err := scan.Err(); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return out, nil
}

// Score trains on normal sequences and judges others.
func Score(train, normal, abnormal [][]uint64) Set {
	var m sequence.NGram
	for _, seq := range train {
		m.Learn(seq, 1)
	}
	limits := m.Calibrate(train)
	type judged struct {
		score float64
		bad   bool
	}
	all := make([]judged, 0, len(normal)+len(abnormal))
	for k, seqs := range [][][]uint64{normal, abnormal} {
		for _, seq := range seqs {
			all = append(all, judged{limits.Score(m.Judge(seq)), k == 1})
		}
	}
	s := Set{Train: len(train), Normal: len(normal), Abnormal: len(abnormal)}
	tp, fp := 0, 0
	for _, j := range all {
		switch {
		case j.score > 1 && j.bad:
			tp++
		case j.score > 1:
			fp++
		}
	}
	s.F1 = f1(tp, fp, len(abnormal))
	s.TPR, s.FPR = float64(tp)/float64(max(len(abnormal), 1)), float64(fp)/float64(max(len(normal), 1))
	s.FlagAll = f1(len(abnormal), len(normal), len(abnormal))
	slices.SortFunc(all, func(a, b judged) int {
		switch {
		case a.score > b.score:
			return -1
		case a.score < b.score:
			return 1
		}
		return 0
	})
	// Equal scores are one point of the curve.
	area := 0.0
	for i, tp, fp := 0, 0, 0; i < len(all); {
		j, dt, df := i, 0, 0
		for ; j < len(all) && all[j].score == all[i].score; j++ {
			if all[j].bad {
				dt++
			} else {
				df++
			}
		}
		area += float64(df) * (float64(tp) + float64(dt)/2)
		tp, fp, i = tp+dt, fp+df, j
		s.BestF1 = max(s.BestF1, f1(tp, fp, len(abnormal)))
	}
	s.AUC = area / float64(max(len(normal)*len(abnormal), 1))
	return s
}

func f1(tp, fp, bad int) float64 {
	if tp == 0 {
		return 0
	}
	return 2 * float64(tp) / float64(tp+fp+bad)
}

// Print writes the report as a table.
func (r Report) Print(w io.Writer) error {
	_, err := fmt.Fprintf(w, "%-28s %6s %7s %9s  %5s  %5s  %5s  %5s  %7s  %8s\n", "set", "train", "normal", "abnormal", "F1", "TPR", "FPR", "AUC", "best F1", "flag all")
	for _, s := range r.Sets {
		_, more := fmt.Fprintf(w, "%-28s %6d %7d %9d  %.3f  %.3f  %.3f  %.3f  %7.3f  %8.3f\n", s.Name, s.Train, s.Normal, s.Abnormal, s.F1, s.TPR, s.FPR, s.AUC, s.BestF1, s.FlagAll)
		err = errors.Join(err, more)
	}
	_, more := fmt.Fprintf(w, "%-28s %6s %7s %9s  %.3f  %5s  %5s  %.3f\n", "mean", "", "", "", r.MeanF1, "", "", r.MeanAUC)
	return errors.Join(err, more)
}
