package outbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/common/model"

	"github.com/norn-aiops/norn/internal/notify"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/store"
)

// heldBy says what holds back an incident with these labels, "" when nothing
// does.
func (b *Outbox) heldBy(ls model.LabelSet, open []model.LabelSet, now int64) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s := b.silences.Held(ls, time.UnixMilli(now)); s != nil {
		return fmt.Sprintf("silence %s of %s: %s", s.ID, s.CreatedBy, s.Comment)
	}
	if w := b.o.Policy.In(ls, now, b.windows); w != "" {
		return "maintenance window " + w
	}
	if by := b.o.Policy.Inhibited(ls, open); by != "" {
		return "inhibited by incident " + by
	}
	return ""
}

// maxHeld bounds what is remembered of the held; beyond it a write is repeated.
const maxHeld = 10_000

// hold notes what was not told, and why. When the reason ends while the
// incident lasts, it is told.
func (b *Outbox) hold(ctx context.Context, in *ops.Incident, change string, targets []notify.Target, why string, now int64) error {
	var ds []ops.Delivery
	for _, t := range targets {
		r := b.receiver(t.Receiver)
		if r == nil {
			continue
		}
		key := notify.Key(r.Name, in.ID, change+" held: "+why, 0)
		if b.held[key] {
			continue
		}
		ds = append(ds, ops.Delivery{ID: key, Receiver: r.Name, Channel: r.Kind, Incident: in.ID, State: ops.DeliveryHeld, Why: why,
			Created: now, Message: notify.NewMessage(in, change, b.o.Base())})
	}
	if len(ds) == 0 {
		return nil
	}
	if err := b.o.Box.Enqueue(ctx, nil, ds); err != nil {
		return err
	}
	if len(b.held) > maxHeld {
		clear(b.held)
	}
	for i := range ds {
		b.held[ds[i].ID] = true
		b.sent.WithLabelValues(ds[i].Receiver, "held").Inc()
	}
	return nil
}

// maxDigest bounds the lines of a digest.
const maxDigest = 200

// digest tells the rest when its time has come.
func (b *Outbox) digest(ctx context.Context, now int64) error {
	due := b.o.Policy.LastDigest(now)
	var last int64
	if err := b.load(ctx, blobDigest, &last); err != nil || due <= last {
		return err
	}
	if last == 0 { // the first run: nothing is owed
		return b.save(ctx, blobDigest, due)
	}
	waiting, err := b.o.Box.Deliveries(ctx, store.DeliveryFilter{State: ops.DeliveryDigest, Oldest: true, Limit: maxChanged})
	if err != nil {
		return err
	}
	lines := map[string][]string{}
	for i := range waiting {
		d := &waiting[i]
		lines[d.Receiver] = append(lines[d.Receiver], fmt.Sprintf("%s %s", clock(d.Created), notify.Head(&d.Message)))
	}
	held := 0
	for _, s := range b.o.Suppressed() {
		if s.Last < last {
			continue
		}
		held++
		for _, r := range b.o.Policy.DigestTo() {
			lines[r] = append(lines[r], fmt.Sprintf("%s held back by the budget: %s (%s)", clock(s.Onset), s.Title, s.Why))
		}
	}
	var ds []ops.Delivery
	for _, r := range b.o.Receivers {
		text := lines[r.Name]
		if len(text) == 0 {
			continue
		}
		m := ops.Message{Change: ops.NoticeDigest, Title: fmt.Sprintf("Digest: %d things that called nobody", len(text)), Link: b.o.Base(),
			Sentence: fmt.Sprintf("Since %s nobody was called for these.", clock(last)), Lines: text[:min(len(text), maxDigest)]}
		ds = append(ds, ops.Delivery{ID: notify.Key(r.Name, "", ops.NoticeDigest, int(due/1000)), Receiver: r.Name, Channel: r.Kind,
			State: ops.DeliveryQueued, Created: now, Due: now, Message: m})
	}
	if err := b.o.Box.Enqueue(ctx, nil, ds); err != nil {
		return err
	}
	for i := range waiting {
		waiting[i].State, waiting[i].Sent = ops.DeliveryTold, now
		if err := b.o.Box.PutDelivery(ctx, &waiting[i]); err != nil {
			return err
		}
	}
	b.poke(ds)
	return b.save(ctx, blobDigest, due)
}

