package replay

import (
	"cmp"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/norn-aiops/norn/internal/graph"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// alertGraph is the typed topology of one system.
type alertGraph struct {
	Nodes []struct {
		ID   string `json:"id"`
		Type string `json:"type"`
	} `json:"nodes"`
	Edges []struct {
		Source string `json:"source"`
		Target string `json:"target"`
		Label  string `json:"label"`
	} `json:"edges"`
}

// alertSystem is one system of the alert data set.
type alertSystem struct {
	name   string
	kinds  map[string]telemetry.EntityKind
	owner  map[string]string // instance -> service
	edges  []graph.Edge
	faults []Fault
	alerts []telemetry.Alert
	zone   time.Duration // of the local times in log alerts
}

// openAlerts reads labelled alert streams with a typed graph (FORGE 2026):
// fault-alerts/SYSTEM/{label.csv, metric/metrics.json, trace/traces.json,
// log/logs.json} and graphs/SYSTEM/*.json. One system is one recording. Only
// the first alert per series and fault was kept by its makers and none says
// when it cleared, so that alerts are resolved when their fault ends.
func openAlerts(dir string) ([]*Recording, error) {
	found, err := filepath.Glob(filepath.Join(dir, "fault-alerts", "*", "label.csv"))
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("no fault-alerts/SYSTEM/label.csv: %w", ErrFormat)
	}
	slices.Sort(found)
	var recs []*Recording
	for _, f := range found {
		rec, err := openAlertSystem(dir, filepath.Dir(f))
		if err != nil {
			return nil, err
		}
		recs = append(recs, rec)
	}
	return recs, nil
}

func openAlertSystem(dir, sys string) (*Recording, error) {
	s, issues, err := readAlertSystem(dir, sys)
	if err != nil {
		return nil, err
	}
	b := newBatch(10_000)
	rec := &Recording{Name: s.name, Step: 60_000, Faults: s.faults, Issues: issues}
	for _, a := range s.alerts {
		it := b.at(a.StartsAt)
		it.Alerts = append(it.Alerts, a)
		end := s.endOf(a)
		done := a
		done.EndsAt = end
		it = b.at(end)
		it.Alerts = append(it.Alerts, done)
	}
	f := b.feed()
	rec.Feed = f
	if len(f.items) > 0 {
		rec.Start, rec.End = f.items[0].T, f.items[len(f.items)-1].T
		for i := range f.items {
			f.items[i].Edges = stamped(s.edges, f.items[i].T)
		}
	}
	return rec, nil
}

// readAlertSystem reads the files of one system. What cannot be read of them
// is told in issues.
func readAlertSystem(dir, sys string) (_ *alertSystem, issues []string, err error) {
	s := &alertSystem{name: filepath.Base(sys), kinds: map[string]telemetry.EntityKind{}, owner: map[string]string{}}
	graphs, err := filepath.Glob(filepath.Join(dir, "graphs", s.name, "*.json"))
	if err != nil {
		return nil, nil, err
	}
	for _, g := range graphs {
		raw, err := os.ReadFile(g)
		if err != nil {
			return nil, nil, err
		}
		if err := s.readGraph(raw); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", g, err)
		}
	}
	if err := withFile(filepath.Join(sys, "label.csv"), s.readLabels); err != nil {
		return nil, nil, err
	}
	issues = []string{"alerts are resolved when their fault ends: the data does not say when they cleared"}
	for _, kind := range []string{"metric/metrics.json", "trace/traces.json", "log/logs.json"} {
		path := filepath.Join(sys, filepath.FromSlash(kind))
		raw, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			issues = append(issues, kind+" is absent")
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		alerts, bad, err := s.readAlerts(raw, strings.SplitN(kind, "/", 2)[0])
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", path, err)
		}
		if bad > 0 {
			issues = append(issues, fmt.Sprintf("%s: %d alerts could not be read", kind, bad))
		}
		s.alerts = append(s.alerts, alerts...)
	}
	return s, issues, nil
}

// AlertSet is one system of labelled alert streams, fault by fault.
type AlertSet struct {
	Name   string
	Edges  []graph.Edge // the system's topology
	Faults []AlertFault // in the order of the label file
	Issues []string     // what is missing or could not be read
}

// AlertFault is one fault with the alerts of its window, oldest first.
type AlertFault struct {
	Fault
	Alerts []telemetry.Alert
}

