// Package channel takes messages to people: by email, Slack, PagerDuty,
// Opsgenie, Teams, Telegram, ntfy, and to machines by a signed webhook.
//
// Alertmanager's own integrations are not used here: they say groups of alerts
// through its templates, and cannot edit a message, thread to one or carry a
// picture. Email is go-mail's work. A channel tries once; trying again, order
// and limits are the outbox's. Errors hold no secrets: of a request that fails
// only the reason is kept, never its address.
//
// A [Channel] is safe for concurrent use.
package channel

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/norn-aiops/norn/internal/ops"
)

// Note is one message to be sent.
type Note struct {
	Key     string // the same at each attempt
	Message *ops.Message
	PNG     []byte // the cause's series; nil when there is none
	Ref     string // of the first message about the incident in this channel, "" when this is it
}

// Channel is one way to one receiver.
type Channel interface {
	// Send sends, edits or threads. It returns the name under which later notes
	// of the incident refer to the message; "" keeps the one there is. An error
	// that is [ErrRefused] is for good, any other worth another attempt.
	Send(ctx context.Context, n Note) (ref string, err error)
	// Edits reports whether small news (somebody acknowledged) disturb nobody here.
	Edits() bool
}

// ErrRefused is wrapped by errors that another attempt would meet again.
var ErrRefused = errors.New("refused")

// LaterError is a wish not to be asked again before some time is over.
type LaterError struct {
	After time.Duration
	Err   error
}

// Error says what was answered.
func (e *LaterError) Error() string { return e.Err.Error() }

// Unwrap gives what was answered.
func (e *LaterError) Unwrap() error { return e.Err }

// poster sends JSON over HTTP.
type poster struct {
	client  *http.Client
	secrets []string
}

// timeout bounds one attempt.
const timeout = 20 * time.Second

// longPart is the length from which a step of a secret address is a secret itself.
const longPart = 8

func newPoster(secrets ...string) *poster {
	for _, x := range secrets {
		// Of a secret address an answer may repeat a part.
		if u, err := url.Parse(x); err == nil && u.Host != "" {
			secrets = append(secrets, u.RequestURI(), u.Path, u.RawQuery)
			for part := range strings.SplitSeq(u.Path, "/") {
				if len(part) >= longPart {
					secrets = append(secrets, part)
				}
			}
		}
	}
	// Redirects are not followed: they would carry the message elsewhere.
	return &poster{secrets: secrets, client: &http.Client{Timeout: timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

const maxAnswer = 64 << 10 // bytes

// json posts v and reads the answer into out, when that is not nil.
func (p *poster) json(ctx context.Context, method, to string, header map[string]string, v, out any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("cannot encode the message: %w: %w", ErrRefused, err)
	}
	h := map[string]string{"Content-Type": "application/json"}
	for k, v := range header {
		h[k] = v
	}
	return p.send(ctx, method, to, h, raw, out)
}

func (p *poster) send(ctx context.Context, method, to string, header map[string]string, raw []byte, out any) error {
	req, err := http.NewRequestWithContext(ctx, method, to, bytes.NewReader(raw))
	if err != nil {
		return fmt.Errorf("%w: the address is not a URL", ErrRefused)
	}
	req.Header.Set("User-Agent", "norn")
	for k, v := range header {
		req.Header.Set(k, v)
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return errors.New(p.clean(reason(err)))
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return errors.New("the answer broke off: " + p.clean(reason(err)))
	}
	if err := p.status(resp, answer); err != nil {
		return err
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("the answer is not JSON: %s", p.clean(excerpt(answer)))
	}
	return nil
}

// status turns an answer's code into an error.
func (p *poster) status(resp *http.Response, answer []byte) error {
	if resp.StatusCode/100 == 2 {
		return nil
	}
	err := fmt.Errorf("HTTP %d: %s", resp.StatusCode, p.clean(excerpt(answer)))
	switch c := resp.StatusCode; {
	case c == http.StatusTooManyRequests:
		after, convErr := strconv.Atoi(resp.Header.Get("Retry-After"))
		if convErr != nil || after < 0 {
			after = 0
		}
		return &LaterError{time.Duration(min(after, 3600)) * time.Second, err}
	case c/100 == 5, c == http.StatusRequestTimeout, c == http.StatusTooEarly, c == http.StatusUnauthorized, c == http.StatusForbidden, c == http.StatusNotFound:
		return err // credentials and addresses are put right while messages wait
	}
	return fmt.Errorf("%w: %w", ErrRefused, err)
}

// reason is an error of net/http without the address, which may hold a token.
func reason(err error) string {
	var u *url.Error
	if errors.As(err, &u) {
		if u.Timeout() {
			return "no answer in time"
		}
		return u.Err.Error()
	}
	return err.Error()
}

func (p *poster) clean(text string) string {
	for _, s := range p.secrets {
		if len(s) > 3 {
			text = strings.ReplaceAll(text, s, "<redacted>")
		}
	}
	return text
}

const maxExcerpt = 200 // bytes

func excerpt(b []byte) string {
	return strings.ToValidUTF8(strings.TrimSpace(string(b[:min(len(b), maxExcerpt)])), "?")
}

// cut shortens a text to at most n bytes, at a rune.
func cut(text string, n int) string {
	if len(text) <= n {
		return text
	}
	return strings.ToValidUTF8(text[:n-3], "") + "..."
}
