package normalize

import "strings"

// ServiceOfPod takes the parts off a pod's name that Kubernetes appended:
// "ts-order-service-5b67c48447-mv5hb" (Deployment), "db-0" (StatefulSet),
// "node-agent-x7k2p" (DaemonSet or Job). Names without such parts are
// returned as they are. The alphabet of generated parts is that of
// k8s.io/apimachinery's rand.SafeEncodeString: no vowels, no 0, 1, 3.
func ServiceOfPod(pod string) string {
	head, tail, ok := cutLast(pod)
	if !ok {
		return pod
	}
	if isDigits(tail) && len(tail) <= 4 { // StatefulSet ordinal
		return head
	}
	if len(tail) == 5 && isSafeSuffix(tail) && !isDigits(tail) {
		return stripHash(head)
	}
	return pod
}

// stripHash takes a pod template hash (ReplicaSet) or a CronJob's time off the
// end of a workload's name.
func stripHash(name string) string {
	head, tail, ok := cutLast(name)
	if !ok {
		return name
	}
	if len(tail) >= 6 && len(tail) <= 10 && isSafeSuffix(tail) && hasDigit(tail) {
		return head
	}
	if len(tail) >= 8 && len(tail) <= 10 && isDigits(tail) {
		return head
	}
	return name
}

func cutLast(s string) (head, tail string, ok bool) {
	i := strings.LastIndexByte(s, '-')
	if i <= 0 || i == len(s)-1 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

func isSafeSuffix(s string) bool {
	return strings.Trim(s, "bcdfghjklmnpqrstvwxz0123456789") == "" && s != ""
}

func hasDigit(s string) bool { return strings.ContainsAny(s, "0123456789") }

// splitJob splits Prometheus' job as the OTLP converter writes it,
// "namespace/name".
func splitJob(job string) (namespace, name string) {
	if i := strings.LastIndexByte(job, '/'); i >= 0 && i+1 < len(job) {
		return job[:i], job[i+1:]
	}
	return "", job
}

// isGenericJob reports whether a job names the way of discovery or the agent
// rather than the service that is watched.
func isGenericJob(job string) bool {
	switch job {
	case "", "kubelet", "cadvisor", "docker", "kube-state-metrics", "otel-collector", "opentelemetry-collector",
		"federate", "pushgateway", "blackbox", "blackbox-exporter", "statsd", "telegraf":
		return true
	}
	return strings.HasPrefix(job, "kubernetes-") || isNodeJob(job)
}

func isNodeJob(job string) bool {
	switch job {
	case "node", "nodes", "node-exporter", "node_exporter", "nodeexporter", "prometheus-node-exporter", "windows_exporter", "windows-exporter":
		return true
	}
	return strings.Contains(job, "node-exporter") || strings.Contains(job, "node_exporter")
}

// isSystemProgram reports whether a syslog program belongs to the operating
// system, so that its messages are about the host.
func isSystemProgram(name string) bool {
	name = strings.ToLower(strings.TrimSuffix(name, ".service"))
	if strings.HasPrefix(name, "systemd") || strings.HasPrefix(name, "crond") {
		return true
	}
	switch name {
	case "kernel", "cron", "anacron", "sshd", "sshd-session", "sudo", "su", "login", "rsyslogd", "syslogd", "syslog-ng", "auditd", "audisp",
		"dbus", "dbus-daemon", "networkmanager", "dhclient", "dhcpcd", "ntpd", "chronyd", "polkitd", "agetty", "getty", "init",
		"udisksd", "smartd", "irqbalance", "mcelog", "acpid", "thermald", "useradd", "usermod", "groupadd", "passwd", "logrotate",
		"snapd", "apt", "dpkg", "multipathd", "lvm", "udevd":
		return true
	}
	return false
}

// cleanName trims what shippers leave around a name; "-" is syslog's nil value.
func cleanName(s string) string {
	s = strings.TrimSpace(s)
	if s == "-" {
		return ""
	}
	return s
}

// cleanHost trims a host's name and takes a port off it.
func cleanHost(s string) string {
	s = cleanName(s)
	if isLoopback(s) {
		return s
	}
	return stripPort(s)
}

// stripPort takes the port off "host:port", "1.2.3.4:port" and "[v6]:port".
func stripPort(s string) string {
	if strings.HasPrefix(s, "[") {
		if i := strings.IndexByte(s, ']'); i > 0 {
			return s[1:i]
		}
		return s
	}
	i := strings.IndexByte(s, ':')
	if i <= 0 || strings.IndexByte(s[i+1:], ':') >= 0 || !isDigits(s[i+1:]) {
		return s
	}
	return s[:i]
}
