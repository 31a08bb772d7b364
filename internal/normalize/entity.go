package normalize

import (
	"strings"

	"github.com/norn-aiops/norn/internal/telemetry"
)

// Attribute keys that name an entity, in order of precedence. The first key
// of each group is the OpenTelemetry semantic convention (v1.30 and later),
// what follows are its synonyms: older conventions, ECS fields, syslog
// structured fields, and the fields that log shippers add on Kubernetes and
// Docker.
var (
	serviceKeys = []string{
		"service.name", "service_name", "log.syslog.appname", "syslog.appname", "syslog.app_name", "appname", "app_name", "app-name",
		"app.kubernetes.io/name", "k8s.pod.label.app.kubernetes.io/name", "k8s.pod.labels.app.kubernetes.io/name",
		"kubernetes.labels.app_kubernetes_io/name", "kubernetes.labels.app_kubernetes_io_name", "kubernetes.labels.app",
		"k8s.pod.labels.app", "k8s.pod.label.app",
	}
	workloadKeys = []string{
		"k8s.deployment.name", "kubernetes.deployment.name", "k8s.statefulset.name", "kubernetes.statefulset.name",
		"k8s.daemonset.name", "kubernetes.daemonset.name", "k8s.cronjob.name", "kubernetes.cronjob.name",
		"k8s.job.name", "kubernetes.job.name",
	}
	replicaSetKeys = []string{"k8s.replicaset.name", "kubernetes.replicaset.name"}
	podKeys        = []string{"k8s.pod.name", "kubernetes.pod.name", "kubernetes.pod_name", "pod_name", "pod"}
	containerKeys  = []string{
		"k8s.container.name", "kubernetes.container.name", "kubernetes.container_name",
		"container.name", "container_name", "docker.container.name",
	}
	composeKeys     = []string{"container.labels.com_docker_compose_service", "container.label.com.docker.compose.service", "com.docker.compose.service"}
	containerIDKeys = []string{"container.id", "container_id", "docker.container_id", "kubernetes.docker_id"}
	instanceKeys    = []string{"service.instance.id", "service.node.name", "instance"}
	lateServiceKeys = []string{"service.type", "syslog.identifier", "log.syslog.identifier", "systemd.unit", "journald.unit"}
	functionKeys    = []string{"faas.name", "aws.lambda.function_name"}
	deviceKeys      = []string{"device.id", "device_id"}
	hostKeys        = []string{
		"host.name", "host.hostname", "log.syslog.hostname", "syslog.hostname", "k8s.node.name", "kubernetes.node.name",
		"kubernetes.host", "agent.hostname", "agent.name", "beat.hostname", "hostname", "host", "host.id",
	}
	dbNameKeys    = []string{"db.namespace", "db.name"}
	dbSystemKeys  = []string{"db.system.name", "db.system"}
	queueKeys     = []string{"messaging.destination.name", "messaging.destination"}
	externalKeys  = []string{"peer.service"}
	zoneKeys      = []string{"cloud.availability_zone", "cloud.region"}
	segmentKeys   = []string{"network.segment", "network.name"}
	prometheusJob = "job"
)

// lookup returns the value of the first key that has one in any of the lists.
type lookup [2][]telemetry.Attr

func (l lookup) get(key string) string {
	for _, as := range l {
		if v := telemetry.Get(as, key); v != "" {
			return v
		}
	}
	return ""
}

func (l lookup) first(keys []string) string {
	for _, k := range keys {
		if v := l.get(k); v != "" {
			return v
		}
	}
	return ""
}

// EntityOf tells which entity the attributes speak of and, when it is known,
// which instance of it (process, container or pod). Attributes are those of an
// OpenTelemetry resource, an ECS document, a syslog message or a Kubernetes log
// shipper; the zero Entity means that they identify nothing.
//
// Precedence: service.name (unless it is the SDK's "unknown_service") and its
// synonyms; Prometheus' job; function; Kubernetes workload (deployment,
// stateful set, daemon set, job); ReplicaSet and pod name without the parts
// that Kubernetes appended; Compose service and container name; the shipper's
// own guess (service.type, journald identifier, unit); device; database, queue
// and external names; host; network segment and zone. Syslog programs that
// belong to the operating system (kernel, cron, sshd...) count as the host.
//
// The instance of a service, database, cache or queue is its pod, else service.instance.id, else
// Prometheus' instance, else the container's id or name, else its host.
func EntityOf(attrs []telemetry.Attr) (entity, instance telemetry.Entity) {
	return identify(lookup{attrs, nil})
}

// entityOfBoth looks in the resource first and then in the record's own
// attributes, where senders without resources put identity.
func entityOfBoth(resource, attrs []telemetry.Attr) (entity, instance telemetry.Entity) {
	return identify(lookup{resource, attrs})
}

