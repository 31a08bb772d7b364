package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/norn-aiops/norn/internal/store"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// OpenLogs opens a log store at a directory, creating it when it is new. Data
// from 1990 on must be within its retention, and data 7 days ahead beyond it.
type OpenLogs func(t *testing.T, dir string) store.Logs

// RunLogs runs the suite of store.Logs.
func RunLogs(t *testing.T, open OpenLogs) {
	t.Run("empty", func(t *testing.T) { logsEmpty(t, open) })
	t.Run("fields", func(t *testing.T) { logsFields(t, open) })
	t.Run("strange text", func(t *testing.T) { logsStrange(t, open) })
	t.Run("order and limits", func(t *testing.T) { logsOrder(t, open) })
	t.Run("same time", func(t *testing.T) { logsSameTime(t, open) })
	t.Run("duplicates", func(t *testing.T) { logsDuplicates(t, open) })
	t.Run("retention", func(t *testing.T) { logsRetention(t, open) })
	t.Run("writers at once", func(t *testing.T) { logsConcurrent(t, open) })
	t.Run("stop and cancel", func(t *testing.T) { logsStop(t, open) })
	t.Run("after close", func(t *testing.T) { logsClosed(t, open) })
}

func record(at int64, body string) telemetry.LogRecord {
	return telemetry.LogRecord{
		Time: at, Body: body, Severity: telemetry.SeverityInfo, Source: "test",
		Entity: telemetry.Entity{Kind: telemetry.KindService, Name: "cart"},
	}
}

func rowsOf(t *testing.T, l store.Logs, q store.LogQuery) []store.Row {
	t.Helper()
	l.FlushLogs()
	var rows []store.Row
	check(t, l.SearchLogs(background(), q, func(r store.Row) bool {
		rows = append(rows, r)
		return true
	}))
	return rows
}

func logsEmpty(t *testing.T, open OpenLogs) {
	l := open(t, t.TempDir())
	defer l.Close()
	if rows := rowsOf(t, l, store.LogQuery{}); len(rows) != 0 {
		t.Errorf("an empty store answered %v", rows)
	}
	if rows := rowsOf(t, l, store.LogQuery{Query: "nosuchfield:x", Limit: 10}); len(rows) != 0 {
		t.Errorf("an empty store answered %v", rows)
	}
	if acc := must[[]bool](t)(l.AppendLogs(background(), nil)); len(acc) != 0 {
		t.Errorf("an empty batch gave %v", acc)
	}
	for _, bad := range []string{"(((", "a | nosuchpipe", "_time:["} {
		if err := l.SearchLogs(background(), store.LogQuery{Query: bad}, func(store.Row) bool { return true }); !errors.Is(err, store.ErrBadQuery) {
			t.Errorf("query %q: got %v, want ErrBadQuery", bad, err)
		}
	}
}

func logsFields(t *testing.T, open OpenLogs) {
	l := open(t, t.TempDir())
	defer l.Close()
	at := time.Now().UnixNano()
	rec := telemetry.LogRecord{
		Time: at, Severity: telemetry.SeverityError, SeverityText: "ERR!", Body: "payment refused", TraceID: "0af7651916cd43dd8448eb211c80319c",
		SpanID: "b7ad6b7169203331", Source: "otlp", Template: 12345678901234567890,
		Entity:     telemetry.Entity{Kind: telemetry.KindService, Name: "payment"},
		Instance:   telemetry.Entity{Kind: telemetry.KindInstance, Name: "payment-0"},
		Resource:   []telemetry.Attr{{Key: "host.name", Value: "h1"}, {Key: "same", Value: "1"}, {Key: "service.name", Value: "payment"}, {Key: "zone", Value: "a"}},
		Attributes: []telemetry.Attr{{Key: "_msg", Value: "not the body"}, {Key: "http.status", Value: "502"}, {Key: "same", Value: "1"}, {Key: "service", Value: "liar"}, {Key: "zone", Value: "b"}},
	}
	must[[]bool](t)(l.AppendLogs(background(), []telemetry.LogRecord{rec}))
	rows := rowsOf(t, l, store.LogQuery{Query: `service:=payment http.status:502`})
	if len(rows) != 1 {
		t.Fatalf("got %d rows, want 1: %v", len(rows), rows)
	}
	want := map[string]string{
		"_time": time.Unix(0, at).UTC().Format(time.RFC3339Nano), "_msg": "payment refused", "service": "payment", "instance": "payment-0",
		"severity": "error", "severity_number": "17", "template": "12345678901234567890", "trace_id": rec.TraceID, "span_id": rec.SpanID,
		"source": "otlp", "host.name": "h1", "service.name": "payment", "same": "1", "http.status": "502", "zone": "b",
	}
	for k, v := range want {
		if rows[0][k] != v {
			t.Errorf("field %s: got %q, want %q", k, rows[0][k], v)
		}
	}
	for _, lost := range []string{"not the body", "liar", "a"} {
		if !slices.Contains(values(rows[0]), lost) {
			t.Errorf("the value %q of a clashing attribute is lost: %v", lost, rows[0])
		}
	}
}

