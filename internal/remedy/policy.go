package remedy

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/norn-aiops/norn/internal/graph"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// Freeze is a span of time in which nothing begins.
type Freeze struct {
	Name     string
	From, To time.Time
}

// Policy is what holds for all actions.
type Policy struct {
	PerHour  int // automatic actions at most; 0: none
	Freezes  []Freeze
	Approval time.Duration // how long a request for approval lives
	Least    float64       // confidence in the cause that an automatic action needs
}

// Begin says why a run must not begin now, nil when it may. recent are the runs
// of the last hour and all that are not over; stopped is the state of the stop
// switch.
func (p *Policy) Begin(r *ops.Run, recent []ops.Run, stopped bool, now int64) error {
	if stopped {
		return refuse("all remedies are stopped (norn remedy resume)")
	}
	for _, f := range p.Freezes {
		if now >= f.From.UnixMilli() && now < f.To.UnixMilli() {
			return refuse("freeze %q lasts until %s", f.Name, f.To.UTC().Format(time.RFC3339))
		}
	}
	automatic := 0
	for i := range recent {
		o := &recent[i]
		if o.ID == r.ID || len(o.Steps) == 0 {
			continue
		}
		if !o.State.Over() && o.Scope == r.Scope {
			return refuse("run %s is at work on %s; one at a time", o.ID, r.Scope)
		}
		if o.Automatic && o.Steps[0].From > now-time.Hour.Milliseconds() {
			automatic++
		}
	}
	if r.Automatic && automatic >= p.PerHour {
		return refuse("the budget of %d automatic actions an hour is used up", p.PerHour)
	}
	return nil
}

// Approve adds a yes to a run. The digest must be that of the run as it is: a
// yes to something else, a late one, a second one of the same person, and the
// requester's own where two people are asked for are refused.
func (p *Policy) Approve(r *ops.Run, who, digest string, now int64) error {
	switch {
	case r.State != ops.RunWaiting:
		return refuse("run %s is %s: it waits for no approval", r.ID, r.State)
	case now >= r.Expires:
		return refuse("the request for approval of run %s ended at %s; ask again", r.ID, time.UnixMilli(r.Expires).UTC().Format(time.RFC3339))
	case strings.TrimSpace(who) == "":
		return refuse("an approval needs a name")
	case digest != r.Digest || digest != Digest(r):
		return refuse("the approval is for something else: the run's digest is %.12s", r.Digest)
	case slices.ContainsFunc(r.Approvals, func(a ops.Approval) bool { return sameName(a.Who, who) }):
		return refuse("%s has approved run %s already", who, r.ID)
	case r.Need > 1 && sameName(r.Who, who):
		return refuse("two people are needed, and %s asked for run %s", who, r.ID)
	}
	r.Approvals = append(r.Approvals, ops.Approval{Who: strings.TrimSpace(who), Time: now})
	if len(r.Approvals) >= r.Need {
		r.State = ops.RunReady
	}
	return nil
}

func sameName(a, b string) bool {
	return strings.EqualFold(strings.TrimSpace(a), strings.TrimSpace(b))
}

// Digest names what a run is to do, in hex: whatever of it changes changes the
// digest.
func Digest(r *ops.Run) string {
	// The marshalled types cannot fail: texts and a map of texts, which JSON sorts.
	raw, _ := json.Marshal([]any{r.ID, r.Incident, r.Action, r.Inputs, r.Scope, r.Plan})
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

// Radius says what depends on the target, over calls and placement.
func Radius(v *graph.View, target telemetry.Entity) ops.Blast {
	b := ops.Blast{Target: target, Direct: []telemetry.Entity{}, Indirect: []telemetry.Entity{}}
	if v == nil {
		b.Sentence = "the graph is not known"
		return b
	}
	seen := map[telemetry.Entity]bool{target: true}
	frontier := []telemetry.Entity{target}
	for hop := 0; len(frontier) > 0; hop++ {
		var next []telemetry.Entity
		for _, e := range frontier {
			for _, ed := range v.Dependents(e) {
				if seen[ed.From] {
					continue
				}
				seen[ed.From] = true
				next = append(next, ed.From)
				if hop == 0 {
					b.Direct = append(b.Direct, ed.From)
				} else {
					b.Indirect = append(b.Indirect, ed.From)
				}
			}
		}
		frontier = next
	}
	all := map[telemetry.Entity]bool{}
	for _, ed := range v.Edges() {
		for _, e := range []telemetry.Entity{ed.From, ed.To} {
			if e.Kind == telemetry.KindService {
				all[e] = true
			}
		}
	}
	for e := range seen {
		if e != target && e.Kind == telemetry.KindService {
			b.Services++
		}
	}
	if len(all) > 0 {
		b.Share = float64(b.Services) / float64(len(all))
	}
	b.Sentence = fmt.Sprintf("%d of %d services depend on %s, %d entities at once", b.Services, len(all), target.Name, len(b.Direct))
	return b
}

// Better compares the anomalies before a run with those now: whether all that
// were watched ended, and which new ones came on entities within the blast
// radius that were well before. began is when the run's step was done.
func Better(r *ops.Run, now []ops.Anomaly, began int64) (normal bool, worse []string) {
	normal = true
	within := map[telemetry.Entity]bool{r.Scope: true}
	for _, e := range append(slices.Clone(r.Blast.Direct), r.Blast.Indirect...) {
		within[e] = true
	}
	ill := map[telemetry.Entity]bool{}
	for i := range now {
		if slices.Contains(r.Before, now[i].ID) {
			ill[now[i].Entity] = true
		}
	}
	for i := range now {
		a := &now[i]
		if a.Ended != 0 {
			continue
		}
		if slices.Contains(r.Watched, a.ID) {
			normal = false
		} else if a.Onset >= began && within[a.Entity] && !ill[a.Entity] && !slices.Contains(r.Before, a.ID) {
			worse = append(worse, fmt.Sprintf("%s of %s", a.Series, a.Entity.Name))
		}
	}
	return normal, worse
}
