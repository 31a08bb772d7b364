package app

import (
	"context"
	"fmt"
	"time"

	"github.com/norn-aiops/norn/internal/api"
	"github.com/norn-aiops/norn/internal/config"
	"github.com/norn-aiops/norn/internal/notify"
	"github.com/norn-aiops/norn/internal/notify/channel"
	"github.com/norn-aiops/norn/internal/notify/outbox"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/store"
)

// notifiers turns the configuration's receivers into channels.
func notifiers(list []config.Receiver) ([]outbox.Receiver, error) {
	out := make([]outbox.Receiver, 0, len(list))
	for i := range list {
		r := &list[i]
		c, err := channelOf(r)
		if err != nil {
			return nil, fmt.Errorf("notify.receivers[%d] (%s): %w", i, r.Name, err)
		}
		out = append(out, outbox.Receiver{Name: r.Name, Kind: r.Kind(), Channel: c, PerMinute: r.PerMinute})
	}
	return out, nil
}

func channelOf(r *config.Receiver) (channel.Channel, error) {
	switch {
	case r.Email != nil:
		e := r.Email
		return channel.NewEmail(channel.Email{From: e.From, To: e.To, Server: e.Server, Username: e.Username, Password: e.Password.Reveal(), TLS: e.TLS})
	case r.Webhook != nil:
		w := channel.Webhook{URL: r.Webhook.URL.Reveal(), Secret: r.Webhook.Secret.Reveal(), Headers: map[string]string{}}
		for k, v := range r.Webhook.Headers {
			w.Headers[k] = v.Reveal()
		}
		return channel.NewWebhook(w), nil
	case r.Slack != nil:
		return channel.NewSlack(channel.Slack{Token: r.Slack.Token.Reveal(), Channel: r.Slack.Channel, API: r.Slack.API}), nil
	case r.PagerDuty != nil:
		return channel.NewPagerDuty(channel.PagerDuty{RoutingKey: r.PagerDuty.RoutingKey.Reveal(), URL: r.PagerDuty.URL}), nil
	case r.Opsgenie != nil:
		return channel.NewOpsgenie(channel.Opsgenie{Key: r.Opsgenie.Key.Reveal(), URL: r.Opsgenie.URL}), nil
	case r.Teams != nil:
		return channel.NewTeams(channel.Teams{URL: r.Teams.URL.Reveal()}), nil
	case r.Telegram != nil:
		return channel.NewTelegram(channel.Telegram{Token: r.Telegram.Token.Reveal(), Chat: r.Telegram.Chat, API: r.Telegram.API}), nil
	case r.Ntfy != nil:
		return channel.NewNtfy(channel.Ntfy{URL: r.Ntfy.URL, Topic: r.Ntfy.Topic, Token: r.Ntfy.Token.Reveal()}), nil
	}
	return nil, fmt.Errorf("has no channel")
}

// bindNotify makes the outbox. Its pictures come from the API, which is made
// after it.
func (a *App) bindNotify(ctx context.Context, chart func(ctx context.Context, incident string) ([]byte, error)) error {
	c := &a.opts.Config.Notify
	policy, err := notify.Compile(c.Config, c.ReceiverNames())
	if err != nil {
		return fmt.Errorf("notify: %w", err)
	}
	receivers, err := notifiers(c.Receivers)
	if err != nil {
		return err
	}
	wake := make(chan struct{}, 1)
	a.outbox, err = outbox.New(ctx, outbox.Options{
		Box: a.stores.state, State: a.stores.state, Policy: policy, Receivers: receivers, Open: a.pipe.OpenIncidents, Wake: wake,
		Suppressed: func() []ops.Suppressed { list, _ := a.pipe.Suppressed(); return list },
		Base:       a.URL, Chart: chart, GiveUp: time.Duration(c.GiveUp), Now: time.Now, Log: a.log, Registerer: a.reg,
	})
	if err != nil {
		return err
	}
	a.parts = append(a.parts, part{name: "notify", run: a.outbox.Run}, part{name: "notify-events", run: func(ctx context.Context) error {
		for range a.pipe.Subscribe(ctx) {
			select {
			case wake <- struct{}{}:
			default: // it is going to look anyway
			}
		}
		return nil
	}})
	return nil
}

var _ api.Notifier = notifier{}

// notifier shows the outbox to the API.
type notifier struct {
	*outbox.Outbox
	receivers []config.Receiver
}

// maxQueued bounds what is counted of one receiver's queue.
const maxQueued = 1000

// Receivers lists the receivers and how they fare.
func (n notifier) Receivers(ctx context.Context) ([]api.ReceiverState, error) {
	out := make([]api.ReceiverState, 0, len(n.receivers))
	for i := range n.receivers {
		r := &n.receivers[i]
		list, err := n.Deliveries(ctx, store.DeliveryFilter{Receiver: r.Name, State: ops.DeliveryQueued, Oldest: true, Limit: maxQueued})
		if err != nil {
			return nil, err
		}
		s := api.ReceiverState{Name: r.Name, Kind: r.Kind(), Queued: len(list)}
		if len(list) > 0 {
			s.Oldest, s.Error = list[0].Created, list[0].Error
		}
		out = append(out, s)
	}
	return out, nil
}
