package normalize

import (
	"encoding/binary"
	"slices"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/cespare/xxhash/v2"

	"github.com/norn-aiops/norn/internal/telemetry"
)

// Reasons for which a record is refused; they are counter labels.
const (
	ReasonTooFarInFuture = "too_far_in_future"
	ReasonTooOld         = "too_old"
	ReasonNoTime         = "no_time"
	ReasonNoID           = "no_id"
)

// DefaultMaxFuture is how far ahead of now a record may be.
const DefaultMaxFuture = 10 * time.Minute

// DefaultMaxAge is how old a record may be.
const DefaultMaxAge = 7 * 24 * time.Hour

// LogConfig configures a [LogNormalizer]. Start from [DefaultLogConfig]: in a
// LogConfig, zero means none.
type LogConfig struct {
	MaxFuture    time.Duration     // records further ahead of now are refused; 0 for no limit
	MaxAge       time.Duration     // older records are refused; 0 for no limit, as a replay needs
	MaxHistory   time.Duration     // the same for history: what the store keeps; 0 for no limit
	NoMask       bool              // leave secrets as they are
	MaskPatterns map[string]string // more secrets to mask: name to RE2 expression
	MaxSenders   int               // senders whose clock skew is measured; 0 for 4096
}

// DefaultLogConfig masks secrets, refuses what is more than 10 minutes ahead
// and what is older than 7 days.
func DefaultLogConfig() LogConfig {
	return LogConfig{MaxFuture: DefaultMaxFuture, MaxAge: DefaultMaxAge, MaxSenders: 4096}
}

// LogNormalizer makes log records, spans, alerts and events uniform. It is
// safe for concurrent use; the values that it changes are not shared.
type LogNormalizer struct {
	cfg      LogConfig
	mask     *Masker
	skew     *skewTable
	versions *versionTable
	last     atomic.Pointer[resolved] // the last resource, as batches repeat it
	repaired atomic.Uint64
}

type resolved struct {
	resource, clean  []telemetry.Attr
	entity, instance telemetry.Entity
}

// NewLogs makes a normalizer. The error names the mask pattern that does not
// compile.
func NewLogs(cfg LogConfig) (*LogNormalizer, error) {
	mask, err := NewMasker(cfg.MaskPatterns)
	if err != nil {
		return nil, err
	}
	if cfg.MaxSenders <= 0 {
		cfg.MaxSenders = 4096
	}
	return &LogNormalizer{cfg: cfg, mask: mask, skew: newSkewTable(cfg.MaxSenders), versions: newVersionTable()}, nil
}

// Masked returns how many secrets were masked, by kind.
func (n *LogNormalizer) Masked() map[string]uint64 { return n.mask.Counts() }

// Repaired returns how many texts held bytes that are not UTF-8, or NUL.
func (n *LogNormalizer) Repaired() uint64 { return n.repaired.Load() }

// Log makes rec uniform in place: times, severity, a valid body, entity and
// instance, masked secrets, hash. now is in Unix nanoseconds. When ok is false
// the record must be refused for reason.
//
// A record without a time of its own gets its Observed time, else now. Only a
// record whose Time or Observed came from the sender hashes equal when it is
// sent again.
func (n *LogNormalizer) Log(rec *telemetry.LogRecord, now int64) (ok bool, reason string) {
	if rec.Observed <= 0 {
		rec.Observed = now
	}
	sent := rec.Time > 0
	if !sent {
		rec.Time = rec.Observed
	}
	age := n.cfg.MaxAge
	if rec.History {
		age = n.cfg.MaxHistory
	}
	if reason := n.checkTime(rec.Time, now, age); reason != "" {
		return false, reason
	}
	if sent && !rec.History {
		n.skew.observe(rec.Sender, now-rec.Time, now)
	}
	rec.Body = n.clean(strings.TrimRight(rec.Body, "\r\n"))
	rec.Severity = severityOf(rec.Severity, rec.SeverityText, rec.Body)
	n.identifyLog(rec)
	if !n.cfg.NoMask {
		rec.Body, _ = n.mask.Mask(rec.Body)
	}
	n.cleanAttrs(rec.Attributes)
	rec.TraceID, rec.SpanID = strings.ToLower(rec.TraceID), strings.ToLower(rec.SpanID)
	rec.Hash = hashLog(rec)
	return true, ""
}

