package logread

import (
	"strings"

	"github.com/norn-aiops/norn/internal/telemetry"
)

// typeWeb adds the typed fields of a web request to a record whose attributes
// describe one under names of their own, as JSON, logfmt, CSV and W3C logs do.
// It reports whether they do: a method and a status are needed.
func typeWeb(rec *telemetry.LogRecord) bool {
	get := func(names ...string) string {
		for _, name := range names {
			for i := range rec.Attributes {
				if strings.EqualFold(rec.Attributes[i].Key, name) {
					return rec.Attributes[i].Value
				}
			}
		}
		return ""
	}
	w := web{
		method: strings.ToUpper(get("http.request.method", "method", "request_method", "http_method", "verb", "cs-method", "requestMethod", "req.method", "http.method", "httpRequest.requestMethod")),
		status: get("http.response.status_code", "status", "status_code", "statusCode", "sc-status", "http_status", "response_code", "res.statusCode", "http.status_code", "code", "httpRequest.status"),
		client: get("client.address", "remote_addr", "client_ip", "clientip", "remote_ip", "c-ip", "client", "remoteAddr", "remoteIp", "ip", "req.remoteAddress"),
		agent:  get("user_agent.original", "http_user_agent", "user_agent", "userAgent", "cs(User-Agent)", "agent"),
		bytes:  get("http.response.body.size", "body_bytes_sent", "bytes_sent", "bytes", "size", "sc-bytes", "response_size", "resp_bytes", "content_length"),
		server: get("server.address", "cs-host", "http_host", "vhost"),
	}
	target := get("url.path", "path", "uri", "request_uri", "cs-uri-stem", "url", "requestUrl", "req.url", "request_path", "http.target", "httpRequest.requestUrl")
	w.path, w.query, _ = strings.Cut(target, "?")
	if w.query == "" {
		w.query = get("url.query", "cs-uri-query", "query_string")
	}
	if w.method == "" {
		w.request(get("request", "request_line"))
	}
	if !isMethod(w.method) || len(w.status) != 3 || w.status < "100" || w.status > "599" {
		return false
	}
	w.duration = duration(get)
	w.fill(rec)
	if rec.Body == "" {
		rec.Body = `"` + w.method + " " + w.path + `" ` + w.status
	}
	return true
}

// duration finds how long a request took, in seconds, by the names that tell
// the unit, and by those that do not: a number with a point is in seconds then,
// one without in milliseconds.
func duration(get func(...string) string) string {
	for _, u := range [...]struct {
		unit  float64
		names []string
	}{
		{1, []string{"http.server.request.duration", "request_time", "duration_s", "duration_seconds", "upstream_response_time"}},
		{1e-3, []string{"time-taken", "duration_ms", "latency_ms", "elapsed_ms", "responseTime", "response_time_ms", "took_ms", "durationMs", "request_time_ms"}},
		{1e-6, []string{"duration_us", "latency_us"}},
		{1e-9, []string{"duration_ns", "latency_ns"}},
	} {
		if v := get(u.names...); v != "" {
			return seconds(v, u.unit)
		}
	}
	v := get("duration", "latency", "elapsed", "took", "response_time", "time_taken", "httpRequest.latency")
	if strings.Contains(v, ".") {
		return seconds(v, 1)
	}
	return seconds(v, 1e-3)
}
