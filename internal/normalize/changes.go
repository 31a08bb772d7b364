package normalize

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"github.com/cespare/xxhash/v2"

	"github.com/norn-aiops/norn/internal/telemetry"
)

// event is a Kubernetes-style event, however it was sent.
type event struct {
	reason, kind, name, message, actor, uid string
}

// ChangeFromLog reads a Kubernetes-style event (as the OpenTelemetry
// Collector's k8s receivers, event exporters or Beats send it: the reason in
// the attributes k8s.event.reason, kubernetes.event.reason or reason, or an
// event object as JSON in the body) and the OpenTelemetry deployment
// attributes. ok is false for records that are no change. Call it after Log:
// it uses the record's time.
func (n *LogNormalizer) ChangeFromLog(rec *telemetry.LogRecord) (ch telemetry.Change, ok bool) {
	if ch, ok := deploymentChange(rec); ok {
		return ch, true
	}
	ev, ok := eventOf(rec)
	if !ok {
		return telemetry.Change{}, false
	}
	kind, ok := changeKind(ev)
	if !ok {
		return telemetry.Change{}, false
	}
	ch = telemetry.Change{Time: rec.Time / 1e6, Kind: kind, Entity: objectEntity(ev.kind, ev.name), Actor: ev.actor}
	if ch.Entity.IsZero() {
		ch.Entity = rec.Entity
	}
	ch.Title = ev.reason
	if ev.name != "" {
		ch.Title += " " + strings.ToLower(ev.kind) + "/" + ev.name
	}
	if ev.message != "" {
		ch.Title += ": " + cut(ev.message, 200)
	}
	ch.ID = changeID(string(kind), ch.Entity.String(), ev.reason, ev.kind, ev.name, ev.uid, ev.message, fmt.Sprint(ch.Time/1000))
	return ch, true
}

func eventOf(rec *telemetry.LogRecord) (event, bool) {
	l := lookup{rec.Attributes, rec.Resource}
	ev := event{
		reason:  l.first([]string{"k8s.event.reason", "kubernetes.event.reason", "event.reason", "reason"}),
		kind:    l.first([]string{"k8s.object.kind", "kubernetes.event.involved_object.kind", "involvedObject.kind", "object.kind"}),
		name:    l.first([]string{"k8s.object.name", "kubernetes.event.involved_object.name", "involvedObject.name", "object.name"}),
		actor:   l.first([]string{"k8s.event.source.component", "source.component", "reportingComponent"}),
		uid:     l.first([]string{"k8s.event.uid", "kubernetes.event.metadata.uid", "metadata.uid"}),
		message: rec.Body,
	}
	if ev.reason != "" {
		if m := l.first([]string{"kubernetes.event.message", "message"}); m != "" && ev.message == "" {
			ev.message = m
		}
		return ev, true
	}
	if !strings.HasPrefix(rec.Body, "{") || !strings.Contains(rec.Body, `"reason"`) || !strings.Contains(rec.Body, `nvolvedObject"`) && !strings.Contains(rec.Body, `"regarding"`) {
		return event{}, false
	}
	type object struct{ Kind, Name string }
	var doc struct {
		Reason, Message, Note string
		InvolvedObject        object
		Regarding             object
		Source                struct{ Component string }
		Metadata              struct{ UID string }
		Object                json.RawMessage
	}
	if json.Unmarshal([]byte(rec.Body), &doc) != nil {
		return event{}, false
	}
	if inner := doc.Object; doc.Reason == "" && len(inner) > 0 { // a watch event wraps it
		doc.Object = nil
		if json.Unmarshal(inner, &doc) != nil {
			return event{}, false
		}
	}
	obj := doc.InvolvedObject
	if obj.Name == "" {
		obj = doc.Regarding
	}
	if doc.Message == "" {
		doc.Message = doc.Note
	}
	return event{doc.Reason, obj.Kind, obj.Name, doc.Message, doc.Source.Component, doc.Metadata.UID}, doc.Reason != ""
}

// changeKind says what sort of change an event's reason is; ok is false for
// reasons that change nothing.
func changeKind(ev event) (telemetry.ChangeKind, bool) {
	switch ev.reason {
	case "ScalingReplicaSet":
		// a rollout makes a new replica set; scaling keeps it
		if strings.HasSuffix(ev.message, " from 0") || strings.Contains(ev.message, " from 0 ") {
			return telemetry.ChangeDeploy, true
		}
		return telemetry.ChangeScale, true
	case "SuccessfulRescale", "ScaledUpGroup", "TriggeredScaleUp", "ScaleDown":
		return telemetry.ChangeScale, true
	case "DeploymentRollback", "DeploymentUpdated", "RollingUpdate":
		return telemetry.ChangeDeploy, true
	case "Pulled":
		if strings.HasPrefix(ev.message, "Successfully pulled") {
			return telemetry.ChangeDeploy, true
		}
		return telemetry.ChangeEvent, true
	case "ConfigMapUpdated", "SecretUpdated", "Synced", "Reloaded":
		return telemetry.ChangeConfig, ev.reason != "Synced"
	case "Killing", "BackOff", "CrashLoopBackOff", "OOMKilling", "OOMKilled", "SystemOOM", "NodeNotReady", "NodeReady", "Rebooted", "Evicted",
		"Preempted", "Preempting", "Unhealthy", "FailedScheduling", "FailedMount", "FailedAttachVolume", "NodeNotSchedulable", "NodeSchedulable",
		"NodeHasDiskPressure", "NodeHasMemoryPressure", "EvictionThresholdMet", "FreeDiskSpaceFailed", "ContainerGCFailed", "Failed",
		"ErrImagePull", "ImagePullBackOff", "Shutdown", "Starting", "TaintManagerEviction", "LeaderElection", "DeadlineExceeded",
		"BackoffLimitExceeded", "NetworkNotReady", "NodeShutdown", "Draining":
		return telemetry.ChangeEvent, ev.reason != "LeaderElection"
	}
	return "", false
}

