// Package drilldown scores the search for responsible dimension values on sets
// in the format of RiskLoc's generator (Kalander 2022): one table of leaves a
// case, and injection_info.csv with what was injected.
//
// It exists so that the search is measured by whole combinations, as the field
// does: one with a dimension too many or too few is wrong twice. It searches
// nothing itself. [Run] is the entry; it reads files and is safe for concurrent
// use. The main type is [Report].
package drilldown

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/norn-aiops/norn/internal/bench/csvdata"
	"github.com/norn-aiops/norn/internal/cause/drilldown"
)

// Case is one scored table.
type Case struct {
	Set     string   `json:"set"`
	Case    string   `json:"case"`
	Leaves  int      `json:"leaves"`
	Seconds float64  `json:"seconds"`
	Truth   []string `json:"truth"`
	Found   []string `json:"found"`
	TP      int      `json:"true_positives"`
	FP      int      `json:"false_positives"`
	FN      int      `json:"false_negatives"`
}

// Score is precision, recall and F1 over all combinations of all cases.
type Score struct {
	Set       string  `json:"set"`
	Cases     int     `json:"cases"`
	F1        float64 `json:"f1"`
	Precision float64 `json:"precision"`
	Recall    float64 `json:"recall"`
	Exact     float64 `json:"exact_cases"` // share of cases without any fault
	Seconds   float64 `json:"seconds_per_case"`
	Slowest   float64 `json:"seconds_slowest"`
}

// Report is what [Run] measured.
type Report struct {
	Score
	Sets    []Score  `json:"sets"`
	PerCase []Case   `json:"per_case"`
	Refused []string `json:"refused"` // cases that could not be read
}

// Run scores every folder in and below dir that has an injection_info.csv. A
// case that cannot be read is named in the report and stops nothing.
func Run(ctx context.Context, dir string, progress func(done, of int)) (Report, error) {
	rep := Report{PerCase: []Case{}, Refused: []string{}, Sets: []Score{}}
	type job struct {
		set, name, path string
		truth           []string
	}
	var jobs []job
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.TrimSuffix(d.Name(), ".gz") != "injection_info.csv" {
			return err
		}
		truth, err := readTruth(path)
		if err != nil {
			return err
		}
		at := filepath.Dir(path)
		for _, t := range truth {
			jobs = append(jobs, job{filepath.Base(at), t.name, filepath.Join(at, t.name), t.set})
		}
		return nil
	})
	if err != nil {
		return rep, fmt.Errorf("read the set of %s: %w", dir, err)
	}
	for i, j := range jobs {
		if ctx.Err() != nil {
			return rep, ctx.Err()
		}
		c, err := run(j.path, j.truth)
		if err != nil {
			rep.Refused = append(rep.Refused, fmt.Sprintf("%s/%s: %v", j.set, j.name, err))
		} else {
			c.Set, c.Case = j.set, j.name
			rep.PerCase = append(rep.PerCase, c)
		}
		progress(i+1, len(jobs))
	}
	if len(rep.PerCase) == 0 {
		return rep, errors.Join(errors.New("drilldown benchmark: no case could be read"), errors.New(strings.Join(rep.Refused[:min(3, len(rep.Refused))], "; ")))
	}
	rep.score()
	return rep, nil
}

func (r *Report) score() {
	var order []string
	by := map[string][]Case{}
	for _, c := range r.PerCase {
		if by[c.Set] == nil {
			order = append(order, c.Set)
		}
		by[c.Set] = append(by[c.Set], c)
	}
	for _, set := range order {
		s := scoreOf(by[set])
		s.Set = set
		r.Sets = append(r.Sets, s)
	}
	r.Score = scoreOf(r.PerCase)
	r.Set = "all"
}

func scoreOf(cases []Case) Score {
	s := Score{Cases: len(cases)}
	var tp, fp, fn float64
	for _, c := range cases {
		tp, fp, fn = tp+float64(c.TP), fp+float64(c.FP), fn+float64(c.FN)
		s.Seconds += c.Seconds / float64(len(cases))
		s.Slowest = max(s.Slowest, c.Seconds)
		if c.FP+c.FN == 0 {
			s.Exact += 1 / float64(len(cases))
		}
	}
	if tp > 0 {
		s.Precision, s.Recall, s.F1 = tp/(tp+fp), tp/(tp+fn), 2*tp/(2*tp+fp+fn)
	}
	return s
}

