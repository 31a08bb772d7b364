package malformed

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand"
	"net"
	"net/http"
)

// grpcRequest breaks gRPC frames on HTTP/2, or the connection below them.
func grpcRequest(rnd *rand.Rand) Request {
	frame := func(flag byte, length uint32, body []byte) []byte {
		return append(binary.BigEndian.AppendUint32([]byte{flag}, length), body...)
	}
	noise := junk(rnd, 4+rnd.Intn(500))
	method := []string{"metrics.v1.MetricsService", "logs.v1.LogsService", "trace.v1.TraceService"}[rnd.Intn(3)]
	path := "/opentelemetry.proto.collector." + method + "/Export"
	ways := []struct {
		name, path, contentType string
		body                    []byte
	}{
		{"random bytes in a frame", path, "application/grpc", frame(0, uint32(len(noise)), noise)},
		{"frame length that lies", path, "application/grpc", frame(0, 1<<31, noise)},
		{"frame cut", path, "application/grpc", frame(0, uint32(len(noise)+1000), noise)},
		{"frame header cut", path, "application/grpc", []byte{0, 0}},
		{"no frame", path, "application/grpc", nil},
		{"compressed without saying how", path, "application/grpc", frame(1, uint32(len(noise)), noise)},
		{"bad flag", path, "application/grpc", frame(7, uint32(len(noise)), noise)},
		{"unknown method", "/opentelemetry.Nothing/Export", "application/grpc", frame(0, 0, nil)},
		{"path without method", "/nothing", "application/grpc", frame(0, 0, nil)},
		{"wrong content type", path, "text/plain", noise},
	}
	if rnd.Intn(4) == 0 { // below gRPC: no HTTP/2 at all
		raw := [][]byte{noise, []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + string(noise)), {0x16, 3, 1}}[rnd.Intn(4)]
		return Request{Name: fmt.Sprintf("otlp-grpc: no HTTP/2 (%.8q)", raw), Protocol: "otlp-grpc", send: func(ctx context.Context, t Targets) error {
			_, err := exchange(ctx, t.OTLPGRPC, raw)
			return err
		}}
	}
	w := ways[rnd.Intn(len(ways))]
	return Request{Name: "otlp-grpc: " + w.name, Protocol: "otlp-grpc", send: func(ctx context.Context, t Targets) error {
		return callGRPC(ctx, t.OTLPGRPC, w.path, w.contentType, w.body)
	}}
}

// callGRPC posts a body over HTTP/2 without TLS and expects a gRPC error.
func callGRPC(ctx context.Context, addr, path, contentType string, body []byte) error {
	if addr == "" {
		return ErrNoTarget
	}
	tr := &http.Transport{Protocols: new(http.Protocols)}
	tr.Protocols.SetUnencryptedHTTP2(true)
	defer tr.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("make the request: %w", err)
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("TE", "trailers")
	resp, err := tr.RoundTrip(req)
	if err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("neither an answer nor an end within %s: %w", wait, err)
		}
		return nil // the stream was reset: HTTP/2's own error
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil && ctx.Err() != nil {
		return fmt.Errorf("the answer does not end within %s: %w", wait, err)
	}
	code := resp.Trailer.Get("Grpc-Status")
	if code == "" {
		code = resp.Header.Get("Grpc-Status")
	}
	if resp.StatusCode/100 == 4 || (code != "" && code != "0") {
		return nil
	}
	return fmt.Errorf("status %s, gRPC status %q", resp.Status, code)
}

// syslogLines are streams that no syslog sender should send. Syslog has no
// answer; the server must read on or hang up.
func syslogLines(rnd *rand.Rand) (name string, raw []byte) {
	noise := string(junk(rnd, 4+rnd.Intn(3000)))
	ways := []struct{ name, raw string }{
		{"random bytes", noise},
		{"octet count too small", "5 <13>this is longer than five"},
		{"octet count too large", "5000 <13>short"},
		{"octet count absurd", "999999999 <13>short"},
		{"octet count overflows", "99999999999999999999999 <13>short"},
		{"octet count negative", "-5 <13>short"},
		{"line beyond the limit", "<13>Jan  1 00:00:00 h a: " + huge(2<<20) + "\n"},
		{"octets beyond the limit", fmt.Sprintf("%d <13>%s", 4+(2<<20), huge(2<<20))},
		{"bad priority", "<999>1 - - - - - -\n<-1>x\n<>x\n<13x\n"},
		{"bad time", "<13>1 2026-13-45T99:99:99Z h a - - - x\n<13>Foo 99 99:99:99 h a: x\n"},
		{"structured data that never ends", "<13>1 - h a - - [x y=\"" + huge(1000) + "\n"},
		{"structured data too large", "<13>1 - h a - - [x y=\"" + huge(label) + "\"] m\n"},
		{"bad UTF-8", "<13>1 - h a - - - \xff\xfe\xc3\x28\n"},
		{"NULs", "\x00\x00\x00\n\x00"},
		{"HTTP", "GET / HTTP/1.1\r\nHost: x\r\n\r\n"},
		{"digits only", "12345678"},
		{"nothing", ""},
	}
	w := ways[rnd.Intn(len(ways))]
	return w.name, []byte(w.raw)
}

func syslogStream(rnd *rand.Rand) Request {
	name, raw := syslogLines(rnd)
	leave := rnd.Intn(5) == 0
	if leave {
		name += ", abandoned"
	}
	return Request{Name: "syslog-tcp: " + name, Protocol: "syslog-tcp", send: func(ctx context.Context, t Targets) error {
		if leave {
			return abandon(ctx, t.SyslogTCP, raw)
		}
		_, err := exchange(ctx, t.SyslogTCP, raw)
		return err
	}}
}

func syslogSecure(rnd *rand.Rand) Request {
	name, raw := syslogLines(rnd)
	return Request{Name: "syslog-tls: no TLS, " + name, Protocol: "syslog-tls", send: func(ctx context.Context, t Targets) error {
		_, err := exchange(ctx, t.SyslogTLS, raw)
		return err
	}}
}

func syslogDatagram(rnd *rand.Rand) Request {
	name, raw := syslogLines(rnd)
	raw = raw[:min(len(raw), 60_000)]
	return Request{Name: "syslog-udp: " + name, Protocol: "syslog-udp", send: func(ctx context.Context, t Targets) error {
		if t.SyslogUDP == "" {
			return ErrNoTarget
		}
		var d net.Dialer
		c, err := d.DialContext(ctx, "udp", t.SyslogUDP)
		if err != nil {
			return fmt.Errorf("send a datagram: %w", err)
		}
		defer c.Close()
		_, _ = c.Write(raw) // a datagram is not answered
		return nil
	}}
}
