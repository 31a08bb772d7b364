// Package cli is the operator's side of the command line: verbs that ask a
// running server and print what it says, for people or as JSON for scripts.
//
// It exists apart from cmd/norn so that its tests need no engine. It judges
// nothing: every sentence comes from the server. Commands are made by
// [Commands]; errors carry an exit code ([ExitCode]).
package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Exit codes of the norn command.
const (
	ExitOK          = 0
	ExitFailed      = 1 // the work could not be done
	ExitUsage       = 2 // the command line or the configuration is wrong
	ExitNotFound    = 3 // what was named does not exist
	ExitUnreachable = 4 // no server answers
	ExitFinding     = 5 // --exit-code was given and there is something to look at
)

// Error is an error with the exit code that it asks for.
type Error struct {
	Code int
	Err  error
}

// Error returns the text.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// ExitCode returns the exit code of err: 0 for nil, that of an [Error] in its
// chain, else 1.
func ExitCode(err error) int {
	if err == nil {
		return ExitOK
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ExitFailed
}

// client asks one server.
type client struct {
	base  string
	token string
	http  *http.Client
}

func newClient(base, token string) *client {
	if !strings.Contains(base, "://") {
		base = "http://" + base
	}
	return &client{base: strings.TrimRight(base, "/"), token: token, http: &http.Client{Timeout: 30 * time.Second}}
}

func (c *client) get(ctx context.Context, path string, query url.Values, into any) error {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return c.do(ctx, http.MethodGet, path, nil, into)
}

func (c *client) post(ctx context.Context, path string, body, into any) error {
	return c.do(ctx, http.MethodPost, path, body, into)
}

const maxAnswer = 256 << 20 // bytes

func (c *client) do(ctx context.Context, method, path string, body, into any) error {
	var payload io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("cannot encode the request: %w", err)
		}
		payload = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, payload)
	if err != nil {
		return &Error{ExitUsage, fmt.Errorf("%q is not a server's address: %w", c.base, err)}
	}
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return &Error{ExitUnreachable, fmt.Errorf("no Norn answers at %s: %w", c.base, err)}
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return &Error{ExitUnreachable, fmt.Errorf("the answer of %s broke off: %w", c.base, err)}
	}
	if resp.StatusCode/100 != 2 {
		return problem(resp.StatusCode, raw)
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("the answer of %s is not what this version of norn expects: %w", c.base, err)
	}
	return nil
}

// errConflict marks a change that came too late, or does not fit the state.
var errConflict = errors.New("conflict")

// problem turns an application/problem+json body into an error.
func problem(status int, raw []byte) error {
	var p struct {
		Title  string `json:"title"`
		Detail string `json:"detail"`
	}
	text := http.StatusText(status)
	if json.Unmarshal(raw, &p) == nil && (p.Detail != "" || p.Title != "") {
		text = p.Detail
		if text == "" {
			text = p.Title
		}
	}
	err := fmt.Errorf("the server refused: %s (HTTP %d)", text, status)
	switch status {
	case http.StatusConflict:
		return fmt.Errorf("%w: %w", err, errConflict)
	case http.StatusNotFound:
		return &Error{ExitNotFound, err}
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		return &Error{ExitUsage, err}
	}
	return err
}
