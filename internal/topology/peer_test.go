package topology

import (
	"testing"

	"github.com/norn-aiops/norn/internal/telemetry"
)

func TestClientsAttributesNameTheirPeer(t *testing.T) {
	for _, c := range []struct {
		client string
		kv     []string
		want   string
		final  bool
	}{
		{"SQLite in process", []string{"db.system.name", "sqlite", "db.namespace", "orders-db"}, "database/orders-db", true},
		{"SQLite file", []string{"db.system", "sqlite", "db.name", "/data/orders.db"}, "database/orders.db", true},
		{"PostgreSQL", []string{"db.system.name", "postgresql", "db.namespace", "orders", "server.address", "pg-1"}, "database/orders", true},
		{"MySQL, old names", []string{"db.system", "mysql", "net.peer.name", "mysql.shop"}, "database/mysql.shop", true},
		{"Redis by address", []string{"db.system.name", "redis", "db.namespace", "0", "server.address", "cache-1"}, "cache/cache-1", true},
		{"Redis on loopback", []string{"db.system.name", "redis", "db.namespace", "0", "server.address", "127.0.0.1"}, "cache/redis", true},
		{"memcached, declared", []string{"db.system", "memcached", "peer.service", "sessions"}, "cache/sessions", true},
		{"unknown database", []string{"db.statement", "SELECT 1"}, "database/unknown", true},
		{"Kafka", []string{"messaging.system", "kafka", "messaging.destination.name", "parcels"}, "queue/parcels", true},
		{"RabbitMQ, old names", []string{"messaging.system", "rabbitmq", "messaging.destination", "mail"}, "queue/mail", true},
		{"reply queue", []string{"messaging.system", "rabbitmq", "messaging.destination.name", "amq.gen-x", "messaging.destination.temporary", "true"}, "queue/rabbitmq", true},
		{"HTTP", []string{"server.address", "api.stripe.com", "server.port", "443"}, "external/api.stripe.com", false},
		{"HTTP, old names", []string{"http.host", "api.stripe.com:443"}, "external/api.stripe.com", false},
		{"HTTP by URL", []string{"url.full", "https://u:p@api.stripe.com/v1?x=http://y"}, "external/api.stripe.com", false},
		{"HTTP on loopback", []string{"server.address", "localhost", "server.port", "8081"}, "external/localhost:8081", false},
		{"loopback without a port", []string{"server.address", "::1"}, "", false},
		{"gRPC", []string{"rpc.system", "grpc", "network.peer.address", "10.0.0.7"}, "external/10.0.0.7", false},
		{"declared", []string{"peer.service", "legacy", "server.address", "x"}, "external/legacy", false},
		{"nothing", []string{"thread.id", "1"}, "", false},
		{"broken URL", []string{"http.url", "not a url"}, "", false},
	} {
		var attrs []telemetry.Attr
		for i := 0; i < len(c.kv); i += 2 {
			attrs = append(attrs, telemetry.Attr{Key: c.kv[i], Value: c.kv[i+1]})
		}
		if p := peerOf(attrs); p.entity.String() != c.want || p.final != c.final {
			t.Errorf("%s: got %q final %v, want %q %v", c.client, p.entity, p.final, c.want, c.final)
		}
	}
}