func values(r store.Row) []string {
	var vs []string
	for _, v := range r {
		vs = append(vs, v)
	}
	return vs
}

func logsStrange(t *testing.T, open OpenLogs) {
	dir := t.TempDir()
	l := open(t, dir)
	at := time.Now().UnixNano()
	texts := append(strange(), strings.Repeat("x", 1<<20), "bad utf8 \xff\xfe")
	var recs []telemetry.LogRecord
	for i, s := range texts {
		r := record(at+int64(i), s)
		r.Attributes = []telemetry.Attr{{Key: "copy", Value: s[:min(len(s), 1000)]}, {Key: "n", Value: fmt.Sprint(i)}}
		recs = append(recs, r)
	}
	for i, key := range []string{"", " ", "a:b", "k\x00", "ключ", "_stream", "_stream_id", "_time", "a | b", strings.Repeat("k", 127) + "1", strings.Repeat("k", 300) + "1", strings.Repeat("k", 300) + "2"} {
		r := record(at+int64(1000+i), "key")
		r.Attributes = []telemetry.Attr{{Key: key, Value: fmt.Sprintf("value%d", i)}}
		recs = append(recs, r)
	}
	empty := record(at+5000, "")
	huge := record(at+5001, strings.Repeat("y", 3<<20)) // beyond any limit: may be cut, must not be lost
	many := record(at+5002, "many")
	for i := range 3000 {
		many.Attributes = append(many.Attributes, telemetry.Attr{Key: fmt.Sprintf("k%04d", i), Value: "v"})
	}
	recs = append(recs, empty, huge, many)
	acc := must[[]bool](t)(l.AppendLogs(background(), recs))
	if slices.Contains(acc, false) {
		t.Errorf("not all were taken: %v", acc)
	}
	for _, state := range []string{"open", "reopened"} {
		rows := rowsOf(t, l, store.LogQuery{})
		if len(rows) != len(recs) {
			t.Fatalf("%s: got %d rows, want %d", state, len(rows), len(recs))
		}
		slices.Reverse(rows)
		for i, s := range texts {
			if rows[i]["_msg"] != s || rows[i]["copy"] != s[:min(len(s), 1000)] {
				t.Errorf("%s: text %d came back as %.80q, want %.80q", state, i, rows[i]["_msg"], s)
			}
		}
		for i := range 12 {
			if r := rows[len(texts)+i]; !slices.Contains(values(r), fmt.Sprintf("value%d", i)) {
				t.Errorf("%s: the value of strange key %d is lost: %v", state, i, r)
			}
		}
		if n := len(rows[len(rows)-2]["_msg"]); n < 1<<20 {
			t.Errorf("%s: the line beyond the limit has %d bytes left", state, n)
		}
		check(t, l.Close())
		l = open(t, dir)
	}
	check(t, l.Close())
}

