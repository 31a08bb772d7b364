package channel

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"html"
	"net"
	"strconv"
	"strings"

	"github.com/wneessen/go-mail"

	"github.com/norn-aiops/norn/internal/notify"
)

// Email sends by SMTP. Later messages of an incident carry In-Reply-To and
// References, so that mail programs show one conversation; every attempt of
// one has the same Message-ID.
type Email struct {
	From               string
	To                 []string
	Server             string // host:port
	Username, Password string
	TLS                string // starttls (asked for), opportunistic, tls (from the first byte), none
}

type email struct {
	Email
	host string
	port int
}

// NewEmail makes an email channel. The error names what cannot be used.
func NewEmail(c Email) (Channel, error) {
	host, port, err := net.SplitHostPort(c.Server)
	if err != nil {
		return nil, fmt.Errorf("server %q is not host:port", c.Server)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return nil, fmt.Errorf("server %q is not host:port", c.Server)
	}
	e := &email{c, host, n}
	if _, err := e.build(Note{}); err != nil {
		return nil, err
	}
	return e, nil
}

func (e *email) Edits() bool { return false }

// domain is of the sender's address.
func (e *email) domain() string {
	_, d, _ := strings.Cut(strings.TrimRight(e.From, "> "), "@")
	return d
}

func (e *email) build(n Note) (*mail.Msg, error) {
	m := mail.NewMsg()
	if err := m.From(e.From); err != nil {
		return nil, fmt.Errorf("from %q is not an address", e.From)
	}
	if len(e.To) == 0 {
		return nil, errors.New("to names nobody")
	}
	if err := m.To(e.To...); err != nil {
		return nil, fmt.Errorf("to %q holds what is not an address", e.To)
	}
	if n.Message == nil {
		return m, nil
	}
	subject := notify.Head(n.Message)
	m.SetMessageIDWithValue(n.Key + "@" + e.domain())
	if n.Ref != "" {
		m.SetGenHeader(mail.HeaderInReplyTo, "<"+n.Ref+">")
		m.SetGenHeader(mail.HeaderReferences, "<"+n.Ref+">")
	}
	m.SetGenHeader("X-Norn-Incident", n.Message.Incident)
	m.SetGenHeader("Auto-Submitted", "auto-generated")
	m.Subject(strings.NewReplacer("\r", " ", "\n", " ").Replace(cut(subject, 250)))
	m.SetDate()
	text := notify.Text(n.Message)
	m.SetBodyString(mail.TypeTextPlain, text)
	page := "<h3>" + html.EscapeString(subject) + "</h3><p>" + strings.ReplaceAll(html.EscapeString(strings.TrimSpace(text)), "\n", "<br>\n") + "</p>"
	if n.PNG != nil {
		page += `<p><img alt="the cause's series and what was expected" src="cid:chart.png"></p>`
		if err := m.EmbedReader("chart.png", bytes.NewReader(n.PNG), mail.WithFileContentType("image/png")); err != nil {
			return nil, fmt.Errorf("cannot add the picture: %w", err)
		}
	}
	m.AddAlternativeString(mail.TypeTextHTML, page)
	return m, nil
}

func (e *email) Send(ctx context.Context, n Note) (string, error) {
	m, err := e.build(n)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrRefused, err)
	}
	opts := []mail.Option{mail.WithPort(e.port), mail.WithTimeout(timeout), mail.WithHELO("localhost")}
	switch e.TLS {
	case "none":
		opts = append(opts, mail.WithTLSPolicy(mail.NoTLS))
	case "tls":
		opts = append(opts, mail.WithSSL())
	case "opportunistic":
		opts = append(opts, mail.WithTLSPolicy(mail.TLSOpportunistic))
	default:
		opts = append(opts, mail.WithTLSPolicy(mail.TLSMandatory))
	}
	if e.Username != "" {
		auth := mail.SMTPAuthAutoDiscover
		if e.TLS == "none" {
			auth = mail.SMTPAuthPlainNoEnc
		}
		opts = append(opts, mail.WithSMTPAuth(auth), mail.WithUsername(e.Username), mail.WithPassword(e.Password))
	}
	c, err := mail.NewClient(e.host, opts...)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrRefused, err)
	}
	if err := c.DialAndSendWithContext(ctx, m); err != nil {
		clean := (&poster{secrets: []string{e.Password}}).clean(err.Error())
		var s *mail.SendError
		if errors.As(err, &s) && !s.IsTemp() && s.ErrorCode() >= 500 {
			return "", fmt.Errorf("%w: %s", ErrRefused, clean)
		}
		return "", errors.New(clean)
	}
	if n.Ref == "" {
		return n.Key + "@" + e.domain(), nil
	}
	return "", nil
}
