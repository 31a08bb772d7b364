package remedy

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/norn-aiops/norn/internal/ops"
)

// least is the fit below which a runbook is not worth a reader's time.
const least = 0.3

// credible is the mass outside of the interval of a success rate.
const credible = 0.10

// Fingerprint names what makes incidents similar for remedies: the kind of the
// root, the signal and the kinds of anomaly it shows. "" without a root.
func Fingerprint(in *ops.Incident) string {
	root := rootOf(in)
	if root == nil {
		return ""
	}
	kinds := map[string]bool{}
	for i := range in.Anomalies {
		if in.Anomalies[i].Entity == root.Entity {
			kinds[in.Anomalies[i].Family()] = true
		}
	}
	return strings.Join([]string{string(root.Entity.Kind), string(root.Signal), strings.Join(slices.Sorted(maps.Keys(kinds)), "+")}, "/")
}

// similarity of two fingerprints, 0..1: the kind of root and the signal must be
// the same; what is left is the share of families they have in common.
func similarity(a, b string) float64 {
	x, y := strings.SplitN(a, "/", 3), strings.SplitN(b, "/", 3)
	if len(x) != 3 || len(y) != 3 || x[0] != y[0] || x[1] != y[1] {
		return 0
	}
	in, all := 0, map[string]bool{}
	for f := range strings.SplitSeq(x[2], "+") {
		all[f] = true
		if slices.Contains(strings.Split(y[2], "+"), f) {
			in++
		}
	}
	for f := range strings.SplitSeq(y[2], "+") {
		all[f] = true
	}
	return float64(in) / float64(len(all))
}

func rootOf(in *ops.Incident) *ops.Cause {
	for i := range in.Causes {
		if in.Causes[i].Role == ops.RoleRoot {
			return &in.Causes[i]
		}
	}
	return nil
}

// Recommend ranks the runbooks that fit the incident, at most n, the best
// first. past is the ledger: entries that tell how a remedy ended count when
// their incident was similar. Without a root cause there is nothing to
// recommend.
func (l *Library) Recommend(in *ops.Incident, past []ops.LedgerEntry, n int) []ops.Remedy {
	root := rootOf(in)
	if root == nil {
		return nil
	}
	f, print := facts(in, root), Fingerprint(in)
	words := incidentTexts(in, root)
	var out []ops.Remedy
	for i := range l.books {
		b := &l.books[i]
		why, fit := l.fit(b, in, root, words)
		if fit < least {
			continue
		}
		r := b.remedy(f)
		r.Fit, r.Why, r.Target = fit, why, root.Entity
		r.Track = track(b.ID, print, past)
		caution := map[string]float64{"low": 1, "medium": 0.9, "high": 0.75}[b.Risk]
		r.Score = fit * caution * r.Track.Mean * 2 / (1 + r.Track.Mean) // untried (mean 1/2): two thirds
		out = append(out, r)
	}
	slices.SortStableFunc(out, func(a, b ops.Remedy) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(a.ID, b.ID))
	})
	return out[:min(n, len(out))]
}

// fit weighs the criteria that match: their weights are independent grounds.
// A criterion that is given and does not match takes a third away.
func (l *Library) fit(b *Runbook, in *ops.Incident, root *ops.Cause, words []where) ([]ops.Reason, float64) {
	var why []ops.Reason
	matched := map[string]bool{}
	against := 1.0
	say := func(name string, weight float64, text string) {
		switch {
		case text != "":
			matched[name] = true
			why = append(why, ops.Reason{Name: name, Text: text, Weight: weight})
		case len(b.Match.list(name)) > 0:
			against *= 2.0 / 3
		}
	}
	word, weight := l.wordReason(b, root, words)
	say("words", weight, word)
	say("changes", 0.6, changeReason(b, in, root))
	say("signals", 0.35, signalReason(b, root))
	say("anomalies", 0.3, anomalyReason(b, in, root))
	if slices.Contains(b.Match.Entities, string(root.Entity.Kind)) {
		say("entities", 0.15, fmt.Sprintf("the root cause %s is a %s", root.Entity.Name, root.Entity.Kind))
	} else {
		say("entities", 0, "")
	}
	for _, n := range b.Match.Need {
		if !matched[n] {
			return nil, 0
		}
	}
	miss := 1.0
	for _, r := range why {
		miss *= 1 - r.Weight
	}
	if b.Fallback {
		against *= 0.55
	}
	slices.SortStableFunc(why, func(a, b ops.Reason) int { return cmp.Compare(b.Weight, a.Weight) })
	return why, (1 - miss) * against
}

