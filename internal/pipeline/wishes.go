package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/norn-aiops/norn/internal/rules"
	"github.com/norn-aiops/norn/internal/store"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// blobWishes is the state store's key of what was set through the API.
const blobWishes = "detection_wishes"

// ErrStale is returned when wishes were changed by somebody else meanwhile.
var ErrStale = errors.New("changed meanwhile")

// ErrWish is returned (wrapped) when a wish cannot be granted as it is written.
var ErrWish = errors.New("cannot be used")

// wishes is what operators say about detection: in the configuration file,
// and through the API, which is kept in the state store.
type wishes struct {
	now atomic.Pointer[rules.Set]

	mu       sync.Mutex // guards what follows
	file     rules.Config
	stored   rules.Config
	revision int64
}

// storedWishes is the form in the state store.
type storedWishes struct {
	Revision int64        `json:"revision"`
	Config   rules.Config `json:"config"`
}

// init compiles what the configuration file says.
func (w *wishes) init(file rules.Config) error {
	set, err := rules.Compile(time.LoadLocation, file)
	if err != nil {
		return fmt.Errorf("detection.%w", err)
	}
	w.file = file
	w.now.Store(set)
	return nil
}

// load reads what was set through the API before the restart. Wishes that the
// configuration file has made impossible (a name is taken) are left aside and
// said; they stay in the store.
func (p *Pipeline) loadWishes(ctx context.Context) error {
	raw, err := p.st.State.Blob(ctx, blobWishes)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot load what was set for detection: %w", err)
	}
	var kept storedWishes
	if err := json.Unmarshal(raw, &kept); err != nil {
		p.log.Error("what was set for detection through the API cannot be read and is left aside", "err", err)
		return nil
	}
	w := &p.wishes
	w.mu.Lock()
	defer w.mu.Unlock()
	w.revision, w.stored = kept.Revision, kept.Config
	set, err := rules.Compile(time.LoadLocation, w.file, w.stored)
	if err != nil {
		p.log.Error("what was set for detection through the API does not fit and is left aside", "err", err)
		return nil
	}
	w.now.Store(set)
	return nil
}

// StoredWishes reads what was set for detection through the API from a state
// store.
func StoredWishes(ctx context.Context, st store.State) (rules.Config, error) {
	raw, err := st.Blob(ctx, blobWishes)
	if errors.Is(err, store.ErrNotFound) {
		return rules.Config{}, nil
	}
	var kept storedWishes
	if err == nil {
		err = json.Unmarshal(raw, &kept)
	}
	if err != nil {
		return rules.Config{}, fmt.Errorf("cannot load what was set for detection: %w", err)
	}
	return kept.Config, nil
}

// describe is asked about every new description of a series.
func (p *Pipeline) describe(s *telemetry.Series) {
	p.wishes.now.Load().Describe(s)
	p.plugins.describe(s)
	p.owners.describe(s)
	p.slos.members.describe(s)
}

// Wishes gives what operators say about detection: in the configuration file,
// and through the API with its revision.
func (p *Pipeline) Wishes() (file, stored rules.Config, revision int64) {
	w := &p.wishes
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.file, w.stored, w.revision
}

// SetWishes replaces what was set through the API, stores it, and applies it:
// series are described anew with their next point. revision is that of the
// wishes that were changed; when it is not the latest, ErrStale is returned.
// ErrWish (wrapped) says what is wrong with the new ones.
func (p *Pipeline) SetWishes(ctx context.Context, c rules.Config, revision int64) (int64, error) {
	w := &p.wishes
	w.mu.Lock()
	defer w.mu.Unlock()
	if revision != w.revision {
		return w.revision, fmt.Errorf("what is set for detection has revision %d by now, not %d: %w", w.revision, revision, ErrStale)
	}
	set, err := rules.Compile(time.LoadLocation, w.file, c)
	if err != nil {
		return w.revision, fmt.Errorf("%w: %w", ErrWish, err)
	}
	if err := p.tryLogs(ctx, c); err != nil {
		return w.revision, err
	}
	raw, err := json.Marshal(storedWishes{Revision: revision + 1, Config: c})
	if err != nil {
		return w.revision, fmt.Errorf("cannot encode what is set for detection: %w", err)
	}
	if err := p.st.State.PutBlob(ctx, blobWishes, raw); err != nil {
		return w.revision, fmt.Errorf("cannot store what is set for detection: %w", err)
	}
	w.stored, w.revision = c, revision+1
	w.now.Store(set)
	p.derive.Redescribe()
	p.dropUnwatched()
	return w.revision, nil
}

// tryLogs asks the log store for nothing with every LogsQL text, to see
// whether it understands them.
func (p *Pipeline) tryLogs(ctx context.Context, c rules.Config) error {
	for i, m := range c.CustomMetrics {
		if m.Logs == "" {
			continue
		}
		err := p.st.Logs.SearchLogs(ctx, store.LogQuery{Query: logsQuery(m), From: 1, To: 2, Limit: 1}, func(store.Row) bool { return false })
		if errors.Is(err, store.ErrBadQuery) {
			return fmt.Errorf("%w: %w", ErrWish, &rules.Fault{Key: fmt.Sprintf("custom_metrics[%d] (%s).logs", i, m.Name), Message: err.Error()})
		}
		if err != nil {
			return fmt.Errorf("cannot try the query of custom metric %s: %w", m.Name, err)
		}
	}
	return nil
}

// dropUnwatched takes the series that are not watched any more out of
// detection, lest their silence be news.
func (p *Pipeline) dropUnwatched() {
	set := p.wishes.now.Load()
	if !set.Unwatches() {
		return
	}
	n := p.engine.Drop(p.clock.Load(), func(s *telemetry.Series) bool {
		fresh := *s
		fresh.Policy = nil
		set.Describe(&fresh)
		return fresh.Policy != nil && fresh.Policy.Weight <= 0
	})
	if n > 0 {
		p.log.Info("series are not watched any more, as a rule says", "series", n)
	}
}
