package normalize

import (
	"strconv"
	"testing"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/norn-aiops/norn/internal/telemetry"
)

func attrs(kv ...string) (out []telemetry.Attr) {
	for i := 0; i < len(kv); i += 2 {
		out = append(out, telemetry.Attr{Key: kv[i], Value: kv[i+1]})
	}
	return out
}

func TestSendersAttributesNameTheirEntity(t *testing.T) {
	for _, c := range []struct {
		sender           string
		attrs            []telemetry.Attr
		entity, instance string
	}{
		{"OpenTelemetry SDK", attrs("service.name", "cart", "service.instance.id", "627cc493", "service.namespace", "shop", "telemetry.sdk.language", "go", "host.name", "web-1"), "service/cart", "instance/627cc493"},
		{"SDK in Kubernetes", attrs("service.name", "cart", "service.instance.id", "627cc493", "k8s.pod.name", "cart-5b67c48447-mv5hb", "k8s.node.name", "node-1"), "service/cart", "instance/cart-5b67c48447-mv5hb"},
		{"SDK without a name", attrs("service.name", "unknown_service:java", "k8s.deployment.name", "orders", "k8s.pod.name", "orders-7d9f8b6c5d-x2x4z"), "service/orders", "instance/orders-7d9f8b6c5d-x2x4z"},
		{"SDK without anything", attrs("service.name", "unknown_service:node"), "service/unknown_service:node", ""},
		{"collector's k8s logs", attrs("k8s.container.name", "server", "k8s.namespace.name", "shop", "k8s.pod.name", "ts-order-service-5b67c48447-mv5hb"), "service/ts-order-service", "instance/ts-order-service-5b67c48447-mv5hb"},
		{"stateful set", attrs("k8s.pod.name", "db-0"), "service/db", "instance/db-0"},
		{"daemon set", attrs("k8s.pod.name", "node-agent-x7k2p"), "service/node-agent", "instance/node-agent-x7k2p"},
		{"Fluent Bit on Kubernetes", attrs("kubernetes.container_name", "app", "kubernetes.host", "node-3", "kubernetes.pod_name", "cart-5b67c48447-mv5hb"), "service/cart", "instance/cart-5b67c48447-mv5hb"},
		{"Fluentd on Docker", attrs("container_id", "0af", "container_name", "/shop-cart-1"), "service/shop-cart-1", "instance/0af"},
		{"Filebeat ECS", attrs("agent.hostname", "web-2", "event.dataset", "nginx.access", "host.name", "web-2", "service.type", "nginx"), "service/nginx", "instance/web-2"},
		{"Filebeat on Kubernetes", attrs("host.name", "node-1", "kubernetes.deployment.name", "cart", "kubernetes.labels.app", "cart", "kubernetes.pod.name", "cart-5b67c48447-mv5hb"), "service/cart", "instance/cart-5b67c48447-mv5hb"},
		{"Metricbeat system", attrs("agent.type", "metricbeat", "host.hostname", "web-3"), "host/web-3", ""},
		{"rsyslog application", attrs("host.name", "web-1", "syslog.appname", "orders", "syslog.procid", "812"), "service/orders", "instance/web-1"},
		{"rsyslog kernel", attrs("host.name", "web-1", "syslog.appname", "kernel"), "host/web-1", ""},
		{"rsyslog cron", attrs("host.name", "web-1", "syslog.appname", "CRON"), "host/web-1", ""},
		{"rsyslog nil name", attrs("host.name", "web-1", "syslog.appname", "-"), "host/web-1", ""},
		{"ECS syslog", attrs("log.syslog.appname", "haproxy", "log.syslog.hostname", "lb-1"), "service/haproxy", "instance/lb-1"},
		{"journald unit", attrs("host.name", "web-1", "systemd.unit", "orders.service"), "service/orders", "instance/web-1"},
		{"journald system unit", attrs("host.name", "web-1", "systemd.unit", "systemd-networkd.service"), "host/web-1", ""},
		{"Lambda", attrs("cloud.region", "eu-west-1", "faas.name", "resize"), "function/resize", ""},
		{"Lambda with a service", attrs("faas.name", "resize-fn", "service.name", "resize"), "service/resize", ""},
		{"IoT", attrs("device.id", "pump-7"), "device/pump-7", ""},
		{"Prometheus receiver", attrs("instance", "10.0.0.1:8080", "job", "shop/cart"), "service/cart", "instance/10.0.0.1:8080"},
		{"database monitor", attrs("db.namespace", "orders-db", "db.system.name", "postgresql"), "database/orders-db", ""},
		{"cache monitor", attrs("db.namespace", "0", "db.system", "redis", "server.address", "cache-1"), "cache/cache-1", ""},
		{"SQLite file", attrs("db.namespace", "/var/lib/shop/orders.db", "db.system.name", "sqlite"), "database/orders.db", ""},
		{"broker monitor", attrs("messaging.destination.name", "parcels", "messaging.system", "kafka"), "queue/parcels", ""},
		{"watched cache", attrs("db.namespace", "sessions", "db.system.name", "redis", "host.name", "h", "service.instance.id", "cache-1"), "cache/sessions", "instance/cache-1"},
		{"nobody", attrs("telemetry.sdk.name", "x"), "", ""},
	} {
		e, i := EntityOf(c.attrs)
		if e.String() != c.entity || i.String() != c.instance {
			t.Errorf("%s: got %q %q, want %q %q", c.sender, e, i, c.entity, c.instance)
		}
	}
}