func (l *Library) wordReason(b *Runbook, root *ops.Cause, words []where) (string, float64) {
	re := l.words[b.ID]
	if re == nil {
		return "", 0
	}
	for _, w := range words {
		hit := re.FindString(spaced(w.text))
		if hit == "" {
			continue
		}
		if w.entity == root.Entity {
			return fmt.Sprintf("the %s %q of the root cause speaks of %q", w.what, short(w.text), hit), 0.7
		}
		return fmt.Sprintf("the %s %q of %s speaks of %q", w.what, short(w.text), w.entity.Name, hit), 0.5
	}
	return "", 0
}

// spaced is a text in lower case with the separators of identifiers as spaces.
func spaced(s string) string {
	return strings.ToLower(strings.NewReplacer("_", " ", ".", " ", "-", " ", "/", " ").Replace(s))
}

func short(s string) string {
	if r := []rune(s); len(r) > 80 {
		return string(r[:79]) + "…"
	}
	return s
}

func changeReason(b *Runbook, in *ops.Incident, root *ops.Cause) string {
	for _, c := range root.Changes {
		if slices.Contains(b.Match.Changes, string(c.Kind)) {
			return fmt.Sprintf("%s %q on %s came before the trouble", c.Kind, short(c.Title), c.Entity.Name)
		}
	}
	for _, c := range in.Changes {
		if slices.Contains(b.Match.Changes, string(c.Kind)) && c.Entity == root.Entity && c.Time <= in.Onset {
			return fmt.Sprintf("%s %q on the root cause came before the trouble", c.Kind, short(c.Title))
		}
	}
	return ""
}

func signalReason(b *Runbook, root *ops.Cause) string {
	if slices.Contains(b.Match.Signals, string(root.Signal)) {
		return fmt.Sprintf("its strongest evidence is %s", root.Signal)
	}
	for _, e := range root.Evidence {
		if slices.Contains(b.Match.Signals, string(e.Signal)) {
			return fmt.Sprintf("there is evidence in its %s: %s", e.Signal, short(e.Series))
		}
	}
	return ""
}

func anomalyReason(b *Runbook, in *ops.Incident, root *ops.Cause) string {
	for i := range in.Anomalies {
		a := &in.Anomalies[i]
		if a.Entity == root.Entity && slices.Contains(b.Match.Anomalies, string(a.Kind)) {
			return fmt.Sprintf("it shows a %s in %q", strings.ReplaceAll(string(a.Kind), "_", " "), short(a.Series))
		}
	}
	return ""
}

func (b *Runbook) remedy(f map[string]string) ops.Remedy {
	missing := map[string]bool{}
	r := ops.Remedy{ID: b.ID, Fault: b.Fault, Risk: b.Risk, Level: ops.AutonomySuggest,
		Title: fill(b.Title, f, nil), Effect: fill(b.Effect, f, nil), Danger: fill(b.Danger, f, nil), Verify: fill(b.Verify, f, nil)}
	for _, s := range b.Steps {
		r.Steps = append(r.Steps, fill(s, f, missing))
	}
	if b.Does.Action != "" {
		r.Action, r.Inputs = b.Does.Action, map[string]string{}
		for k, v := range b.Does.Inputs {
			// An input is data, not a command line: it is taken as it is.
			r.Inputs[k] = placeholder.ReplaceAllStringFunc(v, func(p string) string { return f[p[1:len(p)-1]] })
		}
	}
	r.Missing = slices.Sorted(maps.Keys(missing))
	if r.Missing == nil {
		r.Missing = []string{}
	}
	return r
}

// track counts how the runbook ended in similar incidents of the ledger. The
// success rate has a Beta(1+worked, 1+failed) posterior (uniform prior).
func track(id, print string, past []ops.LedgerEntry) ops.Track {
	t := ops.Track{Similar: "incidents whose root is of the same kind, with the same signal and at least half of the families of anomaly"}
	var times []int64
	for i := range past {
		e := &past[i]
		if e.Runbook != id || e.Worked == nil || similarity(print, e.Similar) < 0.5 {
			continue
		}
		t.Tried++
		t.LastRun = max(t.LastRun, e.Time)
		if *e.Worked {
			t.Worked++
			if e.Took > 0 {
				times = append(times, e.Took)
			}
		}
	}
	beta := distuv.Beta{Alpha: 1 + float64(t.Worked), Beta: 1 + float64(t.Tried-t.Worked)}
	t.Mean, t.Low, t.High = beta.Mean(), beta.Quantile(credible/2), beta.Quantile(1-credible/2)
	if len(times) > 0 {
		slices.Sort(times)
		t.Recover = times[len(times)/2]
	}
	return t
}
