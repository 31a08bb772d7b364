package api

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/sse"
)

// pingEvery keeps proxies and phones from closing an idle stream.
const pingEvery = 15 * time.Second

// registerEvents mounts the stream of hints. One stream per console; each
// ends with its request.
func (s *Server) registerEvents() {
	sse.Register(s.api, huma.Operation{
		OperationID: "events", Method: http.MethodGet, Path: apiPrefix + "events", Tags: []string{"events"},
		Summary: "Stream of what changes (server-sent events); each is a hint to read again",
	}, map[string]any{"message": Event{}}, s.streamEvents)
}

func (s *Server) streamEvents(ctx context.Context, _ *struct{}, send sse.Sender) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	events := s.live.Subscribe(ctx)
	tick := time.NewTicker(pingEvery)
	defer tick.Stop()
	ping := func() Event { return Event{Kind: EventPing, Time: s.now().UnixMilli()} }
	err := send(sse.Message{Data: ping(), Retry: 2000})
	for err == nil {
		select {
		case <-ctx.Done():
			return
		case e, more := <-events:
			if !more {
				return
			}
			err = send.Data(e)
		case <-tick.C:
			err = send.Data(ping())
		}
	}
	s.log.Debug("event stream ended", slog.Any("error", err))
}