func logsOrder(t *testing.T, open OpenLogs) {
	l := open(t, t.TempDir())
	defer l.Close()
	rng := newRand(seed(t))
	now := time.Now().UnixNano()
	var times []int64
	for range 500 {
		// Mostly recent, some days and years ago.
		back := int64(rng.ExpFloat64() * float64(time.Hour))
		if rng.IntN(10) == 0 {
			back = rng.Int64N(int64(9 * 365 * 24 * time.Hour))
		}
		times = append(times, now-back)
	}
	for i, at := range times {
		r := record(at, fmt.Sprintf("line %d", i))
		r.Attributes = []telemetry.Attr{{Key: "parity", Value: fmt.Sprint(i % 2)}}
		must[[]bool](t)(l.AppendLogs(background(), []telemetry.LogRecord{r}))
	}
	sorted := slices.Clone(times)
	slices.Sort(sorted)
	slices.Reverse(sorted)
	expect := func(name string, rows []store.Row, want []int64) {
		t.Helper()
		if len(rows) != len(want) {
			t.Fatalf("%s: got %d rows, want %d", name, len(rows), len(want))
		}
		for i, r := range rows {
			if w := time.Unix(0, want[i]).UTC().Format(time.RFC3339Nano); r["_time"] != w {
				t.Fatalf("%s: row %d is of %s, want %s", name, i, r["_time"], w)
			}
		}
	}
	expect("all", rowsOf(t, l, store.LogQuery{}), sorted)
	for _, limit := range []int{1, 7, 499, 500, 501} {
		expect(fmt.Sprint("limit ", limit), rowsOf(t, l, store.LogQuery{Query: "*", Limit: limit}), sorted[:min(limit, 500)])
	}
	from, to := sorted[300], sorted[20]
	expect("range, both ends included", rowsOf(t, l, store.LogQuery{From: from, To: to}), sorted[20:301])
	expect("range with limit", rowsOf(t, l, store.LogQuery{From: from, To: to, Limit: 50}), sorted[20:70])
	expect("fields pipe", rowsOf(t, l, store.LogQuery{Query: "* | fields _time", Limit: 9}), sorted[:9])
	slices.Reverse(sorted)
	expect("own sort", rowsOf(t, l, store.LogQuery{Query: "* | sort by (_time)", Limit: 9}), sorted[:9])
	counts := rowsOf(t, l, store.LogQuery{Query: "line | stats by (parity) count() n | sort by (parity)"})
	if len(counts) != 2 || counts[0]["n"] != "250" || counts[1]["n"] != "250" {
		t.Errorf("counts by parity: %v, want 250 each", counts)
	}
	if rows := rowsOf(t, l, store.LogQuery{From: to, To: from}); len(rows) != 0 {
		t.Errorf("a range that ends before it begins gave %d rows", len(rows))
	}
}

func logsSameTime(t *testing.T, open OpenLogs) {
	l := open(t, t.TempDir())
	defer l.Close()
	// Lines of one time come in reverse order of their arrival.
	second := time.Now().Add(time.Second).Truncate(time.Second).UnixNano()
	for i := range 30 {
		must[[]bool](t)(l.AppendLogs(background(), []telemetry.LogRecord{record(second, fmt.Sprintf("same %02d", i)), record(second, fmt.Sprintf("same %02d+", i))}))
	}
	for _, q := range []store.LogQuery{{Query: "same", Limit: 60}, {Query: "same"}, {Query: "same | fields _msg, _time"}} {
		rows := rowsOf(t, l, q)
		if len(rows) != 60 || !slices.IsSortedFunc(rows, func(a, b store.Row) int { return strings.Compare(b["_msg"], a["_msg"]) }) {
			t.Errorf("%+v: %d lines of one time are out of order", q, len(rows))
		}
		if len(rows[0]) > 10 || rows[0]["_norn_seq"] != "" {
			t.Errorf("internal fields show: %v", rows[0])
		}
	}
}

