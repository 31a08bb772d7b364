// Package syslog receives log lines by RFC 5424 and RFC 3164 over UDP, TCP and
// TLS.
//
// On TCP and TLS both framings of RFC 6587 are understood, told apart by the
// beginning of each connection: octet counting ("LENGTH <") and newlines (anything
// else). Lines that neither RFC covers become records with the raw line as body,
// counted as "unparsable": no line is lost for its form. A line that is longer
// than the limit is cut there, counted as "line_cut" and marked with the
// attribute syslog.truncated. It does not normalise, deduplicate or judge.
//
// Syslog has no acknowledgement. On streams the receiver holds the sender back
// instead: it does not read on while the sink is behind, and it gives records to
// the sink again until that keeps them. UDP datagrams that find the queue full
// are dropped and counted as "queue_full".
//
// The main type is [Server].
package syslog

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/norn-aiops/norn/internal/ingest"
	"github.com/norn-aiops/norn/internal/telemetry"
)

const protocol = "syslog"

// Options say where to listen and whom to hand records to. An empty address
// turns a listener off.
type Options struct {
	UDPAddr string // host:port; port 0 takes a free one
	TCPAddr string
	TLSAddr string
	TLS     *tls.Config // needed with TLSAddr
	// Location is the time zone of RFC 3164 timestamps, which carry none; nil
	// means UTC.
	Location *time.Location
	Sink     ingest.Sink
	Limits   ingest.Limits
	Counters *ingest.Counters
	Logger   *slog.Logger     // nil discards
	Now      func() time.Time // nil means time.Now
	// BatchSize and BatchWait bound a batch for the sink (1000 records, 5 ms).
	BatchSize int
	BatchWait time.Duration
	// StallTimeout ends a connection that sends nothing at all after it was
	// opened, or stops inside a line (1 min). Between lines it may be idle.
	StallTimeout time.Duration
}

// Server is a bound syslog receiver.
type Server struct {
	opts   Options
	limits ingest.Limits
	udp    net.PacketConn
	tcp    net.Listener
	tls    net.Listener

	queue chan entry
	bytes *semaphore.Weighted // bytes in queue and batch, at most limits.Bytes
	slots chan struct{}       // connections

	mu    sync.Mutex
	conns map[net.Conn]struct{}
}

// entry is one record on its way to the sink and what it weighs.
type entry struct {
	rec    telemetry.LogRecord
	weight int64
}

// Listen binds the addresses; [Server.Run] serves.
func Listen(o Options) (*Server, error) {
	if o.UDPAddr == "" && o.TCPAddr == "" && o.TLSAddr == "" {
		return nil, errors.New("start syslog receiver: no address given")
	}
	if o.TLSAddr != "" && o.TLS == nil {
		return nil, errors.New("start syslog receiver: TLS needs a certificate")
	}
	o.defaults()
	s := &Server{opts: o, limits: o.Limits.WithDefaults(), conns: map[net.Conn]struct{}{}}
	s.queue = make(chan entry, 2*o.BatchSize)
	s.bytes = semaphore.NewWeighted(s.limits.Bytes)
	s.slots = make(chan struct{}, s.limits.Connections)
	if err := s.bind(); err != nil {
		s.close()
		return nil, fmt.Errorf("start syslog receiver: %w", err)
	}
	return s, nil
}

func (o *Options) defaults() {
	if o.Location == nil {
		o.Location = time.UTC
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.BatchSize <= 0 {
		o.BatchSize = 1000
	}
	if o.BatchWait <= 0 {
		o.BatchWait = 5 * time.Millisecond
	}
	if o.StallTimeout <= 0 {
		o.StallTimeout = time.Minute
	}
}

func (s *Server) bind() (err error) {
	if s.opts.UDPAddr != "" {
		if s.udp, err = net.ListenPacket("udp", s.opts.UDPAddr); err != nil {
			return err
		}
		if c, ok := s.udp.(*net.UDPConn); ok {
			_ = c.SetReadBuffer(4 << 20) // a smaller one works too
		}
	}
	if s.opts.TCPAddr != "" {
		if s.tcp, err = net.Listen("tcp", s.opts.TCPAddr); err != nil {
			return err
		}
	}
	if s.opts.TLSAddr != "" {
		s.tls, err = net.Listen("tcp", s.opts.TLSAddr)
	}
	return err
}

// UDPAddr is the bound UDP address, "" when off.
func (s *Server) UDPAddr() string {
	if s.udp == nil {
		return ""
	}
	return s.udp.LocalAddr().String()
}

// TCPAddr is the bound TCP address, "" when off.
func (s *Server) TCPAddr() string { return listenAddr(s.tcp) }

// TLSAddr is the bound address of TLS, "" when off.
func (s *Server) TLSAddr() string { return listenAddr(s.tls) }

func listenAddr(l net.Listener) string {
	if l == nil {
		return ""
	}
	return l.Addr().String()
}

func (s *Server) close() {
	if s.udp != nil {
		s.udp.Close()
	}
	for _, l := range []net.Listener{s.tcp, s.tls} {
		if l != nil {
			l.Close()
		}
	}
}

// Close releases the addresses of a server that was never run.
func (s *Server) Close() error { s.close(); return nil }

// Run serves until ctx ends. Then it stops listening, closes the connections,
// and gives the sink what was read before; a sink that still fails after five
// seconds costs those records, counted as failed.
func (s *Server) Run(ctx context.Context) error {
	var readers sync.WaitGroup
	failed := make(chan error, 3)
	serve := func(on bool, f func(context.Context) error) {
		if on {
			readers.Go(func() {
				if err := f(ctx); err != nil && ctx.Err() == nil {
					failed <- err
				}
			})
		}
	}
	sinkCtx, stopSink := context.WithCancel(context.WithoutCancel(ctx))
	defer stopSink()
	drained := make(chan struct{})
	go func() { defer close(drained); s.feed(sinkCtx) }()

	serve(s.udp != nil, s.serveUDP)
	serve(s.tcp != nil, func(ctx context.Context) error { return s.accept(ctx, s.tcp, nil, &readers) })
	serve(s.tls != nil, func(ctx context.Context) error { return s.accept(ctx, s.tls, s.opts.TLS, &readers) })
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	s.close()
	s.closeConns()
	grace := time.AfterFunc(5*time.Second, stopSink)
	defer grace.Stop()
	readers.Wait()
	close(s.queue)
	<-drained
	if err != nil {
		return fmt.Errorf("serve syslog: %w", err)
	}
	return nil
}

func (s *Server) closeConns() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.Close()
	}
	s.conns = nil
}

