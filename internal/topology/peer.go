package topology

import (
	"strings"

	"github.com/norn-aiops/norn/internal/telemetry"
)

// peer is what a client or messaging span says about its other end.
type peer struct {
	entity telemetry.Entity
	addr   string // host:port as far as known, or what else names it
	final  bool   // a database, cache or queue: no server span will come
}

// first returns the value of the first key that has one.
func first(attrs []telemetry.Attr, keys ...string) string {
	for _, k := range keys {
		if v := telemetry.Get(attrs, k); v != "" {
			return v
		}
	}
	return ""
}

// peerOf names the other end of an outgoing or messaging span by the
// OpenTelemetry semantic conventions, present and past. The zero peer means
// that the span does not say.
func peerOf(attrs []telemetry.Attr) peer {
	if len(attrs) == 0 {
		return peer{}
	}
	system := first(attrs, "db.system.name", "db.system")
	namespace := first(attrs, "db.namespace", "db.name")
	if system != "" || namespace != "" || telemetry.Get(attrs, "db.statement") != "" || telemetry.Get(attrs, "db.query.text") != "" {
		return peer{entity: databaseOf(attrs, system, namespace), final: true}
	}
	if q := queueOf(attrs); !q.IsZero() {
		return peer{entity: q, final: true}
	}
	name, addr := telemetry.Get(attrs, "peer.service"), ""
	if name == "" {
		name, addr = addressOf(attrs)
	}
	if name == "" {
		return peer{}
	}
	if addr == "" {
		addr = name
	}
	return peer{entity: telemetry.Entity{Kind: telemetry.KindExternal, Name: name}, addr: addr}
}

// databaseOf names a database or cache: the declared peer, else (for
// databases) the namespace, else the server's address unless it is loopback,
// else the namespace, else the system. The normalize stage names peers of
// client metrics by the same rule.
func databaseOf(attrs []telemetry.Attr, system, namespace string) telemetry.Entity {
	kind := telemetry.KindDatabase
	switch system {
	case "redis", "memcached", "valkey", "hazelcast", "dragonfly":
		kind = telemetry.KindCache
	}
	if i := strings.LastIndexByte(namespace, '/'); i >= 0 && i+1 < len(namespace) {
		namespace = namespace[i+1:] // SQLite: a file's path
	}
	address := first(attrs, "server.address", "net.peer.name", "network.peer.address", "net.peer.ip")
	if isLoopback(address) {
		address = ""
	}
	name := telemetry.Get(attrs, "peer.service")
	if name == "" && kind == telemetry.KindDatabase {
		name = namespace
	}
	if name == "" {
		name = address
	}
	if name == "" && !isNumber(namespace) {
		name = namespace
	}
	if name == "" {
		name = system
	}
	if name == "" {
		name = "unknown"
	}
	return telemetry.Entity{Kind: kind, Name: name}
}

// queueOf names the queue, topic or stream that a messaging span is about.
func queueOf(attrs []telemetry.Attr) telemetry.Entity {
	name := first(attrs, "messaging.destination.template", "messaging.destination.name", "messaging.destination",
		"messaging.kafka.topic", "messaging.rabbitmq.destination.routing_key", "messaging.source.name")
	system := telemetry.Get(attrs, "messaging.system")
	if telemetry.Get(attrs, "messaging.destination.temporary") == "true" || telemetry.Get(attrs, "messaging.destination.anonymous") == "true" {
		name = system
	}
	if name == "" {
		name = system
	}
	return telemetry.Entity{Kind: telemetry.KindQueue, Name: name}
}

// addressOf finds where a request went to: the name for an external entity
// (the host, with the port only for loopback) and the full address.
func addressOf(attrs []telemetry.Attr) (name, addr string) {
	host, port := first(attrs, "server.address", "net.peer.name", "http.host"), first(attrs, "server.port", "net.peer.port")
	if host == "" {
		host = hostOfURL(first(attrs, "url.full", "http.url"))
	}
	if host == "" {
		host = first(attrs, "network.peer.address", "net.peer.ip", "net.sock.peer.addr")
	}
	if h, p, ok := strings.Cut(host, ":"); ok && isNumber(p) {
		host, port = h, p
	}
	switch {
	case isLoopback(host) && port == "":
		return "", ""
	case isLoopback(host):
		return host + ":" + port, host + ":" + port
	case port == "":
		return host, host
	}
	return host, host + ":" + port
}

func hostOfURL(u string) string {
	_, rest, ok := strings.Cut(u, "://")
	if !ok {
		return ""
	}
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		rest = rest[:i]
	}
	return rest[strings.LastIndexByte(rest, '@')+1:]
}

func isLoopback(a string) bool {
	return a == "localhost" || a == "::1" || a == "[::1]" || strings.HasPrefix(a, "127.")
}

func isNumber(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// isReceive reports whether a messaging span takes messages rather than sends
// them.
func isReceive(attrs []telemetry.Attr) bool {
	switch first(attrs, "messaging.operation.type", "messaging.operation", "messaging.operation.name") {
	case "receive", "process", "poll", "consume", "settle", "deliver":
		return true
	}
	return false
}