func logsDuplicates(t *testing.T, open OpenLogs) {
	dir := t.TempDir()
	l := open(t, dir)
	at := time.Now().UnixNano()
	batch := func() []telemetry.LogRecord {
		var recs []telemetry.LogRecord
		for i := range 5 {
			r := record(at+int64(i), fmt.Sprint("retryable ", i))
			r.Retryable, r.Hash = true, uint64(i+1)
			recs = append(recs, r)
		}
		recs[4] = recs[3] // the same line three times in one batch is three lines
		recs = append(recs, recs[3], record(at+100, "syslog"))
		return recs
	}
	all := []bool{true, true, true, true, true, true, true}
	again := []bool{false, false, false, false, false, false, true}
	if acc := must[[]bool](t)(l.AppendLogs(background(), batch())); !slices.Equal(acc, all) {
		t.Errorf("first: %v, want all", acc)
	}
	if acc := must[[]bool](t)(l.AppendLogs(background(), batch())); !slices.Equal(acc, again) {
		t.Errorf("again: %v, want only the one that is not retryable", acc)
	}
	check(t, l.Close())
	l = open(t, dir)
	defer l.Close()
	if acc := must[[]bool](t)(l.AppendLogs(background(), batch())); !slices.Equal(acc, again) {
		t.Errorf("after reopening: %v, want only the one that is not retryable", acc)
	}
	if n := len(rowsOf(t, l, store.LogQuery{})); n != 6+3 {
		t.Errorf("got %d rows, want 9", n)
	}
}