func identify(l lookup) (entity, instance telemetry.Entity) {
	host := cleanHost(l.first(hostKeys))
	if name := serviceName(l); name != "" {
		kind := telemetry.KindService
		if host != "" && isSystemProgram(name) {
			return telemetry.Entity{Kind: telemetry.KindHost, Name: host}, telemetry.Entity{}
		}
		if l.get("service.name") == "" && l.first(functionKeys) == name {
			kind = telemetry.KindFunction
		}
		return telemetry.Entity{Kind: kind, Name: name}, instanceOf(l, host)
	}
	if v := l.first(deviceKeys); v != "" {
		return telemetry.Entity{Kind: telemetry.KindDevice, Name: v}, telemetry.Entity{}
	}
	// in a resource these name the thing itself; in a record's own attributes
	// they only tell what the record was doing when it was written
	if e := dependencyOf(lookup{l[0], nil}); !e.IsZero() {
		return e, instanceOf(l, "")
	}
	if host != "" {
		return telemetry.Entity{Kind: telemetry.KindHost, Name: host}, telemetry.Entity{}
	}
	if v := l.first(segmentKeys); v != "" {
		return telemetry.Entity{Kind: telemetry.KindSegment, Name: v}, telemetry.Entity{}
	}
	if v := l.get("service.name"); v != "" {
		return telemetry.Entity{Kind: telemetry.KindService, Name: v}, instanceOf(l, "")
	}
	if v := l.first(zoneKeys); v != "" {
		return telemetry.Entity{Kind: telemetry.KindZone, Name: v}, telemetry.Entity{}
	}
	return telemetry.Entity{}, telemetry.Entity{}
}

func serviceName(l lookup) string {
	for _, k := range serviceKeys {
		if v := cleanName(l.get(k)); v != "" && !strings.HasPrefix(v, "unknown_service") {
			return v
		}
	}
	if v := l.get(prometheusJob); v != "" {
		if _, name := splitJob(v); !isGenericJob(name) {
			return name
		}
	}
	if v := l.first(functionKeys); v != "" {
		return v
	}
	if v := l.first(workloadKeys); v != "" {
		return v
	}
	if v := l.first(replicaSetKeys); v != "" {
		return stripHash(v)
	}
	if v := l.first(podKeys); v != "" {
		return ServiceOfPod(v)
	}
	if v := l.first(composeKeys); v != "" {
		return v
	}
	if v := strings.TrimPrefix(l.first(containerKeys), "/"); v != "" && v != "POD" {
		return v
	}
	if v := l.first(lateServiceKeys); v != "" {
		return strings.TrimSuffix(v, ".service")
	}
	return ""
}

func instanceOf(l lookup, host string) telemetry.Entity {
	name := l.first(podKeys)
	if name == "" {
		name = l.first(instanceKeys)
	}
	if name == "" {
		name = l.first(containerIDKeys)
	}
	if name == "" {
		name = strings.TrimPrefix(l.first(containerKeys), "/")
	}
	if name == "" {
		name = host
	}
	if name == "" {
		return telemetry.Entity{}
	}
	return telemetry.Entity{Kind: telemetry.KindInstance, Name: name}
}

// dependencyOf names the database, cache, queue or external service that the
// attributes speak of, when they name no sender.
func dependencyOf(l lookup) telemetry.Entity {
	system := l.first(dbSystemKeys)
	if name := l.first(dbNameKeys); name != "" || system != "" {
		return databaseEntity(system, l.get("peer.service"), name, l.get("server.address"))
	}
	if v := l.first(queueKeys); v != "" {
		return telemetry.Entity{Kind: telemetry.KindQueue, Name: v}
	}
	if v := l.first(externalKeys); v != "" {
		return telemetry.Entity{Kind: telemetry.KindExternal, Name: v}
	}
	return telemetry.Entity{}
}

// databaseEntity names a database or cache by the same rule as the topology
// stage: the declared peer, else (for databases) the namespace, else the
// server's address unless it is loopback, else the namespace, else the system.
func databaseEntity(system, peer, namespace, address string) telemetry.Entity {
	kind := telemetry.KindDatabase
	switch system {
	case "redis", "memcached", "valkey", "hazelcast", "dragonfly":
		kind = telemetry.KindCache
	}
	if i := strings.LastIndexByte(namespace, '/'); i >= 0 && i+1 < len(namespace) {
		namespace = namespace[i+1:] // SQLite: a file's path
	}
	if isLoopback(address) {
		address = ""
	}
	name := peer
	if name == "" && kind == telemetry.KindDatabase {
		name = namespace
	}
	if name == "" {
		name = address
	}
	if name == "" && !isDigits(namespace) {
		name = namespace
	}
	if name == "" {
		name = system
	}
	return telemetry.Entity{Kind: kind, Name: name}
}

func isLoopback(a string) bool {
	return a == "localhost" || a == "::1" || a == "[::1]" || strings.HasPrefix(a, "127.")
}

func isDigits(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