// AlertSets reads the format rca-alerts as sets of faults, for experiments that
// overlay them.
func AlertSets(dir string) ([]AlertSet, error) {
	found, err := filepath.Glob(filepath.Join(dir, "fault-alerts", "*", "label.csv"))
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("no fault-alerts/SYSTEM/label.csv in %s: %w", dir, ErrFormat)
	}
	slices.Sort(found)
	out := make([]AlertSet, 0, len(found))
	for _, f := range found {
		s, issues, err := readAlertSystem(dir, filepath.Dir(f))
		if err != nil {
			return nil, err
		}
		set := AlertSet{Name: s.name, Edges: s.edges, Issues: issues}
		at := map[string]int{}
		for i, x := range s.faults {
			at[x.ID] = i
			set.Faults = append(set.Faults, AlertFault{Fault: x})
		}
		for _, a := range s.alerts {
			if i, ok := at[a.Labels["fault_window"]]; ok {
				set.Faults[i].Alerts = append(set.Faults[i].Alerts, a)
			}
		}
		for i := range set.Faults {
			slices.SortStableFunc(set.Faults[i].Alerts, func(a, b telemetry.Alert) int { return cmp.Compare(a.StartsAt, b.StartsAt) })
		}
		out = append(out, set)
	}
	return out, nil
}

func (s *alertSystem) readGraph(raw []byte) error {
	var g alertGraph
	if err := json.Unmarshal(raw, &g); err != nil {
		return fmt.Errorf("%w: %w", ErrFormat, err)
	}
	for _, n := range g.Nodes {
		k := telemetry.KindService
		switch n.Type {
		case "Service_Instance", "Cache_Instance", "Database_Instance":
			k = telemetry.KindInstance
		case "Host":
			k = telemetry.KindHost
		case "Cache":
			k = telemetry.KindCache
		case "Database":
			k = telemetry.KindDatabase
		}
		s.kinds[n.ID] = k
	}
	for _, e := range g.Edges {
		from, to := s.entity(e.Source), s.entity(e.Target)
		kind := graph.EdgeKind("")
		switch e.Label {
		case "control_flow", "data_flow", "calls":
			kind = graph.Calls
		case "hosted_on", "runs_on":
			kind = graph.RunsOn
		case "hosts": // the other direction of hosted_on
			kind, from, to = graph.RunsOn, to, from
		case "has_instance":
			kind = graph.PartOf
			s.owner[e.Target] = e.Source
		case "instance_of": // the other direction of has_instance
			kind, from, to = graph.PartOf, to, from
			s.owner[e.Source] = e.Target
		}
		if kind != "" && !from.IsZero() && !to.IsZero() && from != to {
			ed := graph.Edge{From: from, To: to, Kind: kind}
			if !slices.Contains(s.edges, ed) {
				s.edges = append(s.edges, ed)
			}
		}
	}
	return nil
}

func (s *alertSystem) entity(id string) telemetry.Entity {
	if id == "" {
		return telemetry.Entity{}
	}
	k, ok := s.kinds[id]
	if !ok {
		k = telemetry.KindService
	}
	return telemetry.Entity{Kind: k, Name: id}
}

// readLabels reads fault_id, fault_level, fault_entity, fault_type,
// fault_st_time, fault_ed_time (Unix s), ..., fault_datetime (local time).
func (s *alertSystem) readLabels(r io.Reader) error {
	c := csv.NewReader(r)
	c.FieldsPerRecord = -1
	col, err := nezhaHeader(c, "fault_id", "fault_entity", "fault_type", "fault_st_time", "fault_ed_time")
	if err != nil {
		return err
	}
	for {
		row, err := c.Read()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrFormat, err)
		}
		get := func(n string) string {
			if i, ok := col[n]; ok && i < len(row) {
				return row[i]
			}
			return ""
		}
		from, err1 := strconv.ParseFloat(get("fault_st_time"), 64)
		to, err2 := strconv.ParseFloat(get("fault_ed_time"), 64)
		if err1 != nil || err2 != nil || !(from > 0 && from < 1e11) || !(to > 0 && to < 1e11) {
			return fmt.Errorf("fault %q: times %q and %q: %w", get("fault_id"), get("fault_st_time"), get("fault_ed_time"), ErrFormat)
		}
		name := get("fault_entity")
		f := Fault{ID: get("fault_id"), Onset: int64(from * 1000), End: int64(to * 1000), Kind: get("fault_type"), Detail: get("fault_level"), Entity: s.entity(name)}
		s.faults = append(s.faults, f)
		if local, err := time.Parse("2006-01-02 15:04:05", get("fault_datetime")); err == nil && s.zone == 0 {
			s.zone = local.Sub(time.UnixMilli(f.Onset)).Round(15 * time.Minute)
		}
	}
}

func (s *alertSystem) fault(id string) *Fault {
	for i := range s.faults {
		if s.faults[i].ID == id {
			return &s.faults[i]
		}
	}
	return nil
}

func (s *alertSystem) endOf(a telemetry.Alert) int64 {
	if f := s.fault(a.Labels["fault_window"]); f != nil {
		return max(f.End, a.StartsAt+1)
	}
	return a.StartsAt + 600_000
}

