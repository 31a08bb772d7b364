package topology

import (
	"cmp"
	"slices"

	"github.com/norn-aiops/norn/internal/graph"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// Resource tells what the resource attributes of entity say about where it
// runs, at time t (Unix ms). The next Flush returns the relations: service and
// instance run on the host, and the service depends on its instance (part_of).
// Older than what is known, or beyond MaxEdges within one flush, is ignored;
// whoever holds the graph expires them.
func (b *Builder) Resource(entity, instance telemetry.Entity, resource []telemetry.Attr, t int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.resource(entity, instance, resource, t)
}

func (b *Builder) resource(entity, instance telemetry.Entity, resource []telemetry.Attr, t int64) {
	host := hostOf(resource)
	switch {
	case entity.IsZero(), entity.Kind == telemetry.KindHost:
		return
	case instance == entity:
		instance = telemetry.Entity{}
	}
	b.relation(entity, host, graph.RunsOn, t)
	b.relation(instance, host, graph.RunsOn, t)
	b.relation(entity, instance, graph.PartOf, t)
}

func (b *Builder) relation(from, to telemetry.Entity, kind graph.EdgeKind, t int64) {
	if from.IsZero() || to.IsZero() {
		return
	}
	k := resourceKey{from, to, kind}
	old, ok := b.resources[k]
	if !ok && len(b.resources) >= b.cfg.MaxEdges {
		b.stats.Dropped++
		return
	}
	b.resources[k] = max(old, t)
}

// hostOf names the machine: the Kubernetes node when there is one, since
// host.name is then the pod's own.
func hostOf(resource []telemetry.Attr) telemetry.Entity {
	name := first(resource, "k8s.node.name", "kubernetes.node.name")
	if name == "" {
		name = first(resource, "host.name", "host.hostname", "host.id")
		if name != "" && name == first(resource, "k8s.pod.name", "kubernetes.pod.name", "container.id") {
			name = ""
		}
	}
	return telemetry.Entity{Kind: telemetry.KindHost, Name: name}
}

func (b *Builder) flushResources(edges []graph.Edge) []graph.Edge {
	from := len(edges)
	for k, t := range b.resources {
		edges = append(edges, graph.Edge{From: k.from, To: k.to, Kind: k.kind, FirstSeen: t, LastSeen: t})
	}
	clear(b.resources)
	slices.SortFunc(edges[from:], func(x, y graph.Edge) int {
		return cmp.Or(cmp.Compare(x.Kind, y.Kind), compareEntities(x.From, y.From), compareEntities(x.To, y.To))
	})
	return edges
}
