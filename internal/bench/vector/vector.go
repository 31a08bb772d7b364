// Package vector scores joint detection over many metrics on public
// recordings: the Server Machine Dataset and the Skoltech Anomaly Benchmark.
//
// It exists to prove the detector of package joint by figures that anyone can
// check, beside rulers computed in the same run on the same rows. Each
// recording is read strictly causally by the code that production runs: the
// part to learn from row by row, then the part to judge row by row, with no
// threshold and no setting of its own. It does not tune anything. Point
// adjustment, by which even random scores look good, is not used. Runs keep no
// state and are safe for concurrent use; the main type is [Report].
package vector

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"syscall"

	"github.com/norn-aiops/norn/internal/detect/joint"
	"github.com/norn-aiops/norn/internal/stats"
)

// Options steer a run. The zero value is the full run.
type Options struct {
	Quick    bool                  // no network and no trees: rulers and the linear members only
	Progress func(done, total int) // called after every recording, from one goroutine at a time; may be nil
	Budget   float64               // false alarms a day asked for; 0 means 1
}

// Row is what one scorer reaches on one recording, or the mean over all.
type Row struct {
	Name        string  `json:"name"`
	AUCPR       float64 `json:"auc_pr"`
	VUSPR       float64 `json:"vus_pr"`
	BestF1      float64 `json:"best_f1"`
	EventF1     float64 `json:"event_f1"`     // at the budget, threshold chosen with the labels
	EventRecall float64 `json:"event_recall"` // there
}

// Entity is one recording.
type Entity struct {
	Name        string   `json:"name"`
	Rows        []Row    `json:"scorers"`
	Blame100    *float64 `json:"blame_recall"` // null: no metrics to blame are known
	Blame150    *float64 `json:"blame_recall_150"`
	Neural      bool     `json:"neural_chosen"` // at the end of the part to learn from
	NeuralT     float64  `json:"neural_t"`      // of the contest that decided it
	FalsePerDay float64  `json:"false_per_day"` // threshold from the part to learn from
	Recall      float64  `json:"recall"`        // of events, there
	bytes       int
}

// Report is the outcome. The first figures are Norn's means over recordings;
// event figures are at Budget false alarms a day.
type Report struct {
	Set               string   `json:"set"`
	AUCPR             float64  `json:"auc_pr"`
	VUSPR             float64  `json:"vus_pr"`
	BestF1            float64  `json:"best_f1"`
	EventF1           float64  `json:"event_f1"`
	Blame100          *float64 `json:"blame_recall"` // null: of no recording are the metrics to blame known
	Blame150          *float64 `json:"blame_recall_150"`
	BlameLabels       int      `json:"blame_labels"` // recordings of which they are
	PCA               float64  `json:"pca_auc_pr"`   // 90 % of the variance, 10-row mean
	OverPCA           float64  `json:"auc_pr_over_pca"`
	MaxZEventF1       float64  `json:"max_z_event_f1"`
	NeuralChosen      int      `json:"neural_chosen"` // recordings
	NsPerRow          float64  `json:"ns_per_row"`    // CPU time of judging and learning, refits included, without a network
	BytesPerEntity    float64  `json:"bytes_per_entity"`
	Budget            float64  `json:"budget_per_day"`
	FalsePerDayMean   float64  `json:"false_per_day_mean"` // threshold from the part to learn from
	FalsePerDayMedian float64  `json:"false_per_day_median"`
	RecallAtBudget    float64  `json:"recall_at_budget"`
	Means             []Row    `json:"means"`
	Entities          []Entity `json:"entities"`
}

// SMD scores the machines of the Server Machine Dataset below dir:
// NAME_train.csv(.gz) and NAME_test.csv(.gz), the latter with a column
// "label". The metrics to blame come from columns "interpretation..." after it
// or from interpretation_label/NAME.txt; without either, blame is left out.
func SMD(ctx context.Context, dir string, o Options) (Report, error) {
	names, err := machines(dir)
	if err != nil {
		return Report{}, err
	}
	return run(ctx, "smd", len(names), o, func(i int) (entity, error) { return loadMachine(dir, names[i]) })
}

// SKAB scores the recordings of the Skoltech Anomaly Benchmark below dir.
func SKAB(ctx context.Context, dir string, o Options) (Report, error) {
	all, err := loadSKAB(dir)
	if err != nil {
		return Report{}, err
	}
	return run(ctx, "skab", len(all), o, func(i int) (entity, error) { return all[i], nil })
}

// run scores n recordings, as many at a time as there are processors.
func run(ctx context.Context, set string, n int, o Options, load func(int) (entity, error)) (Report, error) {
	if o.Budget <= 0 {
		o.Budget = 1
	}
	rep := Report{Set: set, Budget: o.Budget, Entities: make([]Entity, n)}
	var (
		mu    sync.Mutex
		first error
		done  int
		group sync.WaitGroup
	)
	slots := make(chan struct{}, max(1, runtime.GOMAXPROCS(0)))
	for i := range n {
		group.Add(1)
		slots <- struct{}{}
		go func() {
			defer func() { <-slots; group.Done() }()
			e, err := load(i)
			if err == nil {
				rep.Entities[i], err = measure(ctx, e, o)
			}
			mu.Lock()
			defer mu.Unlock()
			if first == nil && err != nil {
				first = fmt.Errorf("score recording %d of %s: %w", i+1, set, err)
			}
			if done++; o.Progress != nil {
				o.Progress(done, n)
			}
		}()
	}
	group.Wait()
	if first != nil {
		return Report{}, first
	}
	rep.sum()
	var err error
	rep.NsPerRow, err = price(load)
	return rep, err
}