func logsRetention(t *testing.T, open OpenLogs) {
	l := open(t, t.TempDir())
	defer l.Close()
	now := time.Now()
	recs := []telemetry.LogRecord{
		record(time.Date(1990, 1, 2, 3, 4, 5, 6, time.UTC).UnixNano(), "from 1990"),
		record(now.Add(7*24*time.Hour).UnixNano(), "from the future"),
		record(time.Date(2023, 1, 29, 8, 43, 30, 0, time.UTC).UnixNano(), "a recorded incident"),
		record(1<<63-1, "the end of time"),
		record(now.UnixNano(), "now"),
	}
	acc := must[[]bool](t)(l.AppendLogs(background(), recs))
	if want := []bool{true, false, true, false, true}; !slices.Equal(acc, want) {
		t.Errorf("accepted %v, want %v", acc, want)
	}
	var got []string
	for _, r := range rowsOf(t, l, store.LogQuery{Limit: 100}) {
		got = append(got, r["_msg"])
	}
	if want := []string{"now", "a recorded incident", "from 1990"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func logsConcurrent(t *testing.T, open OpenLogs) {
	dir := t.TempDir()
	l := open(t, dir)
	at := time.Now().UnixNano()
	const writers, batches, size = 8, 20, 25
	together(writers, func(w int) {
		for b := range batches {
			var recs []telemetry.LogRecord
			for i := range size {
				r := record(at+int64(i), fmt.Sprintf("w%d b%d i%d", w, b, i))
				r.Entity.Name = fmt.Sprint("service", w)
				r.Retryable, r.Hash = true, uint64(w*1e6+b*1e3+i+1)
				recs = append(recs, r)
			}
			for range 2 { // every batch is sent twice
				if _, err := l.AppendLogs(background(), recs); err != nil {
					t.Error(err)
				}
			}
			if b%7 == 0 {
				l.FlushLogs()
				_ = rowsOf(t, l, store.LogQuery{Query: "b3", Limit: 5})
			}
		}
	})
	for _, state := range []string{"open", "reopened"} {
		seen := map[string]int{}
		for _, r := range rowsOf(t, l, store.LogQuery{}) {
			seen[r["_msg"]]++
		}
		if len(seen) != writers*batches*size {
			t.Errorf("%s: %d different lines, want %d", state, len(seen), writers*batches*size)
		}
		for msg, n := range seen {
			if n != 1 {
				t.Fatalf("%s: line %q is there %d times", state, msg, n)
			}
		}
		if n := len(rowsOf(t, l, store.LogQuery{Query: `{service="service3"}`})); n != batches*size {
			t.Errorf("%s: %d lines of one stream, want %d", state, n, batches*size)
		}
		check(t, l.Close())
		l = open(t, dir)
	}
	check(t, l.Close())
}

func logsStop(t *testing.T, open OpenLogs) {
	l := open(t, t.TempDir())
	defer l.Close()
	var recs []telemetry.LogRecord
	for i := range 3000 {
		recs = append(recs, record(time.Now().UnixNano()-int64(i)*1e9, fmt.Sprint("line ", i)))
	}
	must[[]bool](t)(l.AppendLogs(background(), recs))
	l.FlushLogs()
	for _, q := range []store.LogQuery{{}, {Limit: 1000}, {Query: "* | stats by (_msg) count()"}} {
		n := 0
		check(t, l.SearchLogs(background(), q, func(store.Row) bool { n++; return n < 3 }))
		if n != 3 {
			t.Errorf("query %+v: visited %d rows after asking to stop at 3", q, n)
		}
	}
	ctx, cancel := context.WithCancel(background())
	cancel()
	if err := l.SearchLogs(ctx, store.LogQuery{}, func(store.Row) bool { return true }); !errors.Is(err, context.Canceled) {
		t.Errorf("search with a cancelled context: %v", err)
	}
	// Either it was taken whole or not at all.
	acc, err := l.AppendLogs(ctx, []telemetry.LogRecord{record(time.Now().UnixNano(), "cancelled")})
	n := len(rowsOf(t, l, store.LogQuery{Query: "cancelled"}))
	if (err == nil) != (n == 1) || len(acc) != 1 || acc[0] != (n == 1) {
		t.Errorf("append with a cancelled context: err %v, accepted %v, but %d rows", err, acc, n)
	}
}

func logsClosed(t *testing.T, open OpenLogs) {
	l := open(t, t.TempDir())
	check(t, l.Close())
	if err := l.Close(); err != nil {
		t.Errorf("closing twice: %v", err)
	}
	if _, err := l.AppendLogs(background(), []telemetry.LogRecord{record(time.Now().UnixNano(), "late")}); err == nil {
		t.Error("a closed store took a record")
	}
	if err := l.SearchLogs(background(), store.LogQuery{}, func(store.Row) bool { return true }); err == nil {
		t.Error("a closed store answered")
	}
	l.FlushLogs()
}

// RunLogsCrash kills a writing process with SIGKILL, several times over, and
// checks that every acknowledged record is there and none is there twice,
// although the writer sends every second batch again after a crash. It must
// be the first thing its test does.
func RunLogsCrash(t *testing.T, open OpenLogs) {
	const size = 10
	base := time.Now().UnixNano()
	dir := t.TempDir()
	acked := crash(t, dir, 6, func(dir string, round int, ack func(string)) {
		l := open(t, dir)
		if round > 0 { // what a sender without an answer does
			for w := range 3 {
				for b := range 5 {
					_, _ = l.AppendLogs(background(), crashBatch(base, round-1, w, b, size))
				}
			}
		}
		together(3, func(w int) {
			for b := 0; ; b++ {
				recs := crashBatch(base, round, w, b, size)
				if _, err := l.AppendLogs(background(), recs); err != nil {
					t.Fatal(err)
				}
				ack(fmt.Sprintf("r%d w%d b%d", round, w, b))
			}
		})
	})
	l := open(t, dir)
	defer l.Close()
	seen := map[string]int{}
	streamed := map[string]int{}
	for _, r := range rowsOf(t, l, store.LogQuery{Query: "source:=test"}) {
		seen[r["_msg"]]++
	}
	for w := range 3 {
		for _, r := range rowsOf(t, l, store.LogQuery{Query: fmt.Sprintf("{service=%q}", fmt.Sprint("w", w))}) {
			streamed[r["_msg"]]++
		}
	}
	for _, batch := range acked {
		for i := range size {
			line := fmt.Sprintf("%s i%d", batch, i)
			if seen[line] != 1 || streamed[line] != 1 {
				t.Fatalf("acknowledged line %q is there %d times (%d by its stream)", line, seen[line], streamed[line])
			}
		}
	}
	for line, n := range seen {
		if n > 1 {
			t.Fatalf("line %q is there %d times", line, n)
		}
	}
}

func crashBatch(base int64, round, w, b, size int) []telemetry.LogRecord {
	var recs []telemetry.LogRecord
	for i := range size {
		back := int64(b%3) * int64(36*time.Hour) // several days are written to at once
		r := record(base+int64(b)-back, fmt.Sprintf("r%d w%d b%d i%d", round, w, b, i))
		r.Entity.Name = fmt.Sprint("w", w)
		r.Retryable = true
		r.Hash = uint64(round)<<48 | uint64(w)<<40 | uint64(b)<<8 | uint64(i+1)
		recs = append(recs, r)
	}
	return recs
}
