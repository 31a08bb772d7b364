package syslog

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/norn-aiops/norn/internal/ingest"
)

// maxFrame is the largest octet count that is believed. What goes beyond the
// line limit is read and thrown away; what goes beyond this is a broken peer.
const maxFrame = 64 << 20

var errBadFrame = errors.New("octet count expected")

func (s *Server) accept(ctx context.Context, l net.Listener, conf *tls.Config, wg *sync.WaitGroup) error {
	for {
		c, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return nil //nolint:nilerr // closing the listener is how accepting ends
			}
			var temporary net.Error
			if errors.As(err, &temporary) && temporary.Timeout() {
				continue
			}
			// Out of file descriptors, most likely: wait for some to be closed.
			s.opts.Logger.Warn("cannot accept a syslog connection", "error", err)
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(100 * time.Millisecond):
			}
			continue
		}
		select {
		case s.slots <- struct{}{}:
		default:
			s.opts.Counters.Reason(protocol, "too_many_connections", 1)
			c.Close()
			continue
		}
		wg.Go(func() {
			defer func() { <-s.slots }()
			s.serveConn(ctx, c, conf)
		})
	}
}

func (s *Server) serveConn(ctx context.Context, raw net.Conn, conf *tls.Config) {
	defer raw.Close()
	if !s.track(raw) {
		return
	}
	defer s.forget(raw)
	c := raw
	if conf != nil {
		t := tls.Server(raw, conf)
		hctx, cancel := context.WithTimeout(ctx, min(10*time.Second, s.opts.StallTimeout))
		err := t.HandshakeContext(hctx)
		cancel()
		if err != nil {
			s.opts.Counters.Reason(protocol, "tls_handshake", 1)
			s.opts.Logger.Debug("syslog TLS handshake failed", "peer", raw.RemoteAddr(), "error", err)
			return
		}
		defer t.Close()
		c = t
	}
	from := ingest.PeerHost(raw.RemoteAddr().String())
	p := newParser(s)
	f := newFramer(c, s.limits.Line, s.opts.StallTimeout)
	for {
		line, cut, err := f.next()
		if line = trimLine(line); len(line) > 0 {
			e := s.entry(p, line, cut, from)
			if s.bytes.Acquire(ctx, e.weight) != nil {
				// Shutting down while the sink is behind: this line was read, so
				// it goes the way of the others, without weight.
				e.weight = 0
			}
			s.queue <- e
		}
		if err != nil {
			s.ended(err, from)
			return
		}
	}
}

// ended counts why a connection ended when it was the peer's fault.
func (s *Server) ended(err error, from string) {
	var timeout net.Error
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed):
		return
	case errors.Is(err, errBadFrame):
		s.opts.Counters.Reason(protocol, "bad_frame", 1)
	case errors.Is(err, io.ErrUnexpectedEOF):
		s.opts.Counters.Reason(protocol, "truncated_frame", 1)
	case errors.As(err, &timeout) && timeout.Timeout():
		s.opts.Counters.Reason(protocol, "stalled", 1)
	}
	s.opts.Logger.Debug("syslog connection ended", "peer", from, "error", err)
}

// framer splits a stream into lines.
type framer struct {
	conn    net.Conn // nil in tests without deadlines
	br      *bufio.Reader
	limit   int
	stall   time.Duration
	buf     []byte
	counted bool // octet counting
	begun   bool
}

func newFramer(c net.Conn, limit int, stall time.Duration) *framer {
	return &framer{conn: c, br: bufio.NewReaderSize(c, 32<<10), limit: limit, stall: stall}
}

// next returns the next line. With an error it may still return what was read
// of an unfinished line; nothing follows then. cut tells that the line went on
// beyond the limit. The line is valid until the next call.
func (f *framer) next() (line []byte, cut bool, err error) {
	f.deadline(!f.begun)
	first, err := f.br.Peek(1)
	if err != nil {
		return nil, false, err
	}
	f.deadline(true)
	if !f.begun {
		f.begun = true
		f.counted = first[0] >= '1' && first[0] <= '9' && f.startsWithCount()
	}
	if f.counted {
		return f.octets()
	}
	return f.newline()
}

// startsWithCount tells "LENGTH SP <" from a line without priority that begins
// with a digit. An error while looking leaves it to the reading of the line.
func (f *framer) startsWithCount() bool {
	for n := 2; n <= 11; n++ {
		b, err := f.br.Peek(n)
		if err != nil {
			return false
		}
		if c := b[n-1]; c < '0' || c > '9' {
			if c != ' ' {
				return false
			}
			b, err = f.br.Peek(n + 1)
			return err == nil && b[n] == '<'
		}
	}
	return false
}

// deadline bounds the wait for more of a line; between lines there is none.
func (f *framer) deadline(on bool) {
	if f.conn == nil || (on && f.br.Buffered() > 0 && f.begun) {
		return
	}
	var t time.Time
	if on {
		t = time.Now().Add(f.stall)
	}
	_ = f.conn.SetReadDeadline(t) // fails only on a closed connection, as the read will
}

// octets reads "LENGTH SP MESSAGE".
func (f *framer) octets() ([]byte, bool, error) {
	n := 0
	for digits := 0; ; digits++ {
		b, err := f.br.ReadByte()
		if err != nil && digits == 0 {
			return nil, false, err
		}
		if err != nil {
			return nil, false, unexpected(err)
		}
		if b == ' ' && digits > 0 {
			break
		}
		// Some senders end a counted frame with a newline that they don't count.
		if b == '\n' && digits == 0 {
			digits--
			continue
		}
		if b < '0' || b > '9' || digits >= 9 {
			return nil, false, fmt.Errorf("%w, got %q", errBadFrame, b)
		}
		n = n*10 + int(b-'0')
	}
	if n > maxFrame {
		return nil, false, fmt.Errorf("%w: %d bytes is too much", errBadFrame, n)
	}
	keep := min(n, f.limit)
	f.buf = f.buf[:0]
	// Grow with what arrives, not with what is promised.
	w := bytes.NewBuffer(f.buf)
	_, err := io.CopyN(w, f.br, int64(keep))
	f.buf = w.Bytes()
	if err != nil {
		return f.buf, false, unexpected(err)
	}
	if n > keep {
		if _, err := io.CopyN(io.Discard, f.br, int64(n-keep)); err != nil {
			return f.buf, true, unexpected(err)
		}
	}
	return f.buf, n > keep, nil
}

// newline reads up to a line feed.
func (f *framer) newline() (line []byte, cut bool, err error) {
	f.buf = f.buf[:0]
	for {
		b, err := f.br.ReadSlice('\n')
		if room := f.limit - len(f.buf); len(b) > room+1 {
			// One byte more than the room may be the line feed itself.
			b, cut = b[:max(room, 0)], true
		}
		f.buf = append(f.buf, b...)
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		return f.buf, cut, err
	}
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// trimLine takes line ends and NULs off.
func trimLine(b []byte) []byte { return bytes.TrimRight(b, "\r\n\x00") }
