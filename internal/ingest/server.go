package ingest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Server serves one HTTP handler on one address, with timeouts that end
// half-open connections and a limit on connections. Connections beyond the
// limit are closed at once and counted.
type Server struct {
	ln  net.Listener
	srv *http.Server
}

// ServerOptions say where and how to serve.
type ServerOptions struct {
	Addr     string // host:port; port 0 takes a free one
	Protocol string // for errors and counters
	Handler  http.Handler
	Limits   Limits
	Counters *Counters
	Logger   *slog.Logger
	Timeout  time.Duration // to read a request's body; 0 means 30 s
	TLS      *tls.Config   // nil serves plain HTTP
}

// Listen binds the address. Serving begins with [Server.Run].
func Listen(o ServerOptions) (*Server, error) {
	ln, err := net.Listen("tcp", o.Addr)
	if err != nil {
		return nil, fmt.Errorf("listen for %s on %s: %w", o.Protocol, o.Addr, err)
	}
	if o.Timeout <= 0 {
		o.Timeout = 30 * time.Second
	}
	lim := &limitListener{
		Listener: ln,
		slots:    make(chan struct{}, o.Limits.WithDefaults().Connections),
		refused:  func() { o.Counters.Reason(o.Protocol, "too_many_connections", 1) },
	}
	srv := &http.Server{
		Handler:           bodyTimeout{o.Handler, o.Timeout},
		ReadHeaderTimeout: min(10*time.Second, o.Timeout),
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
	if o.Logger != nil {
		srv.ErrorLog = slog.NewLogLogger(o.Logger.Handler(), slog.LevelDebug)
	}
	s := &Server{ln: lim, srv: srv}
	if o.TLS != nil {
		s.ln = tls.NewListener(lim, o.TLS)
	}
	return s, nil
}

// Addr is the bound address.
func (s *Server) Addr() string { return s.ln.Addr().String() }

// Run serves until ctx ends, then lets running requests finish for up to ten
// seconds.
func (s *Server) Run(ctx context.Context) error {
	done := make(chan error, 1)
	go func() { done <- s.srv.Serve(s.ln) }()
	select {
	case err := <-done:
		return fmt.Errorf("serve on %s: %w", s.Addr(), err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	err := s.srv.Shutdown(grace)
	if err != nil {
		err = errors.Join(err, s.srv.Close())
	}
	if serveErr := <-done; !errors.Is(serveErr, http.ErrServerClosed) {
		err = errors.Join(err, serveErr)
	}
	if err != nil {
		return fmt.Errorf("shut down %s: %w", s.Addr(), err)
	}
	return nil
}

// Close releases the address of a server that was never run.
func (s *Server) Close() error { return s.ln.Close() }

// bodyTimeout bounds the reading of request bodies. [http.Server.ReadTimeout]
// would also end responses that stream for longer (server-sent events).
type bodyTimeout struct {
	next    http.Handler
	timeout time.Duration
}

func (b bodyTimeout) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Body != nil && r.Body != http.NoBody {
		rc := http.NewResponseController(w)
		_ = rc.SetReadDeadline(time.Now().Add(b.timeout)) // cannot fail on a TCP connection that is open
		r.Body = &timedBody{ReadCloser: r.Body, lift: func() { _ = rc.SetReadDeadline(time.Time{}) }}
	}
	b.next.ServeHTTP(w, r)
}

// timedBody lifts the deadline when the body was read to its end.
type timedBody struct {
	io.ReadCloser
	lift func()
	once onceFlag
}

// Read implements [io.Reader].
func (t *timedBody) Read(p []byte) (int, error) {
	n, err := t.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) && t.once.first() {
		t.lift()
	}
	return n, err
}

// limitListener closes connections beyond its slots.
type limitListener struct {
	net.Listener
	slots   chan struct{}
	refused func()
}

func (l *limitListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case l.slots <- struct{}{}:
			return &slotConn{Conn: c, release: l.slots}, nil
		default:
			l.refused()
			c.Close()
		}
	}
}

type slotConn struct {
	net.Conn
	release chan struct{}
	once    onceFlag
}

// CloseWrite lets the HTTP server linger after an early error response.
func (c *slotConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

func (c *slotConn) Close() error {
	if c.once.first() {
		<-c.release
	}
	return c.Conn.Close()
}
