package outbox

import (
	"context"
	"errors"
	"time"

	"golang.org/x/time/rate"

	"github.com/norn-aiops/norn/internal/notify/channel"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/store"
)

// Back-off of a receiver that does not take a message.
const (
	firstWait = time.Second
	longest   = 5 * time.Minute
	idle      = 5 * time.Second // until the store is asked again when nobody woke
	oneTry    = 45 * time.Second
)

// deliver sends one receiver's messages, one after the other and in their
// order: while the first cannot be sent the others wait.
func (b *Outbox) deliver(ctx context.Context, r Receiver) error {
	per := max(r.PerMinute, 1)
	limit := rate.NewLimiter(rate.Every(time.Minute/time.Duration(per)), min(per, 10))
	for ctx.Err() == nil {
		list, err := b.o.Box.Deliveries(ctx, store.DeliveryFilter{Receiver: r.Name, State: ops.DeliveryQueued, Oldest: true, Limit: 1})
		wait := idle
		switch {
		case err != nil && ctx.Err() == nil:
			b.o.Log.Error("the outbox cannot be read", "receiver", r.Name, "err", err)
		case len(list) > 0:
			wait = time.UnixMilli(list[0].Due).Sub(b.o.Now())
		}
		if wait > 0 {
			b.pause(ctx, r.Name, wait)
			continue
		}
		if err := limit.Wait(ctx); err != nil {
			break
		}
		b.attempt(ctx, r, &list[0])
	}
	return ctx.Err()
}

func (b *Outbox) pause(ctx context.Context, receiver string, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	case <-b.wake[receiver]:
		// A wake while the channel is in back-off finds the first still not due.
	}
}

// attempt tries once and notes what came of it.
func (b *Outbox) attempt(ctx context.Context, r Receiver, d *ops.Delivery) {
	try, cancel := context.WithTimeout(ctx, oneTry)
	defer cancel()
	n := channel.Note{Key: d.ID, Message: &d.Message, Ref: b.ref(try, d)}
	if b.o.Chart != nil && d.Incident != "" {
		png, err := b.o.Chart(try, d.Incident)
		if err != nil {
			b.o.Log.Debug("a message goes without its picture", "incident", d.Incident, "err", err)
		}
		n.PNG = png
	}
	ref, err := r.Channel.Send(try, n)
	if err != nil && ctx.Err() != nil {
		return // Norn stops; the next run tries again
	}
	now := b.o.Now()
	d.Attempts++
	outcome := "sent"
	var later *channel.LaterError
	switch {
	case err == nil:
		d.State, d.Sent, d.Error, d.Ref = ops.DeliverySent, now.UnixMilli(), "", ref
	case errors.Is(err, channel.ErrRefused), b.o.GiveUp > 0 && now.UnixMilli()-d.Created > b.o.GiveUp.Milliseconds():
		d.State, d.Error, outcome = ops.DeliveryFailed, err.Error(), "failed"
	default:
		wait := min(firstWait<<min(d.Attempts-1, 20), longest)
		if errors.As(err, &later) {
			wait = max(wait, later.After)
		}
		d.Due, d.Error, outcome = now.Add(wait).UnixMilli(), err.Error(), "retried"
	}
	b.sent.WithLabelValues(r.Name, outcome).Inc()
	if err != nil {
		b.o.Log.Warn("a message was not taken", "receiver", r.Name, "incident", d.Incident, "attempt", d.Attempts, "outcome", outcome, "err", d.Error)
	}
	// What was sent is noted even when Norn is stopping just now.
	if err := b.o.Box.PutDelivery(context.WithoutCancel(ctx), d); err != nil {
		b.o.Log.Error("a delivery could not be noted", "receiver", r.Name, "err", err)
		b.pause(ctx, r.Name, idle)
	}
}

// ref is the channel's name of the first message about the incident.
func (b *Outbox) ref(ctx context.Context, d *ops.Delivery) string {
	if d.Incident == "" {
		return ""
	}
	list, err := b.o.Box.Deliveries(ctx, store.DeliveryFilter{Receiver: d.Receiver, Incident: d.Incident, State: ops.DeliverySent, Oldest: true})
	if err != nil {
		b.o.Log.Error("the outbox cannot be read", "receiver", d.Receiver, "err", err)
	}
	for i := range list {
		if list[i].Ref != "" {
			return list[i].Ref
		}
	}
	return ""
}
