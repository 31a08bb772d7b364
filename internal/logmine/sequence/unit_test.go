package sequence_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/norn-aiops/norn/internal/logmine/sequence"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// jobs writes the lines of jobs that each log steps 1 to 5 in order, sometimes
// with a retry, to a model; key says how a job is told apart.
type jobs struct {
	m      *sequence.Model
	rng    *rand.Rand
	key    func(n int) telemetry.LogRecord
	n      int
	raised []ops.Anomaly
}

func (j *jobs) run(from, seconds int64, steps func() []uint64) {
	for t := from; t < from+seconds; t++ {
		if j.rng.IntN(2) == 0 {
			j.n++
			for i, s := range steps() {
				rec := j.key(j.n)
				rec.Entity = telemetry.Entity{Kind: telemetry.KindService, Name: "worker"}
				rec.Time = t*1e9 + int64(i)*1e7
				j.m.Add(&rec, s)
			}
		}
		j.raised = append(j.raised, j.m.Tick(t*1000)...)
	}
}

func (j *jobs) usual() []uint64 {
	if j.rng.IntN(4) == 0 {
		return []uint64{1, 2, 3, 6, 3, 4, 5}
	}
	return []uint64{1, 2, 3, 4, 5}
}

// Neither a session nor a process with unusual work says anything as long as
// that is as seldom as ever; steps that are left out in many of them do.
func TestWorkOutOfOrderIsNoticedBySessionAndByProcess(t *testing.T) {
	const seed = 5
	for name, key := range map[string]func(n int) telemetry.LogRecord{
		"session": func(n int) telemetry.LogRecord {
			return telemetry.LogRecord{Attributes: []telemetry.Attr{{Key: "session.id", Value: fmt.Sprint("s", n)}}}
		},
		"process": func(int) telemetry.LogRecord {
			return telemetry.LogRecord{Instance: telemetry.Entity{Kind: telemetry.KindInstance, Name: "worker-1"}}
		},
	} {
		j := &jobs{m: sequence.New(sequence.Config{Text: func(id uint64) string { return fmt.Sprint("step ", id) }}), rng: rand.New(rand.NewPCG(seed, 1)), key: key}
		odd := func() []uint64 { // one in three hundred is odd from the beginning
			if j.rng.IntN(300) == 0 {
				return []uint64{1, 5, 2}
			}
			return j.usual()
		}
		j.run(1_000_000, 90*60, odd)
		if len(j.raised) != 0 {
			t.Errorf("%s, seed %d: raised in usual hours: %+v", name, seed, j.raised)
		}
		j.raised = nil
		j.run(1_000_000+90*60, 300, func() []uint64 {
			if j.rng.IntN(2) == 0 {
				return []uint64{1, 2, 5}
			}
			return j.usual()
		})
		if len(j.raised) == 0 {
			t.Fatalf("%s, seed %d: nothing is said of half the work being cut short", name, seed)
		}
		a := j.raised[len(j.raised)-1]
		if a.Kind != ops.AnomalySequence || !strings.Contains(a.Text, "“step 2”, then “step 5”") || !strings.Contains(a.Usual, "“step 2” is usually followed by “step 3”") || !strings.Contains(a.Query, "template:in(") {
			t.Errorf("%s: %+v", name, a)
		}
		j.run(1_000_000+90*60+300, 300, odd)
		if last := j.raised[len(j.raised)-1]; last.Ended == 0 {
			t.Errorf("%s: does not end: %+v", name, last)
		}
	}
}
