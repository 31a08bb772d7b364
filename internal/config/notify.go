package config

import (
	"fmt"
	"net/mail"
	"net/url"
	"strings"
	"time"

	"github.com/norn-aiops/norn/internal/notify"
)

// Notify says who is told what, and how.
type Notify struct {
	Receivers     []Receiver `yaml:"receivers"`
	GiveUp        Duration   `yaml:"give_up_after"` // a message that no attempt could send
	notify.Config `yaml:",inline"`
}

// Receiver is a place where people, or machines, are told: exactly one channel
// is set.
type Receiver struct {
	Name      string     `yaml:"name"`
	PerMinute int        `yaml:"rate_per_minute"` // messages at most; what is more waits
	Email     *Email     `yaml:"email"`
	Webhook   *Webhook   `yaml:"webhook"`
	Slack     *Slack     `yaml:"slack"`
	PagerDuty *PagerDuty `yaml:"pagerduty"`
	Opsgenie  *Opsgenie  `yaml:"opsgenie"`
	Teams     *Teams     `yaml:"teams"`
	Telegram  *Telegram  `yaml:"telegram"`
	Ntfy      *Ntfy      `yaml:"ntfy"`
}

// Email is SMTP.
type Email struct {
	From     string   `yaml:"from"`
	To       []string `yaml:"to"`
	Server   string   `yaml:"server"` // host:port
	Username string   `yaml:"username"`
	Password Secret   `yaml:"password"`
	TLS      string   `yaml:"tls"` // starttls, opportunistic, tls or none
}

// Webhook is JSON by POST, signed when there is a secret.
type Webhook struct {
	URL     Secret            `yaml:"url"`
	Secret  Secret            `yaml:"secret"`
	Headers map[string]Secret `yaml:"headers"`
}

// Slack is a bot in a channel.
type Slack struct {
	Token   Secret `yaml:"token"`
	Channel string `yaml:"channel"`
	API     string `yaml:"api_url"`
}

// PagerDuty is Events API v2.
type PagerDuty struct {
	RoutingKey Secret `yaml:"routing_key"`
	URL        string `yaml:"url"`
}

// Opsgenie is its alert API.
type Opsgenie struct {
	Key Secret `yaml:"api_key"`
	URL string `yaml:"url"`
}

// Teams is the webhook of a workflow.
type Teams struct {
	URL Secret `yaml:"url"`
}

// Telegram is a bot in a chat.
type Telegram struct {
	Token Secret `yaml:"token"`
	Chat  string `yaml:"chat"`
	API   string `yaml:"api_url"`
}

// Ntfy is a topic.
type Ntfy struct {
	URL   string `yaml:"url"`
	Topic string `yaml:"topic"`
	Token Secret `yaml:"token"`
}

func defaultNotify() Notify {
	return Notify{Receivers: []Receiver{}, GiveUp: Duration(72 * time.Hour), Config: notify.Config{
		Wait: Duration(15 * time.Second), UpdateInterval: Duration(5 * time.Minute), Routes: []notify.Route{}, Inhibit: []notify.Inhibit{},
		Maintenance: []notify.Maintenance{}, Escalations: []notify.Escalation{}, Schedules: []notify.Schedule{},
		Digest: notify.Digest{Receivers: []string{}, Every: "daily", Day: "mon", At: "09:00", Timezone: "UTC"},
	}}
}

func (c *Config) fillNotify() {
	for i := range c.Notify.Receivers {
		r := &c.Notify.Receivers[i]
		if r.PerMinute == 0 {
			r.PerMinute = 30
		}
		if r.Email != nil && r.Email.TLS == "" {
			r.Email.TLS = "starttls"
		}
	}
}

// Kind names the channel that is set, "" when it is none or more than one.
func (r *Receiver) Kind() string {
	kind := ""
	for _, x := range []struct {
		name string
		set  bool
	}{{"email", r.Email != nil}, {"webhook", r.Webhook != nil}, {"slack", r.Slack != nil}, {"pagerduty", r.PagerDuty != nil},
		{"opsgenie", r.Opsgenie != nil}, {"teams", r.Teams != nil}, {"telegram", r.Telegram != nil}, {"ntfy", r.Ntfy != nil}} {
		if !x.set {
			continue
		}
		if kind != "" {
			return ""
		}
		kind = x.name
	}
	return kind
}

func (c *Config) resolveNotifySecrets() error {
	for i := range c.Notify.Receivers {
		r := &c.Notify.Receivers[i]
		for key, s := range r.secrets() {
			if err := s.resolve(fmt.Sprintf("notify.receivers[%d].%s", i, key)); err != nil {
				return err
			}
		}
		if r.Webhook != nil {
			for k, v := range r.Webhook.Headers {
				if err := v.resolve(fmt.Sprintf("notify.receivers[%d].webhook.headers.%s", i, k)); err != nil {
					return err
				}
				r.Webhook.Headers[k] = v
			}
		}
	}
	return nil
}

