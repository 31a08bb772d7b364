package store

import (
	"context"

	"github.com/norn-aiops/norn/internal/ops"
)

// DeliveryFilter selects deliveries. Empty fields match everything.
type DeliveryFilter struct {
	Receiver string
	Incident string
	State    string
	Oldest   bool // oldest first; else newest
	Limit    int  // 0 means 200
}

// Outbox keeps what people are to be told until they have been told. Every
// write is durable when it returns.
type Outbox interface {
	// Enqueue stores what has been told of an incident together with the
	// deliveries that tell it: all or nothing. A delivery whose ID is known is
	// left as it is. n may be nil.
	Enqueue(ctx context.Context, n *ops.Notice, ds []ops.Delivery) error
	// Notice returns ErrNotFound when nothing was told of the incident.
	Notice(ctx context.Context, incident string) (*ops.Notice, error)
	// PutDelivery replaces the delivery of that ID.
	PutDelivery(ctx context.Context, d *ops.Delivery) error
	Deliveries(ctx context.Context, f DeliveryFilter) ([]ops.Delivery, error)
}
