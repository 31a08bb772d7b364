// Package replay reads recorded incidents of several public formats and feeds
// them, in order of time, to whoever pushes them through the pipeline; it also
// scores the answers.
//
// It exists so that detection, correlation and cause analysis can be measured
// on real faults with the same code that runs in production. The clock of a
// replay is the data's own: a reader never asks what time it is. Readers open
// files below the directory they are given and nothing else. It does not run
// the pipeline; the driver above does, item by item. A [Recording] and its
// [Feed] are used by one goroutine. The main types are [Recording] and [Item].
package replay

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/norn-aiops/norn/internal/graph"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// ErrFormat is returned (wrapped) when a directory or file is not what its
// format says.
var ErrFormat = errors.New("not the expected format")

// Sample is one metric value with all that a store needs to know.
type Sample struct {
	Labels labels.Labels // __name__ included
	T      int64         // Unix milliseconds
	V      float64
	Type   string // counter, gauge, histogram; "" when unknown
	Unit   string // "" when unknown
}

// Item is what happened between the previous item's T (exclusive) and T
// (inclusive). Any part may be empty; an empty item only moves the clock.
type Item struct {
	T       int64 // Unix milliseconds
	Samples []Sample
	Logs    []telemetry.LogRecord
	Spans   []telemetry.Span
	Alerts  []telemetry.Alert
	Changes []telemetry.Change
	Edges   []graph.Edge // topology that the format states instead of spans
}

// Feed yields items in strictly increasing T. Next returns io.EOF after the
// last one; any other error ends the feed.
type Feed interface {
	Next() (Item, error)
}

// Fault is one injected fault: the truth of a recording.
type Fault struct {
	ID     string           `json:"id"`
	Onset  int64            `json:"onset_unix_ms"`
	End    int64            `json:"end_unix_ms"`
	Entity telemetry.Entity `json:"entity"` // where it was injected; instances are folded into services where answers are services
	Detail string           `json:"detail,omitempty"`
	Kind   string           `json:"kind"` // as the data set calls it
	Target telemetry.Entity `json:"target"`
	Signal telemetry.Signal `json:"signal,omitempty"` // the target's metric, where the protocol gives one
}

// Interval is a closed stretch of time in Unix milliseconds.
type Interval struct{ From, To int64 }

// Recording is one continuous stretch of recorded telemetry with its truth. A
// data set may consist of several, which have nothing to do with each other:
// each is replayed into a fresh pipeline.
type Recording struct {
	Name    string
	Feed    Feed
	Start   int64 // of the data
	End     int64
	Step    int64 // ms between metric samples
	Faults  []Fault
	Warmups []Interval // stretches that only serve to learn: incidents there are not counted
	Issues  []string   // what was odd in the files and how it was read
}

// Formats lists the names that [Open] knows.
func Formats() []string {
	return []string{"nezha", "petshop", "rca-alerts", "rcd-sockshop", "otlp-json", "prom-csv"}
}

// Open reads the directory's index (not all of its data) and returns its
// recordings in a fixed order.
func Open(dir, format string) ([]*Recording, error) {
	read := map[string]func(string) ([]*Recording, error){
		"nezha": openNezha, "petshop": openPetshop, "rca-alerts": openAlerts,
		"rcd-sockshop": openSockshop, "otlp-json": openOTLP, "prom-csv": openCSV,
	}[format]
	if read == nil {
		return nil, fmt.Errorf("open recording: unknown format %q, known are %v", format, Formats())
	}
	recs, err := read(dir)
	if err != nil {
		return nil, fmt.Errorf("open %s recording %s: %w", format, dir, err)
	}
	if len(recs) == 0 {
		return nil, fmt.Errorf("open %s recording %s: no recording found: %w", format, dir, ErrFormat)
	}
	return recs, nil
}

// sliceFeed serves items from memory.
type sliceFeed struct{ items []Item }

func (f *sliceFeed) Next() (Item, error) {
	if len(f.items) == 0 {
		return Item{}, io.EOF
	}
	it := f.items[0]
	f.items = f.items[1:]
	return it, nil
}

// batch is a builder of a slice feed: things are added in any order and come
// out in order of time, in items of width ms.
type batch struct {
	width int64
	items map[int64]*Item
}

func newBatch(width int64) *batch { return &batch{width: max(width, 1), items: map[int64]*Item{}} }

// at returns the item that holds time t (Unix ms).
func (b *batch) at(t int64) *Item {
	end := floorDiv(t+b.width-1, b.width) * b.width
	it := b.items[end]
	if it == nil {
		it = &Item{T: end}
		b.items[end] = it
	}
	return it
}

// feed returns what was added, sorted.
func (b *batch) feed() *sliceFeed {
	f := &sliceFeed{}
	for _, it := range b.items {
		it.sort()
		f.items = append(f.items, *it)
	}
	slices.SortFunc(f.items, func(x, y Item) int { return cmp.Compare(x.T, y.T) })
	return f
}

// sort puts the parts in order of time; equal times keep the order in which
// they were added.
func (it *Item) sort() {
	slices.SortStableFunc(it.Samples, func(a, b Sample) int { return cmp.Compare(a.T, b.T) })
	slices.SortStableFunc(it.Logs, func(a, b telemetry.LogRecord) int { return cmp.Compare(a.Time, b.Time) })
	slices.SortStableFunc(it.Spans, func(a, b telemetry.Span) int { return cmp.Compare(a.End, b.End) })
	slices.SortStableFunc(it.Alerts, func(a, b telemetry.Alert) int { return cmp.Compare(a.StartsAt, b.StartsAt) })
	slices.SortStableFunc(it.Changes, func(a, b telemetry.Change) int { return cmp.Compare(a.Time, b.Time) })
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

func service(name string) telemetry.Entity {
	if name == "" {
		return telemetry.Entity{}
	}
	return telemetry.Entity{Kind: telemetry.KindService, Name: name}
}

// gauge makes a gauge sample; pairs are label names and values.
func gauge(name, unit string, t int64, v float64, pairs ...string) Sample {
	return Sample{Labels: labels.FromStrings(append([]string{labels.MetricName, name}, pairs...)...), T: t, V: v, Type: "gauge", Unit: unit}
}
