// Package outbox tells people about incidents: it sees what changed, stores
// what is to be told, and sends it until it has arrived.
//
// It exists so that nothing is lost while a channel is down or Norn is killed:
// what is to be told is stored together with the fact that it was decided, and
// incidents are read from the store, so what was missed is made up for after a
// restart. Nothing is told twice: a delivery's ID is its change. Only a kill
// between a channel's answer and the note of it sends once more, under the same
// key. It words nothing and decides nothing (package notify does).
//
// [Outbox] is the main type; it is safe for concurrent use. [Outbox.Run] owns
// one goroutine that decides and one for each receiver.
package outbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"golang.org/x/sync/errgroup"

	"github.com/norn-aiops/norn/internal/notify"
	"github.com/norn-aiops/norn/internal/notify/channel"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/store"
)

// Receiver is one place where people are told.
type Receiver struct {
	Name      string
	Kind      string // email, slack...
	Channel   channel.Channel
	PerMinute int // messages at most; what is more waits
}

// Options says what an [Outbox] works with. All but Log and Chart are required.
type Options struct {
	Box        store.Outbox
	State      store.State
	Policy     *notify.Policy
	Receivers  []Receiver
	Open       func() []ops.Incident   // the incidents that are open now
	Wake       <-chan struct{}         // something changed; nil: only the clock says
	Suppressed func() []ops.Suppressed // what the budget of false pages holds back
	Base       func() string           // the console's address
	Chart      func(ctx context.Context, incident string) ([]byte, error)
	GiveUp     time.Duration // an undelivered message is given up after
	Now        func() time.Time
	Log        *slog.Logger
	Registerer prometheus.Registerer
}

// Keys of what is kept between runs.
const (
	blobCursor      = "notify/cursor"
	blobDigest      = "notify/digest"
	blobSilences    = "notify/silences"
	blobMaintenance = "notify/maintenance"
)

// Outbox tells people. Make one with [New].
type Outbox struct {
	o    Options
	sent *prometheus.CounterVec
	wake map[string]chan struct{} // of the senders

	mu       sync.Mutex // of the fields below
	silences *notify.Silences
	windows  *notify.Windows

	told map[string]*ops.Notice // of open incidents; of the deciding goroutine
	held map[string]bool        // keys of what was noted as held back; likewise
}

// New makes an outbox and reads the silences and windows that were kept.
func New(ctx context.Context, o Options) (*Outbox, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	b := &Outbox{o: o, wake: map[string]chan struct{}{}, told: map[string]*ops.Notice{}, held: map[string]bool{}}
	b.sent = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "norn_notifications_total",
		Help: "Messages to people by receiver and outcome: sent, retried (an attempt failed), failed (given up), held, digest."}, []string{"receiver", "outcome"})
	if err := o.Registerer.Register(b.sent); err != nil {
		return nil, fmt.Errorf("cannot register the counter of notifications: %w", err)
	}
	for _, r := range o.Receivers {
		b.wake[r.Name] = make(chan struct{}, 1)
		for _, outcome := range []string{"sent", "failed"} {
			b.sent.WithLabelValues(r.Name, outcome)
		}
	}
	var silences []notify.Silence
	var windows []notify.Maintenance
	if err := errors.Join(b.load(ctx, blobSilences, &silences), b.load(ctx, blobMaintenance, &windows)); err != nil {
		return nil, err
	}
	b.silences = notify.NewSilences(silences)
	var err error
	if b.windows, err = notify.NewWindows(windows); err != nil {
		return nil, fmt.Errorf("cannot use a kept maintenance window: %w", err)
	}
	return b, nil
}

func (b *Outbox) load(ctx context.Context, key string, into any) error {
	raw, err := b.o.State.Blob(ctx, key)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(raw, into)
	}
	if err != nil {
		return fmt.Errorf("cannot read %s: %w", key, err)
	}
	return nil
}

func (b *Outbox) save(ctx context.Context, key string, v any) error {
	raw, err := json.Marshal(v)
	if err == nil {
		err = b.o.State.PutBlob(ctx, key, raw)
	}
	if err != nil {
		return fmt.Errorf("cannot keep %s: %w", key, err)
	}
	return nil
}

// lookEvery is how often the clock is asked when nothing changes: escalations
// and ends of silences come by it.
const lookEvery = 2 * time.Second

// Run decides and sends until ctx ends.
func (b *Outbox) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, r := range b.o.Receivers {
		g.Go(func() error { return b.deliver(ctx, r) })
	}
	g.Go(func() error {
		tick := time.NewTicker(lookEvery)
		defer tick.Stop()
		for {
			if err := b.Look(ctx); err != nil && ctx.Err() == nil {
				b.o.Log.Error("notifications could not be decided; they will be", "err", err)
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-tick.C:
			case <-b.o.Wake:
			}
		}
	})
	return g.Wait()
}

// overlap is how far a look reaches back behind the last one, and after a
// restart: an incident is stored a moment after the time that it says.
const (
	overlap    = 30 * time.Second
	maxChanged = 5000
)

