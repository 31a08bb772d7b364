// Package telemetry holds the words for what arrives: entities, series,
// samples, log records, spans, changes and other tools' alerts.
//
// It exists so that every stage speaks of the same things in the same units.
// It does not parse, convert, store or judge: ingest and normalize fill these
// values, the stages read them. Values are plain data; a slice or map that is
// handed over belongs to the receiver and must not be changed by the sender.
//
// Times are Unix milliseconds for samples (as in Prometheus) and Unix
// nanoseconds for logs and spans (as in OpenTelemetry). Units are UCUM base
// units: s, By, 1 (a ratio), {request}/s.
package telemetry

import (
	"strings"
	"sync/atomic"

	"github.com/prometheus/prometheus/model/labels"
)

// EntityKind says what sort of thing an entity is.
type EntityKind string

// The kinds of entity that Norn knows. Names follow the OpenTelemetry
// semantic conventions' namespaces.
const (
	KindService     EntityKind = "service"
	KindInstance    EntityKind = "instance" // process, container or pod
	KindHost        EntityKind = "host"
	KindDatabase    EntityKind = "database"
	KindQueue       EntityKind = "queue"
	KindCache       EntityKind = "cache"
	KindFunction    EntityKind = "function"
	KindDevice      EntityKind = "device"
	KindSegment     EntityKind = "segment"
	KindExternal    EntityKind = "external"
	KindZone        EntityKind = "zone"
	KindApplication EntityKind = "application"
)

// Entity identifies a thing that can be healthy or not. The zero value means
// "unknown". It is comparable and used as a map key.
type Entity struct {
	Kind EntityKind `json:"kind"`
	Name string     `json:"name"`
}

// String gives "kind/name", or "" for the unknown entity.
func (e Entity) String() string {
	if e.Name == "" {
		return ""
	}
	return string(e.Kind) + "/" + e.Name
}

// IsZero reports whether the entity is unknown.
func (e Entity) IsZero() bool { return e.Name == "" }

// ParseEntity reads what [Entity.String] wrote. A text without a slash is
// taken as a service's name; an empty text gives the zero Entity.
func ParseEntity(s string) Entity {
	kind, name, ok := strings.Cut(s, "/")
	if !ok {
		if s == "" {
			return Entity{}
		}
		return Entity{Kind: KindService, Name: s}
	}
	return Entity{Kind: EntityKind(kind), Name: name}
}

// Attr is one attribute of a log record, span or resource. Attribute slices
// are sorted by Key and hold each Key once.
type Attr struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// Get returns the value of key in attrs, or "".
func Get(attrs []Attr, key string) string {
	for i := range attrs {
		if attrs[i].Key == key {
			return attrs[i].Value
		}
	}
	return ""
}

// Signal is what a series says about its entity; it decides how detection and
// cause analysis weigh it.
type Signal string

// The golden signals, and what does not fit them.
const (
	SignalLatency    Signal = "latency"    // seconds; up is bad
	SignalErrors     Signal = "errors"     // failed share 0..1 or failures a second; up is bad
	SignalTraffic    Signal = "traffic"    // requests, bytes, lines a second; a driver
	SignalSaturation Signal = "saturation" // cpu, memory, disk, queue length; up is bad
	SignalNetwork    Signal = "network"    // edge gap: client minus server time, seconds
	SignalLogs       Signal = "logs"       // rate of a log template or severity
	SignalUp         Signal = "up"         // 1 is alive, 0 is not; down is bad
	SignalOther      Signal = "other"
)

// Direction says which way of deviating is bad.
type Direction int8

// Directions of badness.
const (
	BothBad Direction = 0
	UpBad   Direction = 1
	DownBad Direction = -1
)

// SeriesID identifies a detection series: the hash of its labels including
// the name ([labels.Labels.Hash]). It is stable across restarts.
type SeriesID uint64

// Series describes one stream of numbers that detection watches: a stored
// series, or one derived from it (a rate, a quantile).
type Series struct {
	ID        SeriesID
	Labels    labels.Labels // __name__ included; this is how the store finds the raw series
	Expr      string        // PromQL that draws this series from the store; for derived series "rate(x[1m])", "histogram_quantile(...)"
	Name      string        // display name, e.g. "rate(http_requests_total)"
	Entity    Entity
	Peer      Entity // the other end, for series of an edge (Entity is the caller, Peer the callee)
	Instance  Entity // process, container or pod that sent it, when known; Entity is then its service
	Signal    Signal
	Direction Direction
	Unit      string // UCUM base unit, "" when unknown
	Derived   bool
	Policy    *Policy // what the operator set for it; nil nearly always
}

// Point is one value of a detection series.
type Point struct {
	Series *Series
	T      int64 // Unix milliseconds
	V      float64
	Seat   *Seat // the sender's note for detection, nil when it keeps none
}

