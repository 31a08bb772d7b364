package normalize

import (
	"strings"
	"sync"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/norn-aiops/norn/internal/telemetry"
)

// signalKey is all that decides what a series says: many series share it.
type signalKey struct {
	name, base string
	rate       bool
	bad        bool // a label says that what is counted went wrong
	idle       bool // a label says that it is what is free
}

func signalKeyOf(name string, ls labels.Labels, base string, rate bool) signalKey {
	return signalKey{name: name, base: base, rate: rate, bad: isErrorLabels(ls), idle: isIdle(ls)}
}

// maxSignals bounds a cache: names come from outside.
const maxSignals = 20_000

// signalCache remembers what was found for a key. The zero value is empty; it
// is safe for concurrent use.
type signalCache struct {
	mu sync.RWMutex
	m  map[signalKey]meaning
}

type meaning struct {
	signal    telemetry.Signal
	direction telemetry.Direction
	own, show string // name and display name of the rate
}

// of is signalOf with a memory.
func (c *signalCache) of(name string, ls labels.Labels, base string, rate bool) (telemetry.Signal, telemetry.Direction) {
	m := c.meaning(name, ls, base, rate)
	return m.signal, m.direction
}

func (c *signalCache) meaning(name string, ls labels.Labels, base string, rate bool) meaning {
	k := signalKeyOf(name, ls, base, rate)
	c.mu.RLock()
	found, ok := c.m[k]
	c.mu.RUnlock()
	if ok {
		return found
	}
	found.signal, found.direction = k.signal()
	if rate {
		found.own, found.show = name+":rate", "rate("+name+")"
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.m == nil || len(c.m) >= maxSignals {
		c.m = map[signalKey]meaning{}
	}
	k.name, k.base = strings.Clone(name), strings.Clone(base) // they may lie in a longer text
	c.m[k] = found
	return found
}
