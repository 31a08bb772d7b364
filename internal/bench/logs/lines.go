// Package logs measures logs from end to end: what a line costs from a sender's
// bytes through mining and storage until it can be searched, and how fast a
// large store answers what the console asks.
//
// It asserts nothing and knows no engine: servers and stores are given as
// functions. The lines are made from a seed; nothing in them was recorded. Run
// and RunSearch are used by one goroutine.
package logs

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/norn-aiops/norn/internal/telemetry"
)

// line is one made-up line.
type line struct {
	at       time.Time
	service  int
	severity telemetry.Severity
	text     string
}

// maker makes lines of services of a shop, 100 to 200 bytes each.
type maker struct {
	rng    *rand.Rand
	buf    []byte
	shapes []shape
	words  []string
}

func newMaker(seed uint64) *maker {
	return &maker{rng: rand.New(rand.NewPCG(seed, 7)), shapes: shapes(), words: words()}
}

const services = 20

func serviceName(i int) string { return "shop-" + strconv.Itoa(i) }

type shape struct {
	weight   int
	severity telemetry.Severity
	format   string
}

// shapes are the messages; each takes four numbers and a word.
func shapes() []shape {
	return []shape{
		{30, telemetry.SeverityInfo, "GET /api/v2/products/%d?page=%d answered 200 in %d ms, %d bytes, cache=%s, region=eu-central upstream=catalog-primary"},
		{20, telemetry.SeverityInfo, "order %d of customer %d accepted after %d ms: %d items, payment by %s, delivery address checked by the address service"},
		{15, telemetry.SeverityDebug, "connection %d to 10.0.%d.%d:5432 taken from the pool, %d idle, mode=%s, statement prepared and sent to the primary"},
		{12, telemetry.SeverityInfo, "session %d refreshed for user %d after %d s, %d requests so far, device=%s, next refresh is due in fifteen minutes"},
		{8, telemetry.SeverityInfo, "job %d finished: %d rows copied, %d skipped, took %d ms, result=%s, the next run of this job starts at the full hour"},
		{6, telemetry.SeverityWarn, "retry %d of call %d to payment after %d ms, queue length %d, reason=%s, the circuit breaker of this backend is closed"},
		{4, telemetry.SeverityInfo, "message %d of topic orders at offset %d handled in %d us, lag %d, consumer=%s, commit follows with the next batch of it"},
		{3, telemetry.SeverityError, "cannot reserve item %d for order %d: stock is %d, wanted %d, warehouse=%s, the order goes back to the customer service"},
		{2, telemetry.SeverityError, "request %d failed after %d ms: upstream timed out, attempt %d of %d, host=%s, the client is told to come back later on"},
	}
}

func words() []string {
	return []string{"alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel"}
}

func (m *maker) next(at time.Time) line {
	k, pick := 0, m.rng.IntN(100)
	for pick >= m.shapes[k].weight {
		pick -= m.shapes[k].weight
		k++
	}
	s := &m.shapes[k]
	m.buf = fmt.Appendf(m.buf[:0], s.format, m.rng.IntN(1e7), m.rng.IntN(256), m.rng.IntN(256), m.rng.IntN(5000), m.words[m.rng.IntN(len(m.words))])
	return line{at: at, service: m.rng.IntN(services), severity: s.severity, text: string(m.buf)}
}
