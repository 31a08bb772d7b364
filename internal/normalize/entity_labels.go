package normalize

import (
	"strings"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/norn-aiops/norn/internal/telemetry"
)

// firstLabel returns the first of the named labels that has a value. A label
// that the scraper renamed because it clashed ("exported_x") wins: it is what
// the target itself said.
func firstLabel(ls labels.Labels, names ...string) string {
	exported := strings.Contains(textOf(&ls), "exported_") // seldom
	for _, n := range names {
		if exported {
			if v := ls.Get("exported_" + n); v != "" {
				return v
			}
		}
		if v := ls.Get(n); v != "" {
			return v
		}
	}
	return ""
}

// EntityOfLabels tells which entity a metric's labels speak of, the other end
// when the series is of an edge (service graphs, meshes, client metrics of a
// database), and the instance when one is known.
//
// Norn's own series ("norn_...") carry the entity in labels entity and peer.
// Otherwise: series about Kubernetes objects or containers (kube_...,
// container_..., or scraped by a job that names no service) go to the object's
// workload, pod, container or node; series of the node exporter and host
// agents go to the host; exporters of databases, caches and queues to what
// they export; everything else to service_name, the job (its part after the
// namespace), the workload, the pod, the container, and at last the host.
func EntityOfLabels(ls labels.Labels) (entity, peer, instance telemetry.Entity) {
	name := ls.Get(labels.MetricName)
	if strings.HasPrefix(name, "norn_") {
		if v := ls.Get("entity"); v != "" {
			return telemetry.ParseEntity(v), telemetry.ParseEntity(ls.Get("peer")), telemetry.Entity{}
		}
	}
	if e, p, ok := edgeOfLabels(ls, name); ok {
		return e, p, telemetry.Entity{}
	}
	_, job := splitJob(ls.Get("job"))
	if ls.Get("service_name") == "" && ls.Get("exported_service_name") == "" {
		if isHostMetric(name, job) {
			if h := hostOfLabels(ls, true); h != "" {
				return telemetry.Entity{Kind: telemetry.KindHost, Name: h}, telemetry.Entity{}, telemetry.Entity{}
			}
		}
		if isObjectMetric(name) || isGenericJob(job) {
			if e, i := objectOfLabels(ls); !e.IsZero() {
				return e, telemetry.Entity{}, i
			}
		}
	}
	if kind := exporterKind(name); kind != "" && job != "" && !isGenericJob(job) {
		return telemetry.Entity{Kind: kind, Name: trimExporter(job)}, telemetry.Entity{}, instanceOfLabels(ls)
	}
	entity = serviceOfLabels(ls, job)
	switch entity.Kind {
	case telemetry.KindService, telemetry.KindFunction:
		return entity, dependencyOfLabels(ls), instanceOfLabels(ls)
	case telemetry.KindDatabase, telemetry.KindCache, telemetry.KindQueue:
		return entity, telemetry.Entity{}, instanceOfLabels(ls)
	}
	return entity, telemetry.Entity{}, telemetry.Entity{}
}

func serviceOfLabels(ls labels.Labels, job string) telemetry.Entity {
	service := func(n string) telemetry.Entity {
		return telemetry.Entity{Kind: telemetry.KindService, Name: n}
	}
	if v := firstLabel(ls, "service_name"); v != "" && !strings.HasPrefix(v, "unknown_service") {
		return service(v)
	}
	if v := firstLabel(ls, "faas_name"); v != "" {
		return telemetry.Entity{Kind: telemetry.KindFunction, Name: v}
	}
	if v := firstLabel(ls, "device_id"); v != "" {
		return telemetry.Entity{Kind: telemetry.KindDevice, Name: v}
	}
	if job != "" && !isGenericJob(job) && !strings.HasPrefix(job, "unknown_service") {
		return service(job)
	}
	if e, _ := objectOfLabels(ls); !e.IsZero() {
		return e
	}
	if v := firstLabel(ls, "service", "app", "application"); v != "" {
		return service(v)
	}
	if d := dependencyOfLabels(ls); !d.IsZero() {
		return d
	}
	if h := hostOfLabels(ls, false); h != "" {
		return telemetry.Entity{Kind: telemetry.KindHost, Name: h}
	}
	if job != "" {
		return service(job)
	}
	if h := hostOfLabels(ls, true); h != "" {
		return telemetry.Entity{Kind: telemetry.KindHost, Name: h}
	}
	return telemetry.Entity{}
}

