// Package malformed makes broken requests for every protocol that Norn takes,
// and checks that a running server answers each of them properly.
//
// It exists so that tests of single receivers and of the whole server attack
// with the same weapons. It knows protocols only from the outside and imports no
// receiver. Properly means: an error of the protocol's own (HTTP 4xx, a gRPC
// status, a closed connection), never a 5xx other than 503, and never silence.
//
// The same seed gives the same requests. [Requests] makes them, [Request.Check]
// sends one; different requests may be sent concurrently.
package malformed

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// ErrNoTarget is returned (wrapped) by Check when the targets lack the address
// that a request needs.
var ErrNoTarget = errors.New("no address given for this protocol")

// wait bounds how long a server may take to answer or to hang up.
const wait = 20 * time.Second

// Targets are the addresses of a running server; those left empty are off.
type Targets struct {
	OTLPGRPC  string // host:port
	OTLPHTTP  string // host:port
	Elastic   string // host:port
	SyslogTCP string // host:port
	SyslogUDP string // host:port
	SyslogTLS string // host:port

	RemoteWrite string // http URL
	Alerts      string // http URL, .../api/v2/alerts
	Logs        string // http URL, .../api/v1/import/logs
	Metrics     string // http URL, .../api/v1/import/metrics
	Changes     string // http URL, .../api/v1/changes

	Token string // bearer token of the http URLs, "" for none
}

// Request is one broken request.
type Request struct {
	Name     string // protocol and what is wrong
	Protocol string
	send     func(ctx context.Context, t Targets) error
}

// Check sends the request and returns what was wrong with the answer, nil when
// it was proper.
func (r Request) Check(ctx context.Context, t Targets) error {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	if err := r.send(ctx, t); err != nil {
		return fmt.Errorf("%s: %w", r.Name, err)
	}
	return nil
}

// Requests makes n broken requests, spread over all protocols.
func Requests(seed int64, n int) []Request {
	rnd := rand.New(rand.NewSource(seed))
	makers := []func(*rand.Rand) Request{grpcRequest, syslogStream, syslogDatagram, syslogSecure}
	b := newBombs()
	for _, e := range endpoints() {
		e.bombs = b
		one := func(rnd *rand.Rand) Request { return httpRequest(rnd, e) }
		makers = append(makers, one, one) // HTTP has the most ways to break
	}
	out := make([]Request, n)
	for i := range out {
		out[i] = makers[i%len(makers)](rnd)
	}
	return out
}

// exchange writes raw bytes to addr and returns what came back until the server
// closed. A server may hang up before it has read everything.
func exchange(ctx context.Context, addr string, raw []byte) ([]byte, error) {
	if addr == "" {
		return nil, ErrNoTarget
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("the server does not listen any more: %w", err)
	}
	defer c.Close()
	if deadline, ok := ctx.Deadline(); ok {
		_ = c.SetDeadline(deadline) // fails only on a closed connection
	}
	_, _ = c.Write(raw) // the server may have hung up already
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
	answer, err := io.ReadAll(io.LimitReader(c, 1<<20))
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return answer, fmt.Errorf("neither an answer nor an end within %s", wait)
	}
	return answer, nil // a reset is an end too
}

// abandon leaves a connection in the middle without a word.
func abandon(ctx context.Context, addr string, raw []byte) error {
	if addr == "" {
		return ErrNoTarget
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("the server does not listen any more: %w", err)
	}
	_, _ = c.Write(raw) // the server may have hung up already
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // reset instead of a polite end
	}
	return c.Close()
}

// verdict judges an HTTP/1 answer. mayClose allows none at all; soft tells
// whether a 2xx names the error in its body.
func verdict(answer []byte, mayClose bool, soft func(body string) bool) error {
	if len(answer) == 0 {
		if mayClose {
			return nil
		}
		return errors.New("the connection was closed without an answer")
	}
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(answer)), nil)
	if err != nil {
		return fmt.Errorf("the answer is no HTTP: %w", err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body) // what there is of it
	switch {
	case resp.StatusCode/100 == 4 || resp.StatusCode == http.StatusServiceUnavailable:
		return nil
	case resp.StatusCode == http.StatusOK && soft != nil && soft(string(body)):
		return nil
	}
	return fmt.Errorf("status %s: %.200s", resp.Status, body)
}

// split takes an http URL apart.
func split(raw string) (addr, path string, err error) {
	if raw == "" {
		return "", "", ErrNoTarget
	}
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "http" {
		return "", "", fmt.Errorf("target %q is no http URL", raw)
	}
	return u.Host, u.RequestURI(), nil
}

// junk is n bytes that no protobuf, gzip, JSON or CSV reader takes.
func junk(rnd *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rnd.Intn(256))
	}
	copy(b, "\xff\xff\xff\xff")
	return b
}

func huge(n int) string { return strings.Repeat("x", n) }
