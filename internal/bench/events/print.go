package events

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Print writes the report as tables for people.
func (rep Report) Print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "set\tfiles\tevents\tvalues\t\n")
	for _, s := range rep.Sets {
		note := ""
		if !s.InMean {
			note = "not in the mean"
		}
		fmt.Fprintf(t, "  %s\t%d\t%d\t%d\t%s\n", s.Name, s.Files, s.Events, s.Values, note)
	}
	if len(rep.Missing) > 0 {
		fmt.Fprintf(t, "not there: %s\n", strings.Join(rep.Missing, ", "))
	}
	rep.Refused.print(t)
	fmt.Fprintf(t, "\nevent F1, no point adjustment, one threshold for all sets\n")
	rep.line(t, "detector\tthreshold\tmean", func(s SetInfo) string { return s.Name })
	for _, r := range rep.Rows {
		rep.line(t, fmt.Sprintf("%s\t%.4g\t%.3f", r.Detector, r.Threshold, r.MeanF1), func(s SetInfo) string { return fmt.Sprintf("%.3f", r.PerSet[s.Name].F1) })
	}
	fmt.Fprintf(t, "\nprecision / recall / false alarms per 10,000 values\n")
	for _, r := range rep.Rows {
		rep.line(t, r.Detector+"\t\t", func(s SetInfo) string {
			x := r.PerSet[s.Name]
			return fmt.Sprintf("%.2f/%.2f/%.1f", x.Precision, x.Recall, x.FalsePer10k)
		})
	}
	if rep.Rows[0].LeftOutMean > 0 {
		fmt.Fprintf(t, "\nF1 of each set at the threshold, for norn by the rules, that are best on the other sets\n")
		for _, r := range rep.Rows {
			rep.line(t, fmt.Sprintf("%s\t\t%.3f", r.Detector, r.LeftOutMean), func(s SetInfo) string {
				if v, ok := r.LeftOut[s.Name]; ok {
					return fmt.Sprintf("%.3f", v)
				}
				return "-"
			})
		}
	}
	fmt.Fprintf(t, "\nagainst the best other mean (%s)\t%+.3f\n", rep.BestOther, rep.Margin)
	if rep.WorstSet != "" {
		fmt.Fprintf(t, "behind the best other on a set, at most\t%+.3f (%s)\n", rep.WorstBehind, rep.WorstSet)
	}
	rep.printFiles(t)
	fmt.Fprintf(t, "ns a point (processor time):")
	for _, r := range rep.Rows {
		if r.NsPerPoint == 0 {
			continue
		}
		fmt.Fprintf(t, " %s %.0f;", r.Detector, r.NsPerPoint)
	}
	fmt.Fprintln(t)
	return t.Flush()
}

// mostFiles bounds how many files are printed; JSON has all.
const mostFiles = 100

// printFiles writes what each file of a folder gave.
func (rep Report) printFiles(w io.Writer) {
	if len(rep.Files) == 0 {
		return
	}
	fmt.Fprintf(w, "\nfile\tevents\tfound\tfalse\tprecision\trecall\tper 10,000\tF1")
	for _, r := range rep.Rows[1:] {
		fmt.Fprintf(w, "\t%s", r.Detector)
	}
	fmt.Fprintln(w)
	for i, f := range rep.Files {
		if i == mostFiles {
			fmt.Fprintf(w, "  and %d files more (-o json has all)\n", len(rep.Files)-i)
			break
		}
		fmt.Fprintf(w, "  %s\t%d\t%d\t%d\t%.2f\t%.2f\t%.1f\t%.3f", f.File, f.Events, f.Found, f.FalseAlarms, f.Precision, f.Recall, f.FalsePer10k, f.F1)
		for _, r := range rep.Rows[1:] {
			fmt.Fprintf(w, "\t%.3f", f.Others[r.Detector].F1)
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintf(w, "  mean of files with events\t\t\t\t\t\t\t%.3f", rep.FileMeanF1[rep.Rows[0].Detector])
	for _, r := range rep.Rows[1:] {
		fmt.Fprintf(w, "\t%.3f", rep.FileMeanF1[r.Detector])
	}
	fmt.Fprint(w, "\n\n")
}

// line writes a first cell and one for every set.
func (rep Report) line(w io.Writer, head string, cell func(SetInfo) string) {
	fmt.Fprint(w, "  ", head)
	for _, s := range rep.Sets {
		fmt.Fprint(w, "\t", cell(s))
	}
	fmt.Fprintln(w)
}
