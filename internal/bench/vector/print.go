package vector

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// Print writes the report as tables for people.
func (rep Report) Print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "%s: %d recordings, strictly causal, no point adjustment\n\n", rep.Set, len(rep.Entities))
	fmt.Fprintf(t, "mean of recordings\tAUC-PR\tVUS-PR\tbest F1\tevent F1\tevent recall\n")
	for _, r := range rep.Means {
		fmt.Fprintf(t, "%s\t%.3f\t%.3f\t%.3f\t%.3f\t%.3f\n", r.Name, r.AUCPR, r.VUSPR, r.BestF1, r.EventF1, r.EventRecall)
	}
	fmt.Fprintf(t, "\nrecording\tAUC-PR\tPCA\tevent F1\tmax |z|\tblame 100/150\tnetwork\tfalse/day\trecall\n")
	for _, e := range rep.Entities {
		own, pca, z := e.row(nornName), e.row(pcaName), e.row(maxZName)
		blame, net := "-", "no"
		if e.Blame100 != nil {
			blame = fmt.Sprintf("%.2f/%.2f", *e.Blame100, *e.Blame150)
		}
		if e.Neural {
			net = "yes"
		}
		if e.NeuralT != 0 {
			net += fmt.Sprintf(" (t %.1f)", e.NeuralT)
		}
		fmt.Fprintf(t, "%s\t%.3f\t%.3f\t%.3f\t%.3f\t%s\t%s\t%.2f\t%.2f\n", e.Name, own.AUCPR, pca.AUCPR, own.EventF1, z.EventF1, blame, net, e.FalsePerDay, e.Recall)
	}
	fmt.Fprintf(t, "\nAUC-PR over PCA's\t%.2f\n", rep.OverPCA)
	if rep.Blame100 != nil {
		fmt.Fprintf(t, "blame recall at 100 %% / 150 %%\t%.3f / %.3f (%d recordings)\n", *rep.Blame100, *rep.Blame150, rep.BlameLabels)
	} else {
		fmt.Fprintf(t, "blame recall\t- (no metrics to blame are labelled: neither columns \"interpretation...\" nor interpretation_label/)\n")
	}
	fmt.Fprintf(t, "network chosen on\t%d of %d\n", rep.NeuralChosen, len(rep.Entities))
	fmt.Fprintf(t, "event F1 at %g a day (threshold with labels)\tNorn %.3f, max |z| %.3f\n", rep.Budget, rep.EventF1, rep.MaxZEventF1)
	fmt.Fprintf(t, "false alarms a day asked %g (threshold from the part to learn from)\tmean %.2f, median %.2f, event recall %.2f\n", rep.Budget, rep.FalsePerDayMean, rep.FalsePerDayMedian, rep.RecallAtBudget)
	fmt.Fprintf(t, "judging and learning, refits included, without the network\t%.1f us a row of CPU time\n", rep.NsPerRow/1000)
	fmt.Fprintf(t, "state\t%.0f KiB an entity\n", rep.BytesPerEntity/1024)
	return t.Flush()
}

func (e Entity) row(name string) Row {
	for _, r := range e.Rows {
		if r.Name == name {
			return r
		}
	}
	return Row{}
}
