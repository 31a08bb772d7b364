package cause

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// bestEvidence is what speaks loudest for the entity's own part.
func (m *model) bestEvidence(n *node) *evidence {
	var best *evidence
	top := 0.0
	prefer := [nKinds]float64{kUp: 2, kLat: 1.05, kErr: 1.06, kNet: 1.04, kSelf: 1, kRes: 1, kLog: 1, kSeq: 1, kCalls: 1, kAlert: 1, kReq: 1, kOther: 1}
	for k, ev := range n.ev {
		if ev == nil {
			continue
		}
		v := prefer[k] * weight[k] * ev.a * n.imp[k]
		if k == int(kLat) || k == int(kErr) {
			v *= n.u[k]
		}
		if v > top {
			best, top = ev, v
		}
	}
	return best
}

func (ev *evidence) signal() telemetry.Signal {
	if ev.meta != nil {
		return ev.meta.Signal
	}
	switch ev.kind {
	case kUp:
		return telemetry.SignalUp
	case kLog, kSeq:
		return telemetry.SignalLogs
	}
	return telemetry.SignalOther
}

func (ev *evidence) unit() string {
	if ev.meta == nil || ev.kind == kCalls {
		return ""
	}
	if ev.kind == kLog && strings.HasSuffix(ev.meta.Unit, "/s") && ev.perRequest {
		return "{line}/request"
	}
	if ev.meta.Unit == "" && ev.kind == kLat {
		return "s"
	}
	if ev.meta.Unit == "" && ev.kind == kErr && ev.x <= 1 && ev.high <= 1 {
		return "1"
	}
	return ev.meta.Unit
}

// report turns evidence into what storage and console show.
func (ev *evidence) report() ops.Evidence {
	out := ops.Evidence{Entity: ev.entity, Signal: ev.signal(), Onset: ev.onset, Observed: finite(ev.x), Expected: finite(ev.med),
		Low: finite(ev.low), High: finite(ev.high), Z: finite(ev.z), Weight: ev.a, AnomalyID: ev.anomaly, Unit: ev.unit(), Text: upperFirst(ev.what(ev.entity))}
	if ev.meta != nil {
		out.Series, out.Expr = ev.meta.Name, ev.meta.Expr
	}
	out.Text += ev.where()
	if ev.scale > 1.05 {
		out.Text += fmt.Sprintf(" (expected for traffic ×%s)", human(ev.scale, ""))
	}
	return out
}

// where tells which part of the entity a series is of: operation, route, peer,
// instance, statistic.
func (ev *evidence) where() string {
	if ev.meta == nil {
		return ""
	}
	var parts []string
	for _, l := range [...]string{"operation", "http_route", "span_name", "db_operation_name"} {
		if v := ev.meta.Labels.Get(l); v != "" {
			parts = append(parts, shorten(v, 60))
			break
		}
	}
	if !ev.meta.Peer.IsZero() && ev.kind != kNet && ev.kind != kCalls {
		parts = append(parts, "calls to "+ev.meta.Peer.Name)
	}
	if !ev.meta.Instance.IsZero() {
		parts = append(parts, ev.meta.Instance.Name)
	}
	if q, err := strconv.ParseFloat(ev.stat, 64); err == nil && (ev.kind == kLat || ev.kind == kSelf) {
		parts = append(parts, "p"+human(100*q, ""))
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, ", ") + ")"
}

func finite(v float64) float64 { return clip(v, -1e300, 1e300) }