// price measures the CPU time of a row of the first recording, alone.
func price(load func(int) (entity, error)) (float64, error) {
	e, err := load(0)
	if err != nil {
		return 0, err
	}
	m, t := joint.New(joint.Config{Columns: e.columns}), int64(0)
	for _, x := range e.train {
		t += e.step
		m.Observe(t, x)
	}
	start := cpuSeconds()
	for _, x := range e.test {
		t += e.step
		m.Observe(t, x)
	}
	return 1e9 * (cpuSeconds() - start) / float64(max(1, len(e.test))), nil
}

// cpuSeconds is the user and system time of this process.
func cpuSeconds() float64 {
	var ru syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &ru); err != nil {
		return math.NaN()
	}
	return float64(ru.Utime.Sec+ru.Stime.Sec) + float64(ru.Utime.Usec+ru.Stime.Usec)/1e6
}

// scoring is one scorer's scores on the test rows.
type scoring struct {
	name  string
	score []float64
}

// measure runs all scorers on one recording.
func measure(ctx context.Context, e entity, o Options) (Entity, error) {
	out := Entity{Name: e.name}
	pca, err := pcaResidual(e)
	if err != nil {
		return out, err
	}
	all := []scoring{
		{maxZName, maxZ(e)}, {"PCA-90 residual", pca}, {pcaName, trailingMean(pca, 10)},
	}
	own, err := watch(ctx, e, o, &out)
	if err != nil {
		return out, err
	}
	for _, s := range append(own, all...) {
		r := Row{Name: s.name, VUSPR: vusPR(s.score, e.label, e.vus)}
		r.AUCPR, r.BestF1 = precisionRecall(s.score, e.label)
		ev := eventsAtBudget(s.score, e.label, e.pace, o.Budget)
		r.EventF1, r.EventRecall = ev.f1, ev.recall
		out.Rows = append(out.Rows, r)
	}
	return out, nil
}

// sum works out the means.
func (rep *Report) sum() {
	k := 1 / float64(len(rep.Entities))
	byName := map[string]int{}
	blamed, part100, part150 := 0., 0., 0.
	var alarms []float64
	for _, e := range rep.Entities {
		for _, r := range e.Rows {
			at, ok := byName[r.Name]
			if !ok {
				at = len(rep.Means)
				byName[r.Name] = at
				rep.Means = append(rep.Means, Row{Name: r.Name})
			}
			m := &rep.Means[at]
			m.AUCPR, m.VUSPR, m.BestF1 = m.AUCPR+k*r.AUCPR, m.VUSPR+k*r.VUSPR, m.BestF1+k*r.BestF1
			m.EventF1, m.EventRecall = m.EventF1+k*r.EventF1, m.EventRecall+k*r.EventRecall
		}
		if e.Blame100 != nil {
			blamed, part100, part150 = blamed+1, part100+*e.Blame100, part150+*e.Blame150
		}
		if e.Neural {
			rep.NeuralChosen++
		}
		alarms = append(alarms, e.FalsePerDay)
		rep.FalsePerDayMean += k * e.FalsePerDay
		rep.RecallAtBudget += k * e.Recall
		rep.BytesPerEntity += k * float64(e.bytes)
	}
	rep.FalsePerDayMedian = stats.Median(alarms)
	if blamed > 0 {
		part100, part150 = part100/blamed, part150/blamed
		rep.Blame100, rep.Blame150, rep.BlameLabels = &part100, &part150, int(blamed)
	}
	own := rep.mean(nornName)
	rep.AUCPR, rep.VUSPR, rep.BestF1, rep.EventF1 = own.AUCPR, own.VUSPR, own.BestF1, own.EventF1
	rep.PCA, rep.MaxZEventF1 = rep.mean(pcaName).AUCPR, rep.mean(maxZName).EventF1
	if rep.PCA > 0 {
		rep.OverPCA = rep.AUCPR / rep.PCA
	}
}

func (rep *Report) mean(name string) Row {
	i := slices.IndexFunc(rep.Means, func(r Row) bool { return r.Name == name })
	if i < 0 {
		return Row{}
	}
	return rep.Means[i]
}

// blameRecall ranks the metrics by their mean blame over each segment and
// gives the share of the true ones among the first n, where n is part times
// their number, rounded down; the mean over segments.
func blameRecall(blame [][]float32, truths []truth, part float64) float64 {
	sum, count := 0., 0.
	for _, g := range truths {
		if len(g.metrics) == 0 || g.from < 0 || g.to >= len(blame) || g.to < g.from {
			continue
		}
		mean := make([]float64, len(blame[g.from]))
		for i := g.from; i <= g.to; i++ {
			for j, b := range blame[i] {
				mean[j] += float64(b)
			}
		}
		top := descending(mean)
		top = top[:min(len(top), int(math.Floor(part*float64(len(g.metrics)))))]
		hit := 0.
		for _, m := range g.metrics {
			if slices.Contains(top, m) {
				hit++
			}
		}
		sum += hit / float64(len(g.metrics))
		count++
	}
	if count == 0 {
		return 0
	}
	return sum / count
}
