package otlp

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configgrpc"
	"go.opentelemetry.io/collector/extension/extensionmiddleware"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	logspb "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	metricspb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	tracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"
	"google.golang.org/protobuf/proto"

	"github.com/norn-aiops/norn/internal/ingest"
)

type grpcServer = configgrpc.ServerConfig

// partial is where a consumer leaves, through the context, what it refused; the
// middleware puts it into the response.
type partial struct {
	reached  bool // a consumer was called: the request could be decoded
	rejected int64
	message  string
}

type partialKey struct{}

// middleware is the collector "extension" that wraps both servers: it answers
// with partial success, limits connections (gRPC) and concurrent requests
// (HTTP), bounds the time of a gRPC request, and turns a panic of ours into an
// error of one request.
type middleware struct {
	component.StartFunc
	component.ShutdownFunc

	slots    int64
	open     atomic.Int64
	timeout  time.Duration
	counters *ingest.Counters
	log      *slog.Logger
	httpSlot chan struct{}
}

var (
	_ extensionmiddleware.HTTPServer = (*middleware)(nil)
	_ extensionmiddleware.GRPCServer = (*middleware)(nil)
)

func newMiddleware(slots int, timeout time.Duration, counters *ingest.Counters, log *slog.Logger) *middleware {
	return &middleware{slots: int64(slots), timeout: timeout, counters: counters, log: log, httpSlot: make(chan struct{}, slots)}
}

// GetGRPCServerOptions implements [extensionmiddleware.GRPCServer].
func (m *middleware) GetGRPCServerOptions(context.Context) ([]grpc.ServerOption, error) {
	return []grpc.ServerOption{
		grpc.ConnectionTimeout(10 * time.Second),
		grpc.StatsHandler(connCounter{m}),
		grpc.InTapHandle(m.tap),
		grpc.ChainUnaryInterceptor(m.unary),
	}, nil
}

type overLimitKey struct{}

// connCounter marks connections beyond the limit; gRPC offers no way to close
// them from here, so every request on them is refused.
type connCounter struct{ m *middleware }

// TagConn implements [stats.Handler].
func (c connCounter) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context {
	if c.m.open.Add(1) > c.m.slots {
		c.m.counters.Reason(protocol, "too_many_connections", 1)
		return context.WithValue(ctx, overLimitKey{}, true)
	}
	return ctx
}

// HandleConn implements [stats.Handler].
func (c connCounter) HandleConn(_ context.Context, s stats.ConnStats) {
	if _, ok := s.(*stats.ConnEnd); ok {
		c.m.open.Add(-1)
	}
}

// TagRPC implements [stats.Handler].
func (connCounter) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

// HandleRPC implements [stats.Handler].
func (connCounter) HandleRPC(context.Context, stats.RPCStats) {}

// tap runs before a request is read. The stream's own cancellation, which
// comes with its end, releases the timer.
func (m *middleware) tap(ctx context.Context, _ *tap.Info) (context.Context, error) {
	if ctx.Value(overLimitKey{}) != nil {
		return nil, status.Error(codes.Unavailable, "too many connections")
	}
	ctx, cancel := context.WithTimeout(ctx, m.timeout)
	context.AfterFunc(ctx, cancel)
	return ctx, nil
}

func (m *middleware) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (resp any, err error) {
	defer func() {
		if p := recover(); p != nil {
			m.counters.Reason(protocol, "panic", 1)
			m.log.Error("OTLP request panicked", "method", info.FullMethod, "panic", p, "stack", string(debug.Stack()))
			resp, err = nil, status.Error(codes.Internal, "internal error")
		}
	}()
	part := &partial{}
	resp, err = next(context.WithValue(ctx, partialKey{}, part), req)
	if err != nil || part.rejected == 0 {
		return resp, err
	}
	switch {
	case strings.Contains(info.FullMethod, "MetricsService"):
		return &metricspb.ExportMetricsServiceResponse{PartialSuccess: &metricspb.ExportMetricsPartialSuccess{
			RejectedDataPoints: part.rejected, ErrorMessage: part.message}}, nil
	case strings.Contains(info.FullMethod, "LogsService"):
		return &logspb.ExportLogsServiceResponse{PartialSuccess: &logspb.ExportLogsPartialSuccess{
			RejectedLogRecords: part.rejected, ErrorMessage: part.message}}, nil
	case strings.Contains(info.FullMethod, "TraceService"):
		return &tracepb.ExportTraceServiceResponse{PartialSuccess: &tracepb.ExportTracePartialSuccess{
			RejectedSpans: part.rejected, ErrorMessage: part.message}}, nil
	}
	return resp, nil
}

// GetHTTPHandler implements [extensionmiddleware.HTTPServer].
func (m *middleware) GetHTTPHandler(context.Context) (extensionmiddleware.WrapHTTPHandlerFunc, error) {
	return func(_ context.Context, next http.Handler) (http.Handler, error) {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { m.serve(w, r, next) }), nil
	}, nil
}