// what says in words what ev shows of e, without its name.
func (ev *evidence) what(e telemetry.Entity) string {
	now, then := human(ev.x, ev.unit()), human(ev.med, ev.unit())
	noun := "requests"
	switch e.Kind {
	case telemetry.KindDatabase:
		noun = "queries"
	case telemetry.KindQueue:
		noun = "messages"
	case telemetry.KindCache:
		noun = "operations"
	}
	switch ev.kind {
	case kLat:
		return fmt.Sprintf("%s take %s instead of %s", noun, now, then)
	case kSelf:
		return fmt.Sprintf("%s spend %s in it instead of %s", noun, now, then)
	case kErr:
		if ev.unit() == "1" {
			return fmt.Sprintf("%s of %s fail instead of %s", now, noun, then)
		}
		return fmt.Sprintf("%s failures/s instead of %s", human(ev.x, ""), human(ev.med, ""))
	case kNet:
		if ev.meta != nil && !ev.meta.Peer.IsZero() {
			return fmt.Sprintf("the network between %s and %s takes %s instead of %s", ev.meta.Entity.Name, ev.meta.Peer.Name, now, then)
		}
		return fmt.Sprintf("the network takes %s instead of %s", now, then)
	case kUp:
		return "stopped"
	case kAlert:
		return "another tool's alert: " + shorten(ev.text, 80)
	case kCalls:
		return fmt.Sprintf("%s calls a request to %s instead of %s", human(ev.x, ""), ev.meta.Peer.Name, human(ev.med, ""))
	case kOther:
		if ev.meta == nil && ev.text != "" {
			return "its metrics do not fit together: " + ev.text
		}
	case kSeq:
		return "the order of its log lines changed: " + ev.text
	case kLog:
		if ev.text != "" {
			return "new log line “" + shorten(ev.text, 80) + "”"
		}
		if ev.words != "" {
			return fmt.Sprintf("the log line “%s” comes %s instead of %s", shorten(ev.words, 80), now, then)
		}
		if ev.x < ev.med {
			return fmt.Sprintf("a usual log line comes %s instead of %s", now, then)
		}
		return fmt.Sprintf("logs %s instead of %s (%s)", now, then, logName(ev))
	}
	return fmt.Sprintf("%s at %s instead of %s", thing(ev), now, then)
}

func logName(ev *evidence) string {
	if ev.meta == nil {
		return "a new line"
	}
	if s := ev.meta.Labels.Get("severity"); s != "" {
		return s
	}
	if t := ev.meta.Labels.Get("template"); t != "" {
		return "template " + t
	}
	return ev.meta.Name
}

// thing names what a saturation series measures.
func thing(ev *evidence) string {
	if ev.meta == nil {
		return "it"
	}
	low := strings.ToLower(ev.meta.Name)
	if ev.meta.Unit == "s" && strings.Contains(low, "queue") {
		return "waiting time"
	}
	for _, t := range [...][2]string{{"cpu", "CPU"}, {"mem", "memory"}, {"heap", "heap memory"}, {"disk", "disk"}, {"queue", "queue length"}, {"connections", "connections in use"}, {"hit_ratio", "hit ratio"}, {"pool", "pool use"}, {"thread", "threads"}, {"fd", "open files"}, {"request", "traffic"}, {"calls", "traffic"}} {
		if strings.Contains(low, t[0]) {
			return t[1]
		}
	}
	return ev.meta.Name
}

// clause is the root's own statement: "orders-db: queries take 1.9 s instead
// of 20 ms since 10:31 UTC", with the saturation that goes with it.
func (m *model) clause(n *node, ev *evidence) string {
	if n.dark {
		return n.e.Name + ": nobody watches it, but its callers' trouble points there"
	}
	if ev == nil {
		return n.e.Name + ": no evidence of its own"
	}
	who := n.e.Name + ": "
	if !ev.instance.IsZero() && (ev.alone || ev.kind == kUp) {
		who += "instance " + ev.instance.Name + " "
		if ev.kind != kUp {
			who = strings.TrimSuffix(who, " ") + ": "
		}
	}
	text := who + ev.what(n.e) + " since " + clock(ev.onset)
	if fail := n.ev[kErr]; ev.kind == kUp && fail != nil && fail.a >= .5 {
		text += ", " + fail.what(n.e)
	}
	if res := n.ev[kRes]; res != nil && res != ev && res.a >= .9 && (ev.kind == kLat || ev.kind == kErr || ev.kind == kSelf) {
		text += ", with " + res.what(n.e)
	}
	if log := n.ev[kLog]; log != nil && log != ev && log.a >= .5 && log.text != "" {
		text += ", " + log.what(n.e)
	}
	return text
}

// sentence is one entity's line.
func (m *model) sentence(n *node, ev *evidence, roots []*node) string {
	switch {
	case n.newDep:
		return n.e.Name + " is new: it has no past to compare with."
	case n.role == ops.RoleRoot || n.dark:
		return m.clause(n, ev) + m.consequence(n) + m.changed(n) + "."
	case n.role == ops.RoleBystander:
		if ev == nil {
			return n.e.Name + ": not involved."
		}
		return m.clause(n, ev) + "; it does not explain the trouble."
	}
	loud := n.loudest()
	text := m.clause(n, loud)
	if len(n.explained) > 0 {
		text += fmt.Sprintf("; %s of it comes from %s", percent(n.explained[0].Share), n.explained[0].By.Name)
	} else if len(roots) > 0 {
		text += "; it depends on " + roots[0].e.Name
	}
	return text + "."
}