// secrets are the receiver's secrets by their keys.
func (r *Receiver) secrets() map[string]*Secret {
	out := map[string]*Secret{}
	if r.Email != nil {
		out["email.password"] = &r.Email.Password
	}
	if r.Webhook != nil {
		out["webhook.url"], out["webhook.secret"] = &r.Webhook.URL, &r.Webhook.Secret
	}
	if r.Slack != nil {
		out["slack.token"] = &r.Slack.Token
	}
	if r.PagerDuty != nil {
		out["pagerduty.routing_key"] = &r.PagerDuty.RoutingKey
	}
	if r.Opsgenie != nil {
		out["opsgenie.api_key"] = &r.Opsgenie.Key
	}
	if r.Teams != nil {
		out["teams.url"] = &r.Teams.URL
	}
	if r.Telegram != nil {
		out["telegram.token"] = &r.Telegram.Token
	}
	if r.Ntfy != nil {
		out["ntfy.token"] = &r.Ntfy.Token
	}
	return out
}

// ReceiverNames lists the names of all receivers.
func (n *Notify) ReceiverNames() []string {
	out := make([]string, len(n.Receivers))
	for i := range n.Receivers {
		out[i] = n.Receivers[i].Name
	}
	return out
}

func (c *Config) checkNotify(bad report) {
	taken := map[string]bool{}
	for i := range c.Notify.Receivers {
		r := &c.Notify.Receivers[i]
		key := fmt.Sprintf("notify.receivers[%d]", i)
		if strings.TrimSpace(r.Name) == "" || taken[r.Name] {
			bad(key+".name", "%q is empty or taken", r.Name)
		}
		taken[r.Name] = true
		if r.PerMinute < 1 || r.PerMinute > 6000 {
			bad(key+".rate_per_minute", "must be between 1 and 6000")
		}
		if r.Kind() == "" {
			bad(key, "must have exactly one of email, webhook, slack, pagerduty, opsgenie, teams, telegram, ntfy")
			continue
		}
		r.check(key+"."+r.Kind(), bad)
	}
	if c.Notify.GiveUp <= 0 {
		bad("notify.give_up_after", "must be longer than 0")
	}
	if _, err := notify.Compile(c.Notify.Config, c.Notify.ReceiverNames()); err != nil {
		for text := range strings.SplitSeq(err.Error(), "\n") {
			key, text, _ := strings.Cut(text, ": ")
			bad("notify."+key, "%s", text)
		}
	}
}

func (r *Receiver) check(key string, bad report) {
	need := func(field, v string) {
		if v == "" {
			bad(key+"."+field, "must not be empty")
		}
	}
	address := func(field, v string, must bool) {
		if v == "" && !must {
			return
		}
		if u, err := url.Parse(v); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			bad(key+"."+field, "is not a URL") // it may hold a token
		}
	}
	switch {
	case r.Email != nil:
		r.Email.check(key, bad)
	case r.Webhook != nil:
		address("url", r.Webhook.URL.Reveal(), true)
	case r.Slack != nil:
		need("token", r.Slack.Token.Reveal())
		need("channel", r.Slack.Channel)
		address("api_url", r.Slack.API, false)
	case r.PagerDuty != nil:
		need("routing_key", r.PagerDuty.RoutingKey.Reveal())
		address("url", r.PagerDuty.URL, false)
	case r.Opsgenie != nil:
		need("api_key", r.Opsgenie.Key.Reveal())
		address("url", r.Opsgenie.URL, false)
	case r.Teams != nil:
		address("url", r.Teams.URL.Reveal(), true)
	case r.Telegram != nil:
		need("token", r.Telegram.Token.Reveal())
		need("chat", r.Telegram.Chat)
		address("api_url", r.Telegram.API, false)
	case r.Ntfy != nil:
		need("topic", r.Ntfy.Topic)
		address("url", r.Ntfy.URL, false)
	}
}

func (e *Email) check(key string, bad report) {
	if _, err := mail.ParseAddress(e.From); err != nil {
		bad(key+".from", "%q is not an address", e.From)
	}
	if len(e.To) == 0 {
		bad(key+".to", "must name at least one address")
	}
	for _, a := range e.To {
		if _, err := mail.ParseAddress(a); err != nil {
			bad(key+".to", "%q is not an address", a)
		}
	}
	if host, _, ok := strings.Cut(e.Server, ":"); !ok || host == "" {
		bad(key+".server", "%q is not host:port", e.Server)
	}
	switch e.TLS {
	case "starttls", "opportunistic", "tls", "none":
	default:
		bad(key+".tls", "%q is not one of starttls, opportunistic, tls, none", e.TLS)
	}
}
