package malformed

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// endpoint is one HTTP entrance and what its requests look like.
type endpoint struct {
	protocol    string
	target      func(Targets) (addr, path string, err error)
	contentType string
	encodings   bool // takes gzip and zstd
	snappy      bool
	good        string // a body that is right but for its limits
	hugeLabel   string // a body with one label beyond the limits
	soft        func(body string) bool
	guarded     bool // behind the token
	bombs       *bombs
}

// bombs are 24 MiB of zeros, beyond the default limit of a body, made small.
type bombs struct{ gzip, zstd []byte }

func newBombs() *bombs {
	zeros := make([]byte, 24<<20)
	var gz bytes.Buffer
	w := gzip.NewWriter(&gz)
	_, _ = w.Write(zeros) // a buffer never fails
	_ = w.Close()
	b := &bombs{gzip: gz.Bytes()}
	if enc, err := zstd.NewWriter(nil); err == nil { // no options, no error
		b.zstd = enc.EncodeAll(zeros, nil)
	}
	return b
}

func host(get func(Targets) string, path string) func(Targets) (string, string, error) {
	return func(t Targets) (string, string, error) {
		if get(t) == "" {
			return "", "", ErrNoTarget
		}
		return get(t), path, nil
	}
}

func link(get func(Targets) string) func(Targets) (string, string, error) {
	return func(t Targets) (string, string, error) { return split(get(t)) }
}

// tool is where another tool's webhook goes to: beside Alertmanager's.
func tool(name string) func(Targets) string {
	return func(t Targets) string {
		base, found := strings.CutSuffix(t.Alerts, "/api/v2/alerts")
		if !found {
			return ""
		}
		return base + "/api/v1/alerts/" + name
	}
}

const label = 20 << 10 // beyond the default limit of a label, 16 KiB

func endpoints() []endpoint {
	otlp := func(t Targets) string { return t.OTLPHTTP }
	attr := `{"attributes":[{"key":"a","value":{"stringValue":"` + huge(label) + `"}}],`
	return []endpoint{
		{protocol: "otlp-http", target: host(otlp, "/v1/metrics"), contentType: "application/x-protobuf", encodings: true, good: "\x0a\x02\x12\x00"},
		{protocol: "otlp-http", target: host(otlp, "/v1/logs"), contentType: "application/json", encodings: true, good: `{"resourceLogs":[]}`,
			hugeLabel: `{"resourceLogs":[{"scopeLogs":[{"logRecords":[` + attr + `"body":{"stringValue":"x"}}]}]}]}`},
		{protocol: "otlp-http", target: host(otlp, "/v1/traces"), contentType: "application/json", encodings: true, good: `{"resourceSpans":[]}`,
			hugeLabel: `{"resourceSpans":[{"scopeSpans":[{"spans":[` + attr + `"traceId":"00000000000000000000000000000001","spanId":"0000000000000001","startTimeUnixNano":"1"}]}]}]}`},
		{protocol: "elastic", target: host(func(t Targets) string { return t.Elastic }, "/_bulk"), contentType: "application/x-ndjson", encodings: true,
			good: "{\"index\":{}}\n{\"message\":\"x\"}\n", hugeLabel: "{\"index\":{}}\n{\"message\":\"x\",\"a\":\"" + huge(label) + "\"}\n",
			soft: func(body string) bool { return strings.Contains(body, `"errors":true`) }},
		{protocol: "remote_write", target: link(func(t Targets) string { return t.RemoteWrite }), contentType: "application/x-protobuf", snappy: true, guarded: true},
		{protocol: "alertmanager", target: link(func(t Targets) string { return t.Alerts }), contentType: "application/json", guarded: true, encodings: true,
			good: `[]`, hugeLabel: `[{"labels":{"alertname":"` + huge(label) + `"}}]`},
		{protocol: "grafana", target: link(tool("grafana")), contentType: "application/json", guarded: true, encodings: true,
			good: `{"alerts":[]}`, hugeLabel: `{"alerts":[{"status":"firing","labels":{"alertname":"` + huge(label) + `"}}]}`},
		{protocol: "pagerduty", target: link(tool("pagerduty")), contentType: "application/json", guarded: true, encodings: true,
			good: `{"event_action":"acknowledge"}`, hugeLabel: `{"event_action":"trigger","payload":{"source":"a","summary":"` + huge(label) + `"}}`},
		{protocol: "zabbix", target: link(tool("zabbix")), contentType: "application/json", guarded: true, encodings: true,
			good: `{}`, hugeLabel: `{"event_id":"1","name":"` + huge(label) + `"}`},
		{protocol: "nagios", target: link(tool("nagios")), contentType: "application/json", guarded: true, encodings: true,
			good: `{}`, hugeLabel: `{"host":"` + huge(label) + `","state":"DOWN"}`},
		{protocol: "json", target: link(func(t Targets) string { return t.Logs }), contentType: "application/x-ndjson", encodings: true, guarded: true,
			good: "{\"msg\":\"x\"}\n", hugeLabel: "{\"msg\":\"x\",\"a\":\"" + huge(label) + "\"}\n"},
		{protocol: "csv", target: link(func(t Targets) string { return t.Metrics }), contentType: "text/csv", encodings: true, guarded: true,
			good: "time,a\n", hugeLabel: "time,name,value,l\n2026-01-01T00:00:00Z,a,1," + huge(label) + "\n"},
		{protocol: "changes", target: link(func(t Targets) string { return t.Changes }), contentType: "application/json", encodings: true, guarded: true,
			good: `{}`, hugeLabel: `{"kind":"deploy","entity":"cart","title":"` + huge(label) + `"}`},
	}
}