// loudest is the strongest latency or error evidence, explained or not.
func (n *node) loudest() *evidence {
	var best *evidence
	for _, ev := range n.ev {
		if ev != nil && ev.kind != kReq && (best == nil || better(ev, best)) {
			best = ev
		}
	}
	return best
}

// consequence follows the explanation from a root up to where users are:
// "; it explains 92 % of the delay of orders, which explains that of frontend".
func (m *model) consequence(root *node) string {
	text, cur := "", root
	seen := map[*node]bool{root: true}
	for range 4 {
		up, share := m.mostExplained(cur)
		if up == nil || seen[up] {
			break
		}
		seen[up] = true
		what := "delay"
		if up.ev[kErr] != nil && up.ev[kErr].a >= .5 && (up.ev[kLat] == nil || up.ev[kLat].a < .5) {
			what = "failures"
		}
		if text == "" {
			text = fmt.Sprintf("; it explains %s of the %s of %s", percent(share), what, up.e.Name)
		} else {
			text += ", which explains that of " + up.e.Name
		}
		cur = up
	}
	return text
}

// mostExplained is the dependent that n explains most.
func (m *model) mostExplained(n *node) (*node, float64) {
	var best *node
	share := 0.0
	for _, o := range m.nodes {
		for _, x := range o.explained {
			if x.By == n.e && x.Share > share+1e-9 {
				best, share = o, x.Share
			}
		}
	}
	if share < .2 {
		return nil, 0
	}
	return best, share
}

func (m *model) changed(n *node) string {
	if len(n.changes) == 0 {
		return ""
	}
	c := n.changes[len(n.changes)-1]
	ago := m.in.Onset - c.Time
	when := "just before"
	if ago >= 60_000 {
		when = human(float64(ago/60_000), "") + " min before"
	}
	if c.Time > m.in.Onset {
		when = "as it began"
	}
	return fmt.Sprintf("; %s %s: %s", c.Kind, when, shorten(c.Title, 80))
}

// title is the short form: "orders-db: slow queries".
func (m *model) title(n *node, ev *evidence) string {
	if ev == nil {
		return n.e.Name
	}
	name := n.e.Name
	switch ev.kind {
	case kUp:
		if !ev.instance.IsZero() {
			return fmt.Sprintf("%s: instance %s stopped", name, ev.instance.Name)
		}
		return name + ": stopped"
	case kLat, kSelf:
		if res := n.ev[kRes]; res != nil && res.a >= .9 {
			return fmt.Sprintf("%s: slow, %s high", name, thing(res))
		}
		if n.e.Kind == telemetry.KindDatabase {
			return name + ": slow queries"
		}
		return name + ": slow"
	case kErr:
		for i := range n.changes {
			if n.changes[i].Kind == telemetry.ChangeDeploy {
				return name + ": failures after a deploy"
			}
		}
		return name + ": failures"
	case kNet:
		return name + ": slow network"
	case kRes:
		if ev.x >= ev.med {
			return fmt.Sprintf("%s: %s high", name, thing(ev))
		}
		return fmt.Sprintf("%s: %s low", name, thing(ev))
	case kReq:
		return name + ": traffic changed"
	case kAlert:
		return name + ": " + shorten(ev.text, 60)
	case kLog:
		return name + ": unusual logs"
	case kSeq:
		return name + ": its requests take another course"
	case kCalls:
		return name + ": calls its dependencies differently"
	}
	return name + ": unusual"
}

// story is the whole verdict in one or two sentences.
func (m *model) story(roots []*node, users string) string {
	first := roots[0]
	text := m.clause(first, m.bestEvidence(first)) + m.consequence(first) + m.changed(first) + "."
	if len(roots) > 1 {
		names := make([]string, 0, len(roots)-1)
		for _, r := range roots[1:] {
			names = append(names, m.title(r, m.bestEvidence(r)))
		}
		text += " Also at fault: " + listing(names) + "."
	}
	if dark := m.suspects(first); dark != "" {
		text += " " + dark
	}
	if m.serves() && users != "" {
		text += " " + users
	}
	return text
}

// suspects names the unmonitored dependencies of the first root.
func (m *model) suspects(n *node) string {
	var names []string
	for _, c := range n.callees {
		if m.nodes[c].dark && len(names) < 3 {
			names = append(names, m.nodes[c].e.Name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return "It calls " + listing(names) + ", which nobody watches: the cause may be there."
}

// serves is false for an estate without any request metrics, where a sentence
// about users would be a guess.
func (m *model) serves() bool {
	for _, n := range m.nodes {
		if n.ev[kLat] != nil || n.ev[kErr] != nil {
			return true
		}
	}
	return false
}