// Look decides once, now, what is to be told. [Outbox.Run] does it by itself.
func (b *Outbox) Look(ctx context.Context) error {
	if len(b.o.Receivers) == 0 {
		return nil
	}
	now := b.o.Now().UnixMilli()
	cursor := now
	if err := b.load(ctx, blobCursor, &cursor); err != nil {
		return err
	}
	changed, err := b.o.State.Incidents(ctx, store.IncidentFilter{From: cursor - overlap.Milliseconds(), Limit: maxChanged})
	if err != nil {
		return err
	}
	all := b.o.Open()
	open := make([]model.LabelSet, 0, len(all))
	for i := range all {
		open = append(open, notify.Labels(&all[i]))
	}
	for i := range changed {
		if !slices.ContainsFunc(all, func(in ops.Incident) bool { return in.ID == changed[i].ID }) {
			all = append(all, changed[i])
		}
	}
	for i := range all {
		if err := b.consider(ctx, &all[i], open, now); err != nil {
			return err
		}
	}
	if now-cursor > 1000 || now == cursor {
		if err := b.save(ctx, blobCursor, now); err != nil {
			return err
		}
	}
	return b.digest(ctx, now)
}

// consider tells what is new of one incident.
func (b *Outbox) consider(ctx context.Context, in *ops.Incident, open []model.LabelSet, now int64) error {
	told, err := b.notice(ctx, in.ID)
	if err != nil {
		return err
	}
	change := b.o.Policy.Change(in, told, now)
	ls := notify.Labels(in)
	targets, policy := b.o.Policy.Plan(ls, now)
	step := 0
	if change == "" && told != nil && in.State == ops.StateOpen && told.Policy != "" {
		var next []string
		if step, next = b.o.Policy.Escalate(told.Policy, told.Step, told.Opened, now); step > told.Step {
			change, targets = ops.NoticeEscalated, nil
			for _, r := range next {
				targets = append(targets, notify.Target{Receiver: r})
			}
		}
	}
	if change == "" {
		return nil
	}
	if change != ops.NoticeResolved && change != ops.NoticeAcknowledged {
		if why := b.heldBy(ls, open, now); why != "" {
			return b.hold(ctx, in, change, targets, why, now)
		}
	}
	n := notify.Note(in, told, change, now)
	switch change {
	case ops.NoticeOpened, ops.NoticeReopened:
		n.Policy = policy
	case ops.NoticeEscalated:
		n.Step = step
	}
	ds := b.compose(in, &n, change, targets, now)
	if err := b.o.Box.Enqueue(ctx, &n, ds); err != nil {
		return err
	}
	if b.told[in.ID] = &n; in.State == ops.StateResolved {
		delete(b.told, in.ID)
	}
	b.poke(ds)
	return nil
}

func (b *Outbox) notice(ctx context.Context, id string) (*ops.Notice, error) {
	if n, ok := b.told[id]; ok {
		return n, nil
	}
	n, err := b.o.Box.Notice(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return n, err
}

// compose makes the deliveries of a change and notes who is told by them.
func (b *Outbox) compose(in *ops.Incident, n *ops.Notice, change string, targets []notify.Target, now int64) []ops.Delivery {
	quiet := change == ops.NoticeAcknowledged
	if quiet || change == ops.NoticeResolved {
		targets = nil
	}
	if change != ops.NoticeEscalated {
		for _, r := range n.Receivers { // who has heard of it hears how it goes on
			if !slices.ContainsFunc(targets, func(t notify.Target) bool { return t.Receiver == r && !t.Digest }) {
				targets = append(slices.DeleteFunc(targets, func(t notify.Target) bool { return t.Receiver == r }), notify.Target{Receiver: r})
			}
		}
	}
	m := notify.NewMessage(in, change, b.o.Base())
	var out []ops.Delivery
	for _, t := range targets {
		r := b.receiver(t.Receiver)
		if r == nil || quiet && !r.Channel.Edits() {
			continue
		}
		d := ops.Delivery{ID: notify.Key(r.Name, in.ID, change, n.Times), Receiver: r.Name, Channel: r.Kind, Incident: in.ID,
			State: ops.DeliveryQueued, Created: now, Due: now, Message: m}
		if t.Digest {
			d.State = ops.DeliveryDigest
		} else if !slices.Contains(n.Receivers, r.Name) {
			n.Receivers = append(n.Receivers, r.Name)
		}
		if change == ops.NoticeEscalated {
			d.Why = fmt.Sprintf("step %d of escalation %s: not acknowledged since %s", n.Step+1, n.Policy, (time.Duration(now-n.Opened) * time.Millisecond).Round(time.Second))
		}
		out = append(out, d)
	}
	return out
}

func (b *Outbox) receiver(name string) *Receiver {
	for i := range b.o.Receivers {
		if b.o.Receivers[i].Name == name {
			return &b.o.Receivers[i]
		}
	}
	return nil
}

// poke wakes the senders of new deliveries.
func (b *Outbox) poke(ds []ops.Delivery) {
	for i := range ds {
		if ds[i].State == ops.DeliveryDigest {
			b.sent.WithLabelValues(ds[i].Receiver, "digest").Inc()
			continue
		}
		select {
		case b.wake[ds[i].Receiver] <- struct{}{}:
		default: // it is awake
		}
	}
}