func clock(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02 15:04 MST") }

// Silences lists all silences, the last to end first.
func (b *Outbox) Silences() []notify.Silence {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.silences.List()
}

// PutSilence adds or replaces a silence.
func (b *Outbox) PutSilence(ctx context.Context, s notify.Silence) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	next := notify.NewSilences(b.silences.List())
	if err := next.Put(s, b.o.Now()); err != nil {
		return err
	}
	return b.useSilences(ctx, next)
}

// errStore marks that a silence is well but could not be kept.
var errStore = errors.New("cannot keep silences")

func (b *Outbox) useSilences(ctx context.Context, next *notify.Silences) error {
	if err := b.save(ctx, blobSilences, next.List()); err != nil {
		return fmt.Errorf("%w: %w", errStore, err)
	}
	b.silences = next
	return nil
}

// ExpireSilence ends a silence now; store.ErrNotFound when there is none.
func (b *Outbox) ExpireSilence(ctx context.Context, id string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	next := notify.NewSilences(b.silences.List())
	if !next.Expire(id, b.o.Now()) {
		return fmt.Errorf("silence %q: %w", id, store.ErrNotFound)
	}
	return b.useSilences(ctx, next)
}

// Maintenance lists the windows of the configuration and those of the API.
func (b *Outbox) Maintenance() (file, stored []notify.Maintenance) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.o.Policy.Maintenance(), b.windows.List()
}

// PutMaintenance adds a window, or replaces the one of the same name.
func (b *Outbox) PutMaintenance(ctx context.Context, m notify.Maintenance) error {
	return b.changeWindows(ctx, func(list []notify.Maintenance) ([]notify.Maintenance, error) {
		list = slices.DeleteFunc(list, func(o notify.Maintenance) bool { return o.Name == m.Name })
		return append(list, m), nil
	})
}

// RemoveMaintenance ends a window; store.ErrNotFound when there is none.
func (b *Outbox) RemoveMaintenance(ctx context.Context, name string) error {
	return b.changeWindows(ctx, func(list []notify.Maintenance) ([]notify.Maintenance, error) {
		kept := slices.DeleteFunc(slices.Clone(list), func(o notify.Maintenance) bool { return o.Name == name })
		if len(kept) == len(list) {
			return nil, fmt.Errorf("maintenance window %q: %w", name, store.ErrNotFound)
		}
		return kept, nil
	})
}

func (b *Outbox) changeWindows(ctx context.Context, change func([]notify.Maintenance) ([]notify.Maintenance, error)) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	list, err := change(b.windows.List())
	if err != nil {
		return err
	}
	next, err := notify.NewWindows(list)
	if err != nil {
		return err
	}
	if err := b.save(ctx, blobMaintenance, list); err != nil {
		return err
	}
	b.windows = next
	return nil
}

// OnCall lists who is on call now.
func (b *Outbox) OnCall() []notify.OnCall { return b.o.Policy.OnCall(b.o.Now().UnixMilli()) }

// Deliveries lists what was and will be sent.
func (b *Outbox) Deliveries(ctx context.Context, f store.DeliveryFilter) ([]ops.Delivery, error) {
	return b.o.Box.Deliveries(ctx, f)
}

// Test sends a message to one receiver at once, past queue and limits.
func (b *Outbox) Test(ctx context.Context, name string) error {
	r := b.receiver(name)
	if r == nil {
		return fmt.Errorf("receiver %q: %w", name, store.ErrNotFound)
	}
	return SendTest(ctx, *r, b.o.Now(), b.o.Base())
}