func objectEntity(kind, name string) telemetry.Entity {
	if name == "" {
		return telemetry.Entity{}
	}
	switch strings.ToLower(kind) {
	case "node":
		return telemetry.Entity{Kind: telemetry.KindHost, Name: name}
	case "pod":
		return telemetry.Entity{Kind: telemetry.KindService, Name: ServiceOfPod(name)}
	case "replicaset", "job":
		return telemetry.Entity{Kind: telemetry.KindService, Name: stripHash(name)}
	case "deployment", "statefulset", "daemonset", "service", "cronjob", "horizontalpodautoscaler":
		return telemetry.Entity{Kind: telemetry.KindService, Name: name}
	}
	return telemetry.Entity{}
}

// deploymentChange reads the OpenTelemetry deployment attributes
// (deployment.id, deployment.name, deployment.status) and revision
// annotations.
func deploymentChange(rec *telemetry.LogRecord) (telemetry.Change, bool) {
	l := lookup{rec.Attributes, nil}
	id := l.first([]string{"deployment.id", "deployment.revision", "deployment.kubernetes.io/revision", "k8s.deployment.revision"})
	if id == "" {
		return telemetry.Change{}, false
	}
	name := l.get("deployment.name")
	title := "Deployment " + strings.TrimSpace(name+" "+id)
	if s := l.get("deployment.status"); s != "" {
		title += " " + s
	}
	return telemetry.Change{
		ID:   changeID("deploy", rec.Entity.String(), id, name, l.get("deployment.status")),
		Time: rec.Time / 1e6, Kind: telemetry.ChangeDeploy, Entity: rec.Entity, Title: title, Actor: l.get("deployment.actor"),
	}, true
}

// versionTable remembers the versions that each service was seen with.
type versionTable struct {
	mu sync.Mutex
	m  map[telemetry.Entity]*versions
}

type versions struct {
	current string
	known   []seenVersion
}

type seenVersion struct {
	name string
	last int64 // Unix ms
}

// versionLimit bounds services, knownLimit the versions kept of each. A version
// that was not seen for rollbackAfter ms and comes back was deployed again; one
// that comes back sooner is a replica that was not yet replaced.
const versionLimit, knownLimit, rollbackAfter = 10_000, 16, 10 * 60_000

func newVersionTable() *versionTable {
	return &versionTable{m: map[telemetry.Entity]*versions{}}
}

// ChangeFromResource tells when a service is seen with a service.version (else
// container image tag) that is new, or that comes back after 10 minutes: that
// is a deployment, even if nobody announced it. The first version of a service is
// where it starts from. t is in Unix milliseconds.
func (n *LogNormalizer) ChangeFromResource(entity telemetry.Entity, resource []telemetry.Attr, t int64) (telemetry.Change, bool) {
	l := lookup{resource, nil}
	v := l.first([]string{"service.version", "container.image.tags", "container.image.tag", "k8s.deployment.revision"})
	if v == "" || entity.IsZero() {
		return telemetry.Change{}, false
	}
	vt := n.versions
	vt.mu.Lock()
	defer vt.mu.Unlock()
	s := vt.m[entity]
	if s == nil {
		if len(vt.m) < versionLimit {
			vt.m[entity] = &versions{current: v, known: []seenVersion{{v, t}}}
		}
		return telemetry.Change{}, false
	}
	from := s.current
	if !s.see(v, t) {
		return telemetry.Change{}, false
	}
	return telemetry.Change{
		ID: changeID("version", entity.String(), from, v, fmt.Sprint(t/60_000)), Time: t, Kind: telemetry.ChangeDeploy, Entity: entity,
		Title: fmt.Sprintf("%s: version %s -> %s", entity.Name, from, v),
	}, true
}

// see notes a version and reports whether it was deployed just now.
func (s *versions) see(v string, t int64) bool {
	for i := range s.known {
		k := &s.known[i]
		if k.name != v {
			continue
		}
		again := v != s.current && t-k.last > rollbackAfter
		k.last = max(k.last, t)
		if again {
			s.current = v
		}
		return again
	}
	s.current = v
	if s.known = append(s.known, seenVersion{v, t}); len(s.known) > knownLimit {
		s.known = s.known[1:]
	}
	return true
}

func changeID(parts ...string) string {
	return fmt.Sprintf("%016x", xxhash.Sum64String(strings.Join(parts, "\x00")))
}

// cut shortens a text to at most n bytes, at a rune's edge.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xC0 == 0x80 {
		n--
	}
	return s[:n] + "…"
}