// broken is one way to break an HTTP request.
type broken struct {
	name        string
	method      string // "" is POST
	headers     string // each with its line end
	contentType string // "" is the endpoint's
	body        []byte
	length      string // Content-Length; "" is the truth, "none" leaves it out
	mayClose    bool   // no answer at all is fine: the request never ended
	abandon     bool
	noHost      bool
}

func httpRequest(rnd *rand.Rand, e endpoint) Request {
	ways := e.ways(rnd)
	b := ways[rnd.Intn(len(ways))]
	send := func(ctx context.Context, t Targets) error {
		addr, path, err := e.target(t)
		if err != nil {
			return err
		}
		raw := b.render(e, addr, path, t.Token)
		if b.abandon {
			return abandon(ctx, addr, raw)
		}
		answer, err := exchange(ctx, addr, raw)
		if err != nil {
			return err
		}
		return verdict(answer, b.mayClose, e.soft)
	}
	return Request{Name: e.protocol + ": " + b.name, Protocol: e.protocol, send: send}
}

func (b broken) render(e endpoint, addr, path, token string) []byte {
	var w bytes.Buffer
	method, ct := b.method, b.contentType
	if method == "" {
		method = "POST"
	}
	if ct == "" {
		ct = e.contentType
	}
	fmt.Fprintf(&w, "%s %s HTTP/1.1\r\n", method, path)
	if !b.noHost {
		fmt.Fprintf(&w, "Host: %s\r\n", addr)
	}
	fmt.Fprintf(&w, "Connection: close\r\nContent-Type: %s\r\n%s", ct, b.headers)
	if token != "" && e.guarded {
		fmt.Fprintf(&w, "Authorization: Bearer %s\r\n", token)
	}
	switch b.length {
	case "":
		fmt.Fprintf(&w, "Content-Length: %d\r\n", len(b.body))
	case "none":
	default:
		fmt.Fprintf(&w, "Content-Length: %s\r\n", b.length)
	}
	w.WriteString("\r\n")
	w.Write(b.body)
	return w.Bytes()
}