func (n *LogNormalizer) checkTime(t, now int64, age time.Duration) string {
	if n.cfg.MaxFuture > 0 && t > now+int64(n.cfg.MaxFuture) {
		return ReasonTooFarInFuture
	}
	if age > 0 && int64(age) < now && t < now-int64(age) {
		return ReasonTooOld
	}
	return ""
}

// identifyLog fills in entity and instance, unless the receiver knew them. A
// record that identifies nothing is about the host that sent it.
func (n *LogNormalizer) identifyLog(rec *telemetry.LogRecord) {
	res := n.resolve(rec.Resource)
	rec.Resource = res.clean
	if !rec.Entity.IsZero() {
		return
	}
	rec.Entity, rec.Instance = res.entity, res.instance
	if rec.Entity.IsZero() || rec.Entity.Kind != telemetry.KindService && rec.Entity.Kind != telemetry.KindFunction {
		rec.Entity, rec.Instance = entityOfBoth(rec.Resource, rec.Attributes)
	}
	if rec.Entity.IsZero() && rec.Sender != "" {
		rec.Entity = telemetry.Entity{Kind: telemetry.KindHost, Name: cleanHost(rec.Sender)}
	}
}

// resolve identifies and cleans a resource, with a memory of one, because the
// records of a batch share their resource's slice. The memory holds the slice,
// so that its address cannot come to mean something else. A resource that has
// to be changed is copied, since it may be shared.
func (n *LogNormalizer) resolve(resource []telemetry.Attr) resolved {
	if len(resource) == 0 {
		return resolved{}
	}
	if l := n.last.Load(); l != nil && len(l.resource) == len(resource) && &l.resource[0] == &resource[0] {
		return *l
	}
	r := resolved{resource: resource, clean: resource}
	for i, a := range resource {
		if v := n.cleanValue(a); v != a.Value {
			if &r.clean[0] == &resource[0] {
				r.clean = slices.Clone(resource)
			}
			r.clean[i].Value = v
		}
	}
	r.entity, r.instance = EntityOf(r.clean)
	n.last.Store(&r)
	return r
}

// clean makes a text valid UTF-8 without NUL.
func (n *LogNormalizer) clean(s string) string {
	if utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 {
		return s
	}
	n.repaired.Add(1)
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

func (n *LogNormalizer) cleanAttrs(attrs []telemetry.Attr) {
	for i := range attrs {
		if v := n.cleanValue(attrs[i]); v != attrs[i].Value {
			attrs[i].Value = v
		}
	}
}

func (n *LogNormalizer) cleanValue(a telemetry.Attr) string {
	v := n.clean(a.Value)
	if !n.cfg.NoMask {
		v, _ = n.mask.MaskValue(a.Key, v)
	}
	return v
}

// hashLog is the identity of a record for dedup: xxhash64 of time, entity,
// severity, body, attributes and trace ids. It is never 0.
func hashLog(rec *telemetry.LogRecord) uint64 {
	var d xxhash.Digest
	d.Reset()
	var num [9]byte
	binary.LittleEndian.PutUint64(num[:], uint64(rec.Time))
	num[8] = byte(rec.Severity)
	_, _ = d.Write(num[:])
	field := func(s string) {
		_, _ = d.WriteString(s)
		_, _ = d.WriteString("\x00")
	}
	field(string(rec.Entity.Kind))
	field(rec.Entity.Name)
	field(rec.Instance.Name)
	field(rec.Body)
	field(rec.TraceID)
	field(rec.SpanID)
	for _, a := range rec.Attributes {
		field(a.Key)
		field(a.Value)
	}
	return max(d.Sum64(), 1)
}

// HashBatch makes the hashes of one batch distinct: of records that are equal
// in everything, the second and later get a hash that depends on how many came
// before, so that a batch sent again yields the same hashes while equal lines
// within it stay apart. Call it once, after Log, on the batch as it was sent.
func HashBatch(recs []telemetry.LogRecord) {
	seen := make(map[uint64]uint64, len(recs))
	for i := range recs {
		h := recs[i].Hash
		if h == 0 {
			h = hashLog(&recs[i])
		}
		k := seen[h]
		seen[h] = k + 1
		if k > 0 {
			var buf [16]byte
			binary.LittleEndian.PutUint64(buf[:8], h)
			binary.LittleEndian.PutUint64(buf[8:], k)
			h = max(xxhash.Sum64(buf[:]), 1)
		}
		recs[i].Hash = h
	}
}