func run(path string, truth []string) (Case, error) {
	in, err := readTable(path)
	if err != nil {
		return Case{}, err
	}
	began := time.Now()
	res, err := drilldown.Find(in, drilldown.Config{})
	if err != nil {
		return Case{}, err
	}
	c := Case{Leaves: len(in.Leaves), Truth: truth, Seconds: time.Since(began).Seconds(), Found: []string{}}
	for _, e := range res.Elements {
		var pairs []string
		for _, p := range e.Pairs {
			pairs = append(pairs, p.Dim+"="+p.Value)
		}
		slices.Sort(pairs)
		c.Found = append(c.Found, strings.Join(pairs, "&"))
	}
	for _, f := range c.Found {
		if slices.Contains(truth, f) {
			c.TP++
		} else {
			c.FP++
		}
	}
	c.FN = len(truth) - c.TP
	return c, nil
}

type labelled struct {
	name string
	set  []string
}

// readTruth reads injection_info.csv: the columns timestamp and set count.
func readTruth(path string) ([]labelled, error) {
	f, err := csvdata.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var out []labelled
	name, set := -1, -1
	err = csvdata.Table(f, func(line int, fields []string) error {
		if line == 1 {
			name, set = slices.Index(fields, "timestamp"), slices.Index(fields, "set")
			if name < 0 || set < 0 {
				return fmt.Errorf("%s has no columns timestamp and set", path)
			}
			return nil
		}
		if name >= len(fields) || set >= len(fields) {
			return fmt.Errorf("%s, line %d is too short", path, line)
		}
		l := labelled{name: fields[name]}
		for e := range strings.SplitSeq(fields[set], ";") {
			pairs := strings.Split(strings.TrimSpace(e), "&")
			slices.Sort(pairs)
			if e = strings.Join(pairs, "&"); !slices.Contains(l.set, e) {
				l.set = append(l.set, e)
			}
		}
		out = append(out, l)
		return nil
	})
	return out, err
}

// readTable reads NAME.csv or NAME.csv.gz: dimensions, then real and predict.
func readTable(path string) (drilldown.Input, error) {
	in := drilldown.Input{}
	path += ".csv"
	if _, err := os.Stat(path); err != nil {
		path += ".gz"
	}
	f, err := csvdata.Open(path)
	if err != nil {
		return in, err
	}
	defer f.Close()
	atReal, atPredict := -1, -1
	var dims []int
	err = csvdata.Table(f, func(line int, fields []string) error {
		if line == 1 {
			atReal, atPredict = slices.Index(fields, "real"), slices.Index(fields, "predict")
			if atReal < 0 || atPredict < 0 {
				return fmt.Errorf("%s has no columns real and predict", path)
			}
			for i, name := range fields {
				if i != atReal && i != atPredict {
					dims, in.Dims = append(dims, i), append(in.Dims, name)
				}
			}
			return nil
		}
		if len(fields) != len(in.Dims)+2 {
			return fmt.Errorf("line %d has %d fields", line, len(fields))
		}
		o, err1 := strconv.ParseFloat(fields[atReal], 64)
		e, err2 := strconv.ParseFloat(fields[atPredict], 64)
		if err := errors.Join(err1, err2); err != nil {
			return fmt.Errorf("line %d: %w", line, err)
		}
		leaf := make([]string, 0, len(dims))
		for _, i := range dims {
			leaf = append(leaf, strings.Clone(fields[i]))
		}
		in.Leaves, in.Observed, in.Expected = append(in.Leaves, leaf), append(in.Observed, o), append(in.Expected, e)
		return nil
	})
	return in, err
}

// Print writes the report as a table.
func (r Report) Print(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(tw, "set\tcases\tF1\tprecision\trecall\tcases without fault\tms a case\tslowest")
	for _, s := range append(slices.Clone(r.Sets), r.Score) {
		fmt.Fprintf(tw, "%s\t%d\t%.3f\t%.3f\t%.3f\t%.0f %%\t%.0f\t%.0f\n", s.Set, s.Cases, s.F1, s.Precision, s.Recall, 100*s.Exact, 1000*s.Seconds, 1000*s.Slowest)
	}
	for _, x := range r.Refused {
		fmt.Fprintf(tw, "refused: %s\n", x)
	}
	return tw.Flush()
}