// ways lists how a request to an endpoint can be broken.
func (e endpoint) ways(rnd *rand.Rand) []broken {
	noise := junk(rnd, 4+rnd.Intn(2000))
	out := []broken{
		{name: "random bytes", body: noise},
		{name: "empty gzip", headers: "Content-Encoding: gzip\r\n"},
		{name: "unknown encoding", headers: "Content-Encoding: rot13\r\n", body: []byte(e.good)},
		{name: "negative length", length: "-5"},
		{name: "absurd length", length: "99999999999999999999", body: noise},
		{name: "length that is no number", length: "many", body: noise},
		{name: "bad chunk", headers: "Transfer-Encoding: chunked\r\n", length: "none", body: []byte("zz\r\nhello\r\n")},
		{name: "endless chunk", headers: "Transfer-Encoding: chunked\r\n", length: "none", body: []byte("ffffffff\r\nhello"), mayClose: true},
		{name: "no host", noHost: true, body: noise},
		{name: "huge header", headers: "X-Huge: " + huge(2<<20) + "\r\n", body: noise, mayClose: true},
		{name: "header that is none", headers: "what is this\r\n", body: noise},
		{name: "NUL in a header", headers: "X-A: a\x00b\r\n", body: noise},
		{name: "wrong method", method: "DELETE", body: []byte(e.good)},
		{name: "body cut", length: fmt.Sprint(len(noise) + 1000), body: noise, mayClose: true},
		{name: "abandoned in the header", length: "none\r\nX-", abandon: true},
		{name: "abandoned in the body", length: "100000", body: noise, abandon: true},
	}
	if e.snappy {
		lie := binary.AppendUvarint(nil, 1<<40)
		out = append(out, broken{name: "snappy length that lies", headers: "Content-Encoding: snappy\r\n", body: append(lie, noise...)},
			broken{name: "snappy bomb", headers: "Content-Encoding: snappy\r\n", body: append(binary.AppendUvarint(nil, 1<<31), noise...)},
			broken{name: "wrong content type", contentType: "application/json", body: noise},
			broken{name: "unknown message", contentType: "application/x-protobuf;proto=some.Message", body: noise})
	}
	if e.encodings {
		out = append(out, e.compressed(rnd)...)
	}
	if e.hugeLabel != "" {
		out = append(out, broken{name: "huge label", body: []byte(e.hugeLabel)})
	}
	if strings.HasSuffix(e.contentType, "json") {
		out = append(out,
			broken{name: "JSON that never ends", body: []byte(`{"a":[{"b":"`)},
			broken{name: "deep JSON", body: []byte(strings.Repeat("[", 100_000))},
			broken{name: "JSON of the wrong kind", body: []byte(`"hello"`)},
			broken{name: "JSON with bad UTF-8 and escapes", body: []byte("{\"\xc3\x28\":\"\\u12\",")})
	}
	return out
}

// compressed breaks compression: cut, bombs, noise behind a magic.
func (e endpoint) compressed(rnd *rand.Rand) []broken {
	gz, zs := e.bombs.gzip, e.bombs.zstd
	return []broken{
		{name: "gzip bomb", headers: "Content-Encoding: gzip\r\n", body: gz},
		{name: "gzip cut", headers: "Content-Encoding: gzip\r\n", body: gz[:10+rnd.Intn(len(gz)/2)]},
		{name: "gzip noise", headers: "Content-Encoding: gzip\r\n", body: append([]byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0}, junk(rnd, 200)...)},
		{name: "zstd bomb", headers: "Content-Encoding: zstd\r\n", body: zs},
		{name: "zstd cut", headers: "Content-Encoding: zstd\r\n", body: zs[:6+rnd.Intn(len(zs)-7)]},
		{name: "zstd noise", headers: "Content-Encoding: zstd\r\n", body: append([]byte{0x28, 0xb5, 0x2f, 0xfd}, junk(rnd, 200)...)},
	}
}