func (m *middleware) serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	select {
	case m.httpSlot <- struct{}{}:
		defer func() { <-m.httpSlot }()
	default:
		m.counters.Reason(protocol, "too_many_connections", 1)
		w.Header().Set("Retry-After", "1")
		http.Error(w, "too many requests at once", http.StatusServiceUnavailable)
		return
	}
	part := &partial{}
	hold := &heldResponse{header: w.Header(), status: http.StatusOK}
	next.ServeHTTP(hold, r.WithContext(context.WithValue(r.Context(), partialKey{}, part)))
	body := hold.body.Bytes()
	if hold.status == http.StatusInternalServerError && !part.reached {
		// The receiver fails over an error text that is no UTF-8, which it has
		// from the request: that is the sender's fault.
		hold.status = http.StatusBadRequest
		body = undecodable(w.Header(), r.Header.Get("Content-Type"))
	}
	if hold.status >= 400 {
		m.countError(hold.status)
	}
	if hold.status == http.StatusOK && part.rejected > 0 {
		if b, err := partialBody(r.URL.Path, w.Header().Get("Content-Type"), part); err == nil && b != nil {
			body = b
		}
	}
	w.WriteHeader(hold.status)
	_, _ = w.Write(body) // the peer is gone: nobody to tell
}

// undecodable is the answer to a body that is neither protobuf nor JSON of OTLP,
// in the encoding of the request.
func undecodable(header http.Header, contentType string) []byte {
	st := status.New(codes.InvalidArgument, "the request body cannot be decoded").Proto()
	if strings.HasPrefix(contentType, "application/x-protobuf") {
		if b, err := proto.Marshal(st); err == nil {
			header.Set("Content-Type", "application/x-protobuf")
			return b
		}
	}
	header.Set("Content-Type", "application/json")
	return []byte(`{"code":3,"message":"the request body cannot be decoded"}`)
}

// reached notes that a request was decoded.
func reached(ctx context.Context) {
	if part, ok := ctx.Value(partialKey{}).(*partial); ok {
		part.reached = true
	}
}

// countError counts requests that the embedded receiver refused by itself;
// what our consumers refused they have counted.
func (m *middleware) countError(code int) {
	switch code {
	case http.StatusUnsupportedMediaType:
		m.counters.Reason(protocol, "unsupported_media_type", 1)
	case http.StatusMethodNotAllowed, http.StatusNotFound:
		m.counters.Reason(protocol, "bad_request_line", 1)
	case http.StatusBadRequest:
		m.counters.Reason(protocol, "bad_request", 1)
	}
}

// partialBody encodes an export response for the signal of path.
func partialBody(path, contentType string, part *partial) ([]byte, error) {
	var enc interface {
		MarshalProto() ([]byte, error)
		MarshalJSON() ([]byte, error)
	}
	switch path {
	case "/v1/metrics":
		resp := pmetricotlp.NewExportResponse()
		resp.PartialSuccess().SetRejectedDataPoints(part.rejected)
		resp.PartialSuccess().SetErrorMessage(part.message)
		enc = resp
	case "/v1/logs":
		resp := plogotlp.NewExportResponse()
		resp.PartialSuccess().SetRejectedLogRecords(part.rejected)
		resp.PartialSuccess().SetErrorMessage(part.message)
		enc = resp
	case "/v1/traces":
		resp := ptraceotlp.NewExportResponse()
		resp.PartialSuccess().SetRejectedSpans(part.rejected)
		resp.PartialSuccess().SetErrorMessage(part.message)
		enc = resp
	default:
		return nil, nil
	}
	if strings.HasPrefix(contentType, "application/json") {
		return enc.MarshalJSON()
	}
	return enc.MarshalProto()
}

// heldResponse keeps the receiver's small response until we know whether a
// part was refused.
type heldResponse struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header implements [http.ResponseWriter].
func (h *heldResponse) Header() http.Header { return h.header }

// WriteHeader implements [http.ResponseWriter].
func (h *heldResponse) WriteHeader(code int) { h.status = code }

// Write implements [http.ResponseWriter].
func (h *heldResponse) Write(b []byte) (int, error) { return h.body.Write(b) }

// answer turns what was refused of a batch into the protocol's words: nothing
// to say, partial success, or InvalidArgument (400) when nothing was good.
func answer(ctx context.Context, rejected, total int, detail string) error {
	if rejected <= 0 {
		return nil
	}
	detail = ingest.Clean(detail)
	if rejected >= total {
		return status.Error(codes.InvalidArgument, detail)
	}
	if part, ok := ctx.Value(partialKey{}).(*partial); ok {
		part.rejected, part.message = int64(rejected), detail
	}
	return nil
}

// retryable says that nothing was kept and the sender should try again:
// Unavailable, over HTTP 503.
func retryable(err error) error { return status.Error(codes.Unavailable, ingest.Clean(err.Error())) }
