package storetest

import (
	"errors"
	"reflect"
	"testing"

	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/store"
)

// stateOutbox: what is to be told is stored with the fact that it was decided,
// once for each key, and is there after the store is opened again. Stores
// without an outbox have nothing to show here.
func stateOutbox(t *testing.T, place string, open OpenState) {
	s := open(t, place)
	ctx := background()
	box, ok := s.(store.Outbox)
	if !ok {
		s.Close()
		return
	}
	if _, err := box.Notice(ctx, "i"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("notice of nothing: %v", err)
	}
	n := ops.Notice{Incident: "i", State: ops.StateOpen, Level: ops.LevelMajor, Root: "database/a'b", Receivers: []string{"x"}, Times: 1, Updated: 5, Opened: 5}
	d := ops.Delivery{ID: "k1", Receiver: "x", Incident: "i", State: ops.DeliveryQueued, Created: 5, Due: 5, Message: ops.Message{Title: "T\x00", Evidence: []string{"one"}}}
	later := d
	later.ID, later.Created, later.Receiver = "k2", 6, "y"
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(box.Enqueue(ctx, &n, []ops.Delivery{d, later}))
	sent := d
	sent.State, sent.Sent, sent.Ref = ops.DeliverySent, 9, "ref"
	must(box.PutDelivery(ctx, &sent))
	must(box.Enqueue(ctx, nil, []ops.Delivery{d})) // known: stays sent
	if err := box.Enqueue(ctx, &ops.Notice{Incident: "j"}, []ops.Delivery{{ID: "k3"}, {}}); err == nil {
		t.Error("a delivery without id was taken")
	}
	must(s.Close())
	s = open(t, place)
	defer s.Close()
	box = s.(store.Outbox)
	if got, err := box.Notice(ctx, "i"); err != nil || !reflect.DeepEqual(*got, n) {
		t.Errorf("%+v %v, want %+v", got, err, n)
	}
	if _, err := box.Notice(ctx, "j"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("half of a refused call was stored: %v", err)
	}
	for _, c := range []struct {
		f    store.DeliveryFilter
		want []string
	}{
		{store.DeliveryFilter{}, []string{"k2", "k1"}}, {store.DeliveryFilter{Oldest: true}, []string{"k1", "k2"}}, {store.DeliveryFilter{State: ops.DeliveryQueued}, []string{"k2"}},
		{store.DeliveryFilter{Receiver: "x"}, []string{"k1"}}, {store.DeliveryFilter{Incident: "i", Limit: 1}, []string{"k2"}}, {store.DeliveryFilter{Incident: "z"}, nil},
	} {
		list, err := box.Deliveries(ctx, c.f)
		must(err)
		var got []string
		for i := range list {
			got = append(got, list[i].ID)
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%+v gives %v, want %v", c.f, got, c.want)
		}
	}
	if list, err := box.Deliveries(ctx, store.DeliveryFilter{Receiver: "x"}); err != nil || !reflect.DeepEqual(list[0], sent) {
		t.Errorf("%+v %v, want %+v", list, err, sent)
	}
}