func TestLabelsNameTheirEntity(t *testing.T) {
	for _, c := range []struct {
		sender                 string
		ls                     labels.Labels
		entity, peer, instance string
	}{
		{"own application", labels.FromStrings("__name__", "http_requests_total", "job", "cart", "instance", "10.0.0.1:8080"), "service/cart", "", "instance/10.0.0.1:8080"},
		{"OTLP converter", labels.FromStrings("__name__", "http_server_request_duration_seconds_bucket", "job", "shop/cart", "instance", "abc", "le", "1"), "service/cart", "", "instance/abc"},
		{"OTLP with promoted resource", labels.FromStrings("__name__", "x", "job", "shop/cart", "instance", "abc", "service_name", "cart", "k8s_pod_name", "cart-5b67c48447-mv5hb", "host_name", "h"), "service/cart", "", "instance/cart-5b67c48447-mv5hb"},
		{"node exporter", labels.FromStrings("__name__", "node_cpu_seconds_total", "job", "node", "instance", "web-1:9100", "mode", "idle"), "host/web-1", "", ""},
		{"node exporter v6", labels.FromStrings("__name__", "node_load1", "job", "infra", "instance", "[fe80::1]:9100"), "host/fe80::1", "", ""},
		{"up of the node exporter", labels.FromStrings("__name__", "up", "job", "node-exporter", "instance", "web-1:9100"), "host/web-1", "", ""},
		{"up of an application", labels.FromStrings("__name__", "up", "job", "cart", "instance", "10.0.0.1:80"), "service/cart", "", "instance/10.0.0.1:80"},
		{"cAdvisor in the kubelet", labels.FromStrings("__name__", "container_cpu_usage_seconds_total", "job", "kubelet", "instance", "10.0.0.1:10250", "node", "n1", "namespace", "shop", "pod", "cart-5b67c48447-mv5hb", "container", "server"), "service/cart", "", "instance/cart-5b67c48447-mv5hb"},
		{"cAdvisor of the machine", labels.FromStrings("__name__", "container_memory_usage_bytes", "job", "kubelet", "instance", "n1:10250", "id", "/"), "host/n1", "", ""},
		{"cAdvisor on Docker", labels.FromStrings("__name__", "container_memory_usage_bytes", "job", "cadvisor", "instance", "n1:8080", "name", "cart"), "service/cart", "", "instance/cart"},
		{"kube-state-metrics deployment", labels.FromStrings("__name__", "kube_deployment_status_replicas", "job", "kube-state-metrics", "instance", "10.0.0.9:8080", "namespace", "shop", "deployment", "cart"), "service/cart", "", ""},
		{"kube-state-metrics pod, renamed", labels.FromStrings("__name__", "kube_pod_container_status_restarts_total", "job", "kube-state-metrics", "pod", "ksm-7d9f8b6c5d-x2x4z", "exported_pod", "cart-5b67c48447-mv5hb"), "service/cart", "", "instance/cart-5b67c48447-mv5hb"},
		{"kube-state-metrics node", labels.FromStrings("__name__", "kube_node_status_condition", "job", "kube-state-metrics", "node", "n1"), "host/n1", "", ""},
		{"annotated pods", labels.FromStrings("__name__", "jobs_done_total", "job", "kubernetes-pods", "pod", "worker-7d9f8b6c5d-x2x4z", "instance", "10.1.1.1:80"), "service/worker", "", "instance/worker-7d9f8b6c5d-x2x4z"},
		{"PostgreSQL exporter", labels.FromStrings("__name__", "pg_up", "job", "orders-db-exporter", "instance", "db:9187"), "database/orders-db", "", "instance/db:9187"},
		{"Redis exporter", labels.FromStrings("__name__", "redis_connected_clients", "job", "redis", "instance", "r:9121"), "cache/redis", "", "instance/r:9121"},
		{"client's database metric", labels.FromStrings("__name__", "db_client_operation_duration_seconds_count", "job", "shop/orders", "instance", "i", "db_namespace", "orders-db", "db_system_name", "sqlite"), "service/orders", "database/orders-db", "instance/i"},
		{"watched queue", labels.FromStrings("__name__", "messaging_queue_length", "messaging_destination_name", "mails", "service_instance_id", "broker-1"), "queue/mails", "", "instance/broker-1"},
		{"own series", labels.FromStrings("__name__", "norn_request_rate", "entity", "database/orders-db"), "database/orders-db", "", ""},
		{"own edge", labels.FromStrings("__name__", "norn_edge_request_rate", "entity", "service/cart", "peer", "cache/redis"), "service/cart", "cache/redis", ""},
		{"service graph connector", labels.FromStrings("__name__", "traces_service_graph_request_total", "client", "cart", "server", "pay", "job", "otel-collector"), "service/cart", "service/pay", ""},
		{"Istio", labels.FromStrings("__name__", "istio_requests_total", "reporter", "source", "source_workload", "cart", "destination_workload", "pay"), "service/cart", "service/pay", ""},
		{"Telegraf", labels.FromStrings("__name__", "cpu_usage_idle", "host", "web-1"), "host/web-1", "", ""},
		{"Lambda", labels.FromStrings("__name__", "x", "faas_name", "resize"), "function/resize", "", ""},
		{"device", labels.FromStrings("__name__", "x", "device_id", "pump-7"), "device/pump-7", "", ""},
		{"alert", labels.FromStrings("alertname", "HighErrors", "service", "cart"), "service/cart", "", ""},
		{"nobody", labels.FromStrings("__name__", "x"), "", "", ""},
		{"nothing", labels.EmptyLabels(), "", "", ""},
	} {
		e, p, i := EntityOfLabels(c.ls)
		if e.String() != c.entity || p.String() != c.peer || i.String() != c.instance {
			t.Errorf("%s: got %q %q %q, want %q %q %q", c.sender, e, p, i, c.entity, c.peer, c.instance)
		}
	}
}

