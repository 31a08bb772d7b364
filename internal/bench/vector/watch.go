package vector

import (
	"context"

	"github.com/norn-aiops/norn/internal/detect/joint"
)

// Names of scorers.
const (
	nornName   = "Norn"
	linearName = "Norn, no network"
	maxZName   = "max |z|"
	pcaName    = "PCA-90, 10-row mean"
)

// seed of networks and trees.
const seed = 1

// watch lets Norn's models read a recording and fills the figures that are not
// rows of the table.
func watch(ctx context.Context, e entity, o Options, out *Entity) ([]scoring, error) {
	plain, err := follow(ctx, e, joint.Config{Columns: e.columns, Seed: seed}, nil)
	if err != nil {
		return nil, err
	}
	lead := plain
	all := []scoring{{linearName, plain.score}, {"  autoregression", plain.member[joint.MemberLinear]},
		{"  axes", plain.member[joint.MemberAxes]}, {"  graph", plain.member[joint.MemberGraph]}, {"  spike", plain.member[joint.MemberSpike]}}
	if !o.Quick {
		auto, err := follow(ctx, e, joint.Config{Columns: e.columns, Seed: seed, Neural: joint.NeuralAuto}, out)
		if err != nil {
			return nil, err
		}
		lead = auto
		always, err := follow(ctx, e, joint.Config{Columns: e.columns, Seed: seed, Neural: joint.NeuralAlways, Forest: true}, nil)
		if err != nil {
			return nil, err
		}
		all = append(all, scoring{"  network, wherever", always.member[joint.MemberNeural]}, scoring{"  trees", always.member[joint.MemberForest]})
	}
	out.bytes = lead.bytes
	if len(e.blame) > 0 {
		all, more := blameRecall(lead.blame, e.blame, 1), blameRecall(lead.blame, e.blame, 1.5)
		out.Blame100, out.Blame150 = &all, &more
	}
	at := eventsAbove(lead.score, e.label, e.pace, budgetThreshold(lead.quiet, e.pace, o.Budget))
	out.FalsePerDay, out.Recall = at.falsePerDay, at.recall
	return append([]scoring{{nornName, lead.score}}, all...), nil
}

// watched is what a model said.
type watched struct {
	score  []float64            // of the rows to judge
	quiet  []float64            // of the second half of the rows to learn from
	member map[string][]float64 // surprise of each member on the rows to judge
	blame  [][]float32          // by row to judge and column
	bytes  int
}

// follow lets one model read a recording, row by row. Training that is due is
// done before the next row.
func follow(ctx context.Context, e entity, cfg joint.Config, out *Entity) (*watched, error) {
	m := joint.New(cfg)
	w := &watched{member: map[string][]float64{}}
	t := int64(0)
	for i, x := range e.train {
		t += e.step
		v, _ := m.Observe(t, x)
		if i >= len(e.train)/2 {
			w.quiet = append(w.quiet, v.Score)
		}
		for m.Train(100) {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
		}
	}
	if out != nil {
		c := m.Choice()
		out.Neural, out.NeuralT = c.Member == joint.MemberNeural, c.T
	}
	var blame []float64
	for i, x := range e.test {
		if i%1024 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		t += e.step
		v, _ := m.Observe(t, x)
		for m.Train(100) {
		}
		w.score = append(w.score, v.Score)
		for _, s := range m.Members() {
			w.member[s.Name] = append(w.member[s.Name], s.Surprise)
		}
		blame = m.BlameNow(blame)
		row := make([]float32, len(blame))
		for j, b := range blame {
			row[j] = float32(b)
		}
		w.blame = append(w.blame, row)
	}
	w.bytes = m.Bytes()
	return w, nil
}