// track remembers a connection so that it can be closed; false when the server
// is already shutting down.
func (s *Server) track(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns == nil {
		return false
	}
	s.conns[c] = struct{}{}
	return true
}

func (s *Server) forget(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

func (s *Server) serveUDP(ctx context.Context) error {
	buf := make([]byte, 64<<10)
	p := newParser(s)
	for {
		n, from, err := s.udp.ReadFrom(buf)
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return nil //nolint:nilerr // closing the socket is how reading ends
			}
			s.opts.Logger.Debug("syslog datagram lost", "error", err)
			continue
		}
		line := trimLine(buf[:n])
		if len(line) == 0 {
			continue
		}
		e := s.entry(p, line, false, ingest.PeerHost(from.String()))
		if !s.bytes.TryAcquire(e.weight) {
			s.opts.Counters.Reject(protocol, "queue_full", 1)
			continue
		}
		select {
		case s.queue <- e:
		default:
			s.bytes.Release(e.weight)
			s.opts.Counters.Reject(protocol, "queue_full", 1)
		}
	}
}

// entry parses a line, cut to the limit.
func (s *Server) entry(p *parser, line []byte, cut bool, from string) entry {
	if len(line) > s.limits.Line {
		line, cut = line[:s.limits.Line], true
	}
	rec, ok := p.parse(line, s.opts.Now())
	if !ok {
		s.opts.Counters.Reason(protocol, "unparsable", 1)
	}
	if cut {
		s.opts.Counters.Reason(protocol, "line_cut", 1)
		rec.Attributes = ingest.SortAttrs(append(rec.Attributes, telemetry.Attr{Key: "syslog.truncated", Value: "true"}))
	}
	if ref := s.limits.CheckAttrs(rec.Resource, rec.Attributes); ref != nil {
		// Structured data beyond the limits: keep the line as it came.
		s.opts.Counters.Reason(protocol, ref.Code, 1)
		rec = p.raw(line, s.opts.Now())
	}
	rec.Sender = from
	return entry{rec, min(int64(len(line))+256, s.limits.Bytes)}
}

// feed collects batches and hands them to the sink until the queue is closed.
func (s *Server) feed(ctx context.Context) {
	wait := time.NewTimer(s.opts.BatchWait)
	defer wait.Stop()
	for first := range s.queue {
		batch, weight := []telemetry.LogRecord{first.rec}, first.weight
		wait.Reset(s.opts.BatchWait)
	more:
		for len(batch) < s.opts.BatchSize {
			select {
			case e, ok := <-s.queue:
				if !ok {
					break more
				}
				batch, weight = append(batch, e.rec), weight+e.weight
			case <-wait.C:
				break more
			}
		}
		s.deliver(ctx, batch)
		s.bytes.Release(weight)
	}
}

// deliver gives a batch to the sink until the sink keeps it or ctx ends.
func (s *Server) deliver(ctx context.Context, batch []telemetry.LogRecord) {
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		// A sink owns what it is given and may change it.
		res, err := s.opts.Sink.Logs(ctx, append([]telemetry.LogRecord(nil), batch...))
		if err == nil {
			s.opts.Counters.Result(protocol, res)
			return
		}
		s.opts.Counters.Items(protocol, ingest.OutcomeFailed, len(batch))
		s.opts.Logger.Warn("syslog records are not durable yet, trying again", "records", len(batch), "error", err)
		select {
		case <-ctx.Done():
			s.opts.Logger.Error("syslog records lost at shutdown", "records", len(batch), "error", err)
			s.opts.Counters.Reject(protocol, "not_durable", len(batch))
			return
		case <-time.After(pause):
		}
	}
}