func TestPodsNamesLoseOnlyWhatKubernetesAppended(t *testing.T) {
	for pod, want := range map[string]string{
		"ts-order-service-5b67c48447-mv5hb": "ts-order-service", "db-0": "db", "db-12": "db", "cart-7d9f8b6c5d-x2x4z": "cart",
		"backup-28912340-abcde": "backup-28912340-abcde", "backup-28912340-x2x4z": "backup", "cart": "cart", "front-end": "front-end",
		"api-v2": "api-v2", "-": "-", "": "", "a-": "a-", "redis-master-0": "redis-master", "mysql-19999": "mysql-19999",
	} {
		if got := ServiceOfPod(pod); got != want {
			t.Errorf("%s: got %s, want %s", pod, got, want)
		}
	}
}

func TestSignalsAndDirections(t *testing.T) {
	for _, c := range []struct {
		name string
		ls   labels.Labels
		base string
		rate bool
		sig  telemetry.Signal
		dir  telemetry.Direction
	}{
		{"norn_latency_seconds", labels.EmptyLabels(), "s", false, telemetry.SignalLatency, 1},
		{"norn_edge_gap_seconds", labels.EmptyLabels(), "s", false, telemetry.SignalNetwork, 1},
		{"norn_log_template_rate", labels.EmptyLabels(), "", false, telemetry.SignalLogs, 0},
		{"http_requests_total", labels.EmptyLabels(), "", true, telemetry.SignalTraffic, 0},
		{"http_requests_total", labels.FromStrings("code", "503"), "", true, telemetry.SignalErrors, 1},
		{"http_requests_total", labels.FromStrings("status", "404"), "", true, telemetry.SignalTraffic, 0},
		{"grpc_server_handled_total", labels.FromStrings("grpc_code", "Unavailable"), "", true, telemetry.SignalErrors, 1},
		{"orders_failed_total", labels.EmptyLabels(), "", true, telemetry.SignalErrors, 1},
		{"http_request_duration_seconds", labels.EmptyLabels(), "s", false, telemetry.SignalLatency, 1},
		{"process_cpu_seconds_total", labels.EmptyLabels(), "s", true, telemetry.SignalSaturation, 1},
		{"node_cpu_seconds_total", labels.FromStrings("mode", "idle"), "s", true, telemetry.SignalSaturation, -1},
		{"node_memory_MemAvailable_bytes", labels.EmptyLabels(), "By", false, telemetry.SignalSaturation, -1},
		{"process_resident_memory_bytes", labels.EmptyLabels(), "By", false, telemetry.SignalSaturation, 1},
		{"go_goroutines", labels.EmptyLabels(), "", false, telemetry.SignalSaturation, 1},
		{"queue_depth", labels.EmptyLabels(), "", false, telemetry.SignalSaturation, 1},
		{"node_network_receive_bytes_total", labels.EmptyLabels(), "By", true, telemetry.SignalTraffic, 0},
		{"up", labels.EmptyLabels(), "", false, telemetry.SignalUp, -1},
		{"pg_up", labels.EmptyLabels(), "", false, telemetry.SignalUp, -1},
		{"process_uptime_seconds", labels.EmptyLabels(), "s", false, telemetry.SignalOther, 0},
		{"cache_hit_ratio", labels.EmptyLabels(), "1", false, telemetry.SignalSaturation, -1},
		{"messaging_queue_refused_total", labels.EmptyLabels(), "", true, telemetry.SignalErrors, 1},
		{"mirrors", labels.EmptyLabels(), "", false, telemetry.SignalOther, 0},
	} {
		if sig, dir := signalOf(c.name, c.ls, c.base, c.rate); sig != c.sig || dir != c.dir {
			t.Errorf("%s%s: got %s %d, want %s %d", c.name, c.ls, sig, dir, c.sig, c.dir)
		}
	}
}