// readAlerts reads {fault id: [alert, ...]}. Alerts that cannot be read are
// counted in bad.
func (s *alertSystem) readAlerts(raw []byte, kind string) (out []telemetry.Alert, bad int, err error) {
	var byFault map[string][][]any
	if err := json.Unmarshal(raw, &byFault); err != nil {
		return nil, 0, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	for _, id := range sortedKeys(byFault) {
		for _, fields := range byFault[id] {
			a, ok := s.alert(id, kind, fields)
			if !ok {
				bad++
				continue
			}
			a.Labels["fault_window"] = id
			a.Fingerprint = fingerprint(a.Name, a.Entity.String(), a.Caller.String(), id)
			delete(a.Labels, "")
			out = append(out, a)
		}
	}
	return out, bad, nil
}

func fingerprint(parts ...string) string {
	h := fnv.New64a()
	for _, p := range parts {
		_, _ = h.Write([]byte(p)) // a hash never fails
		_, _ = h.Write([]byte{0})
	}
	return strconv.FormatUint(h.Sum64(), 16)
}

// alert reads one alert of a kind: metric [ms, entity, host, metric, up|down],
// trace [ms, caller, callee, operation, PD|400|500], log [entity, template,
// [message...], count, representative].
func (s *alertSystem) alert(id, kind string, f []any) (telemetry.Alert, bool) {
	str := func(i int) string {
		if i < len(f) {
			if v, ok := f[i].(string); ok {
				return v
			}
		}
		return ""
	}
	a := telemetry.Alert{Source: "recording", Severity: "warning", Labels: map[string]string{"signal_kind": kind}}
	switch kind {
	case "metric":
		a.StartsAt = millis(f, 0)
		a.Entity, a.Name = s.entity(str(1)), str(3)+" "+str(4)
		a.Labels["metric"], a.Labels["direction"], a.Labels["host"] = str(3), str(4), str(2)
	case "trace":
		a.StartsAt = millis(f, 0)
		a.Entity, a.Name = s.entity(str(2)), str(3)+" "+str(4)
		if str(1) == str(2) { // seen by the client alone; the operation may say whom it called
			a.Caller, a.Entity = a.Entity, s.mentioned(str(3), a.Entity)
		} else {
			a.Caller = s.entity(str(1))
		}
		a.Labels["caller"], a.Labels["callee"], a.Labels["operation"], a.Labels["fault_kind"] = str(1), str(2), str(3), str(4)
	case "log":
		a.Entity, a.Name = s.entity(str(0)), "log template "+str(1)
		if len(f) > 2 {
			if msgs, ok := f[2].([]any); ok && len(msgs) > 0 {
				text, _ := msgs[0].(string)
				a.StartsAt = s.localTime(text)
				a.Annotations = map[string]string{"summary": text}
			}
		}
		if a.StartsAt == 0 {
			if w := s.fault(id); w != nil {
				a.StartsAt = w.Onset
			}
		}
	}
	return a, a.StartsAt > 0 && !a.Entity.IsZero()
}

// mentioned is the service whose name stands in the operation, as in
// "shop.CartService/GetCart"; without one, or when that is other's own, it is
// other. Of several the longest name counts.
func (s *alertSystem) mentioned(operation string, other telemetry.Entity) telemetry.Entity {
	text, best, length := plain(operation), telemetry.Entity{}, 3
	for _, id := range sortedKeys(s.kinds) {
		k := s.kinds[id]
		if k == telemetry.KindInstance || k == telemetry.KindHost {
			continue
		}
		if name := plain(id); len(name) > length && strings.Contains(text, name) {
			best, length = telemetry.Entity{Kind: k, Name: id}, len(name)
		}
	}
	if best.IsZero() || s.owner[other.Name] == best.Name {
		return other
	}
	return best
}

// plain leaves the letters and digits of a name, in small letters.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, s)
}

// millis reads Unix milliseconds that may be a number or a text; 0 if neither.
func millis(f []any, i int) int64 {
	if i >= len(f) {
		return 0
	}
	v := math.NaN()
	switch x := f[i].(type) {
	case float64:
		v = x
	case string:
		v, _ = strconv.ParseFloat(x, 64)
	}
	if !(v > 0 && v < 1e14) {
		return 0
	}
	return int64(v)
}

// localTime reads the time at the beginning of "2022-03-20 08:42:51.000 | text".
func (s *alertSystem) localTime(text string) int64 {
	if len(text) < 19 {
		return 0
	}
	t, err := time.Parse("2006-01-02 15:04:05", text[:19])
	if err != nil || t.Year() < 1971 {
		return 0
	}
	return t.Add(-s.zone).UnixMilli()
}
