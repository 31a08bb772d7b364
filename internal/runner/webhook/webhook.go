// Package webhook asks other systems to carry a remedy out, by HTTP.
//
// It exists so that a deployment tool or an automation server can be an action.
// Requests are signed, carry an idempotency key, follow no redirect and time
// out. It does not decide whether something may be done. A [Runner] is safe for
// concurrent use. Main type: [Runner].
package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/norn-aiops/norn/internal/remedy"
)

// Headers of a request. The signature is "sha256=" and the HMAC-SHA256, in hex,
// of the time stamp, a dot and the body.
const (
	HeaderSignature = "X-Norn-Signature"
	HeaderTime      = "X-Norn-Timestamp" // Unix seconds
	HeaderKey       = "Idempotency-Key"  // of the run and the phase: the same for a request that is repeated
)

// Runner posts to one address.
type Runner struct {
	URL      string
	Secret   string // of the signature
	Rollback bool   // whether the receiver takes things back (phase "undo")
}

// Request is the body.
type Request struct {
	remedy.Work
	Phase string `json:"phase"` // apply, undo
}

// Plan says what would be posted.
func (r Runner) Plan(_ context.Context, w remedy.Work) ([]string, error) {
	raw, err := json.Marshal(Request{w, "apply"})
	if err != nil {
		return nil, fmt.Errorf("cannot encode the request: %w", err)
	}
	// The run's id is made anew for each request; the plan is what is approved.
	return []string{"POST " + redact(r.URL) + " " + string(raw)}, nil
}

// redact leaves out what a URL may hold of secrets.
func redact(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "<unreadable URL>"
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return u.String()
}

// Apply posts once; what fails is not posted again.
func (r Runner) Apply(ctx context.Context, w remedy.Work) (string, error) {
	return r.post(ctx, w, "apply")
}

// Applied cannot be told.
func (r Runner) Applied(context.Context, remedy.Work) (done, known bool, err error) {
	return false, false, nil
}

// Undo asks the receiver to take it back.
func (r Runner) Undo(ctx context.Context, w remedy.Work, _ string) (bool, error) {
	if !r.Rollback {
		return false, nil
	}
	_, err := r.post(ctx, w, "undo")
	return true, err
}

func (r Runner) post(ctx context.Context, w remedy.Work, phase string) (string, error) {
	raw, err := json.Marshal(Request{w, phase})
	if err != nil {
		return "", fmt.Errorf("cannot encode the request: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.URL, bytes.NewReader(raw))
	if err != nil {
		return "", errors.New("the webhook's URL is not valid") // err may hold a secret
	}
	at := strconv.FormatInt(time.Now().Unix(), 10)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(HeaderTime, at)
	req.Header.Set(HeaderKey, w.Run+"-"+phase)
	req.Header.Set(HeaderSignature, "sha256="+Sign(r.Secret, at, raw))
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) { // it quotes the whole URL
			err = ue.Err
		}
		return "", fmt.Errorf("%s does not answer: %w", redact(r.URL), err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	if err != nil {
		return "", fmt.Errorf("the answer of %s broke off: %w", redact(r.URL), err)
	}
	said := strings.TrimSpace(strings.ToValidUTF8(string(text), "?"))
	if resp.StatusCode/100 != 2 {
		return "", fmt.Errorf("%s answers %s: %s", redact(r.URL), resp.Status, said)
	}
	return said, nil
}

// Sign makes the signature, in hex.
func Sign(secret, at string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(at + "."))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}