func TestUnitsBecomeBaseUnits(t *testing.T) {
	for _, c := range []struct {
		v    float64
		unit string
		want float64
		base string
	}{
		{1500, "ms", 1.5, "s"}, {2, "min", 120, "s"}, {3, "us", 3e-6, "s"}, {5, "ns", 5e-9, "s"}, {1, "h", 3600, "s"}, {1, "d", 86400, "s"},
		{4, "MiBy", 4 << 20, "By"}, {1, "KiB", 1024, "By"}, {8, "bit", 1, "By"}, {2, "kBy", 2000, "By"}, {50, "%", 0.5, "1"}, {0.5, "1", 0.5, "1"},
		{60, "{request}/min", 1, "{request}/s"}, {1, "MiBy/s", 1 << 20, "By/s"}, {1, "{a/b}", 1, "{a/b}"}, {10, "/min", 10.0 / 60, "1/s"}, {10, "ms/s", 0.01, "1"},
		{3, "GHz", 3e9, "Hz"}, {3, "furlong", 3, "furlong"}, {3, "", 3, ""}, {3, "/", 3, "/"}, {3, "x/s", 3, "x/s"}, {21, "Cel", 21, "Cel"},
	} {
		v, base := BaseUnit(c.v, c.unit)
		if d := v - c.want; d > 1e-12*c.want || d < -1e-12*c.want || base != c.base {
			t.Errorf("%v %s: got %v %s, want %v %s", c.v, c.unit, v, base, c.want, c.base)
		}
	}
}

func TestSignalsAreRememberedAsTheyWereFound(t *testing.T) {
	var c signalCache
	for range 2 { // found, then remembered
		for _, name := range []string{"http_requests_total", "cpu_usage_ratio", "node_cpu_seconds_total", "http_request_duration_seconds", "up", "x"} {
			for _, ls := range []labels.Labels{
				labels.EmptyLabels(), labels.FromStrings("code", "500"), labels.FromStrings("code", "200"),
				labels.FromStrings("mode", "idle"), labels.FromStrings("state", "free"), labels.FromStrings("result", "timeout"),
			} {
				for _, base := range []string{"", "s", "By"} {
					for _, rate := range []bool{false, true} {
						s, d := c.of(name, ls, base, rate)
						if ws, wd := signalOf(name, ls, base, rate); s != ws || d != wd {
							t.Fatalf("%s%s in %q, rate %v: %s %d, want %s %d", name, ls, base, rate, s, d, ws, wd)
						}
					}
				}
			}
		}
	}
	for i := range 3 * maxSignals {
		c.of("name_"+strconv.Itoa(i), labels.EmptyLabels(), "", false)
	}
	if len(c.m) > maxSignals {
		t.Errorf("%d names are remembered", len(c.m))
	}
}