// objectOfLabels names the Kubernetes or container object of a series.
func objectOfLabels(ls labels.Labels) (entity, instance telemetry.Entity) {
	pod := firstLabel(ls, "k8s_pod_name", "pod", "pod_name")
	if pod != "" {
		instance = telemetry.Entity{Kind: telemetry.KindInstance, Name: pod}
	}
	name := firstLabel(ls, "k8s_deployment_name", "deployment", "k8s_statefulset_name", "statefulset",
		"k8s_daemonset_name", "daemonset", "k8s_cronjob_name", "cronjob", "job_name", "k8s_job_name")
	if name == "" {
		if v := firstLabel(ls, "k8s_replicaset_name", "replicaset"); v != "" {
			name = stripHash(v)
		}
	}
	if name == "" && pod != "" {
		name = ServiceOfPod(pod)
	}
	if name == "" {
		name = firstLabel(ls, "container_label_com_docker_compose_service")
	}
	if name == "" {
		if v := firstLabel(ls, "k8s_container_name", "container_name", "container"); v != "POD" {
			name = v
		}
	}
	if name == "" && strings.HasPrefix(ls.Get(labels.MetricName), "container_") {
		if v := ls.Get("name"); v != "" {
			name = v
			instance = telemetry.Entity{Kind: telemetry.KindInstance, Name: v}
		}
	}
	if name != "" {
		return telemetry.Entity{Kind: telemetry.KindService, Name: name}, instance
	}
	if v := firstLabel(ls, "k8s_node_name", "node", "kubernetes_io_hostname"); v != "" {
		return telemetry.Entity{Kind: telemetry.KindHost, Name: cleanHost(v)}, telemetry.Entity{}
	}
	if strings.HasPrefix(ls.Get(labels.MetricName), "container_") || strings.HasPrefix(ls.Get(labels.MetricName), "machine_") {
		if h := hostOfLabels(ls, true); h != "" { // cAdvisor's own totals
			return telemetry.Entity{Kind: telemetry.KindHost, Name: h}, telemetry.Entity{}
		}
	}
	return telemetry.Entity{}, telemetry.Entity{}
}

func instanceOfLabels(ls labels.Labels) telemetry.Entity {
	v := firstLabel(ls, "k8s_pod_name", "pod", "pod_name")
	if v == "" {
		v = firstLabel(ls, "service_instance_id", "instance", "container_id", "host_name")
	}
	if v == "" {
		return telemetry.Entity{}
	}
	return telemetry.Entity{Kind: telemetry.KindInstance, Name: v}
}

func hostOfLabels(ls labels.Labels, fromInstance bool) string {
	if v := firstLabel(ls, "host_name", "nodename", "k8s_node_name", "node", "hostname", "host"); v != "" {
		return cleanHost(v)
	}
	if fromInstance {
		return cleanHost(firstLabel(ls, "instance"))
	}
	return ""
}

// edgeOfLabels reads series that describe calls between two services: the
// OpenTelemetry service graph connector's and Istio's.
func edgeOfLabels(ls labels.Labels, name string) (entity, peer telemetry.Entity, ok bool) {
	var from, to string
	switch {
	case strings.HasPrefix(name, "traces_service_graph_"):
		from, to = ls.Get("client"), ls.Get("server")
	case strings.HasPrefix(name, "istio_") && ls.Get("reporter") == "source":
		from, to = ls.Get("source_workload"), ls.Get("destination_workload")
	case strings.HasPrefix(name, "istio_"):
		from = ls.Get("destination_workload")
		if from == "" || from == "unknown" {
			return telemetry.Entity{}, telemetry.Entity{}, false
		}
		return telemetry.Entity{Kind: telemetry.KindService, Name: from}, telemetry.Entity{}, true
	}
	if from == "" || to == "" || from == "unknown" || to == "unknown" {
		return telemetry.Entity{}, telemetry.Entity{}, false
	}
	return telemetry.Entity{Kind: telemetry.KindService, Name: from}, telemetry.Entity{Kind: telemetry.KindService, Name: to}, true
}

// dependencyOfLabels names the database or queue that a client's series is
// about.
func dependencyOfLabels(ls labels.Labels) telemetry.Entity {
	system := firstLabel(ls, "db_system_name", "db_system")
	namespace := firstLabel(ls, "db_namespace", "db_name")
	if system != "" || namespace != "" {
		return databaseEntity(system, ls.Get("peer_service"), namespace, ls.Get("server_address"))
	}
	if v := firstLabel(ls, "messaging_destination_name", "messaging_destination"); v != "" {
		return telemetry.Entity{Kind: telemetry.KindQueue, Name: v}
	}
	return telemetry.Entity{}
}

func isHostMetric(name, job string) bool {
	return strings.HasPrefix(name, "node_") || strings.HasPrefix(name, "windows_") || isNodeJob(job)
}

func isObjectMetric(name string) bool {
	return strings.HasPrefix(name, "kube_") || strings.HasPrefix(name, "container_") || strings.HasPrefix(name, "machine_")
}

// exporterKind tells what the well-known exporters of databases, caches and
// queues export, by the prefix of their series.
func exporterKind(name string) telemetry.EntityKind {
	prefix, _, _ := strings.Cut(name, "_")
	switch prefix {
	case "pg", "mysql", "mongodb", "elasticsearch", "cassandra", "oracledb", "mssql", "clickhouse":
		return telemetry.KindDatabase
	case "redis", "memcached":
		return telemetry.KindCache
	case "rabbitmq", "kafka", "activemq", "nats":
		return telemetry.KindQueue
	}
	return ""
}

func trimExporter(job string) string {
	for _, s := range []string{"-exporter", "_exporter", "-metrics"} {
		job = strings.TrimSuffix(job, s)
	}
	return job
}