// Seat is where detection notes how to find the state of a series without a
// look-up. Whoever sends points of a series may keep one with it and pass it
// with every point. The zero value is empty; a wrong one costs a look-up. It is
// safe for concurrent use.
type Seat = atomic.Uint32

// Sample is one stored value of a raw series.
type Sample struct {
	T int64 // Unix milliseconds
	V float64
}

// Severity is a log severity number of the OpenTelemetry data model: 1-4
// TRACE, 5-8 DEBUG, 9-12 INFO, 13-16 WARN, 17-20 ERROR, 21-24 FATAL, 0
// unknown.
type Severity int8

// The lowest number of each severity range.
const (
	SeverityUnknown Severity = 0
	SeverityTrace   Severity = 1
	SeverityDebug   Severity = 5
	SeverityInfo    Severity = 9
	SeverityWarn    Severity = 13
	SeverityError   Severity = 17
	SeverityFatal   Severity = 21
)

// String names the severity's range in lower case: "info", "error"...
func (s Severity) String() string {
	switch {
	case s >= SeverityFatal:
		return "fatal"
	case s >= SeverityError:
		return "error"
	case s >= SeverityWarn:
		return "warn"
	case s >= SeverityInfo:
		return "info"
	case s >= SeverityDebug:
		return "debug"
	case s >= SeverityTrace:
		return "trace"
	}
	return "unknown"
}

// LogRecord is one log line or event.
type LogRecord struct {
	Time         int64 // Unix nanoseconds, of the event
	Observed     int64 // Unix nanoseconds, when Norn or the sender's collector saw it
	Severity     Severity
	SeverityText string // as sent
	Body         string
	Entity       Entity // the service, else host; filled by normalize
	Instance     Entity // process, container or pod; filled by normalize
	Resource     []Attr // what the sender said about itself
	Attributes   []Attr
	TraceID      string // lower-case hex, "" if none
	SpanID       string
	Source       string // the protocol: "otlp", "syslog", "elastic", "json"
	Sender       string // peer address or name, for skew and counters
	Retryable    bool   // the protocol may re-send the same batch: dedup applies
	History      bool   // brought in later than it happened: it teaches, and raises no alarm
	Template     uint64 // id of the mined template, 0 before mining
	Hash         uint64 // identity for dedup, 0 before normalize
}

// SpanKind is the OpenTelemetry span kind.
type SpanKind string

// Span kinds.
const (
	SpanInternal SpanKind = "internal"
	SpanServer   SpanKind = "server"
	SpanClient   SpanKind = "client"
	SpanProducer SpanKind = "producer"
	SpanConsumer SpanKind = "consumer"
)

// Span is one timed operation of a trace.
type Span struct {
	TraceID       string   `json:"trace_id"` // lower-case hex
	SpanID        string   `json:"span_id"`
	ParentID      string   `json:"parent_id,omitempty"`
	Name          string   `json:"name"`
	Kind          SpanKind `json:"kind"`
	Start         int64    `json:"start_unix_nano"`
	End           int64    `json:"end_unix_nano"`
	Error         bool     `json:"error"`
	StatusMessage string   `json:"status_message,omitempty"`
	Entity        Entity   `json:"entity"`   // the service; filled by normalize
	Instance      Entity   `json:"instance"` // filled by normalize
	Resource      []Attr   `json:"resource,omitempty"`
	Attributes    []Attr   `json:"attributes,omitempty"`
	Sender        string   `json:"-"`
}

// ChangeKind says what sort of change was made.
type ChangeKind string

// Kinds of change.
const (
	ChangeDeploy ChangeKind = "deploy"
	ChangeConfig ChangeKind = "config"
	ChangeScale  ChangeKind = "scale"
	ChangeFlag   ChangeKind = "flag"
	ChangeEvent  ChangeKind = "event" // restart, eviction, failover: not made by a person
)

// Change is something that could explain a shift.
type Change struct {
	ID     string     `json:"id"`
	Time   int64      `json:"time_unix_ms"`
	Kind   ChangeKind `json:"kind"`
	Entity Entity     `json:"entity"`
	Title  string     `json:"title"`
	Actor  string     `json:"actor,omitempty"`
	Link   string     `json:"link,omitempty"`
}

// Alert is another tool's alert, after the protocol was taken off.
type Alert struct {
	Fingerprint string            `json:"fingerprint"` // hash of the labels
	Source      string            `json:"source"`      // "alertmanager"
	Name        string            `json:"name"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Severity    string            `json:"severity"` // critical, warning, info; unified by normalize
	Entity      Entity            `json:"entity"`   // zero when unresolved
	Caller      Entity            `json:"caller"`   // of a call that the alert is about, whose callee is Entity; zero for others
	StartsAt    int64             `json:"starts_at_unix_ms"`
	EndsAt      int64             `json:"ends_at_unix_ms"` // 0 while firing
	Link        string            `json:"link,omitempty"`
}
