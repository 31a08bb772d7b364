package vlogs

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/VictoriaMetrics/VictoriaLogs/lib/logstorage"
	"github.com/prometheus/prometheus/tsdb/wlog"

	"github.com/norn-aiops/norn/internal/telemetry"
)

func open(t *testing.T, dir string, o Options) *Logs {
	t.Helper()
	l, err := OpenLogs(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func lines(from, to int) []telemetry.LogRecord {
	var recs []telemetry.LogRecord
	for i := from; i < to; i++ {
		recs = append(recs, telemetry.LogRecord{
			Time: time.Now().UnixNano(), Body: fmt.Sprint("line ", i), Hash: uint64(i + 1), Retryable: true,
			Entity: telemetry.Entity{Kind: telemetry.KindService, Name: "s"},
		})
	}
	return recs
}

func appendAll(t *testing.T, l *Logs, recs []telemetry.LogRecord) (taken int) {
	t.Helper()
	acc, err := l.AppendLogs(t.Context(), recs)
	if err != nil {
		t.Fatal(err)
	}
	for _, ok := range acc {
		if ok {
			taken++
		}
	}
	return taken
}

// contents counts each line, without the search that Logs offers.
func contents(t *testing.T, l *Logs) map[string]int {
	t.Helper()
	l.FlushLogs()
	seen := map[string]int{}
	err := l.e.run(context.Background(), "*", math.MinInt64, math.MaxInt64, nil, func(r map[string]string) bool {
		seen[r["_msg"]]++
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return seen
}

func expectLines(t *testing.T, l *Logs, from, to int) {
	t.Helper()
	seen := contents(t, l)
	for i := from; i < to; i++ {
		if n := seen[fmt.Sprint("line ", i)]; n != 1 {
			t.Fatalf("line %d is there %d times", i, n)
		}
	}
	if len(seen) != to-from {
		t.Fatalf("%d lines, want %d", len(seen), to-from)
	}
}

func closed(t *testing.T, l *Logs) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// A kill between the storage's flush and the checkpoint: the spool says "feed
// again", the storage says "I have it".
func TestReplaySkipsWhatTheStorageHas(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, Options{})
	appendAll(t, l, lines(0, 3000))
	closed(t, l)
	for seq, skipped := range map[uint64]uint64{0: 3000, 1000: 2000, 2999: 1, 3000: 0} {
		if err := (checkpoint{Seq: seq}).write(dir); err != nil {
			t.Fatal(err)
		}
		l = open(t, dir, Options{})
		if s := l.Stats(); s.Skipped != skipped || s.Replayed != 0 {
			t.Errorf("checkpoint %d: %d skipped, %d replayed; want %d, 0", seq, s.Skipped, s.Replayed, skipped)
		}
		expectLines(t, l, 0, 3000)
		closed(t, l)
	}
}

// The storage lost everything since a checkpoint, as it does at a kill.
func TestReplayFeedsWhatTheStorageLost(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, Options{})
	appendAll(t, l, lines(0, 500))
	closed(t, l)
	saved := filepath.Join(t.TempDir(), "data")
	if err := os.CopyFS(saved, os.DirFS(filepath.Join(dir, "data"))); err != nil {
		t.Fatal(err)
	}
	l = open(t, dir, Options{})
	appendAll(t, l, lines(500, 1500))
	closed(t, l)
	data := filepath.Join(dir, "data")
	if err := errors.Join(os.RemoveAll(data), os.CopyFS(data, os.DirFS(saved)), checkpoint{Seq: 200}.write(dir)); err != nil {
		t.Fatal(err)
	}
	l = open(t, dir, Options{})
	if s := l.Stats(); s.Replayed != 1000 || s.Skipped != 300 {
		t.Errorf("%d replayed, %d skipped; want 1000, 300", s.Replayed, s.Skipped)
	}
	expectLines(t, l, 0, 1500)
	if n := appendAll(t, l, lines(0, 1500)); n != 0 {
		t.Errorf("%d lines were taken a second time", n)
	}
	closed(t, l)
	l = open(t, dir, Options{})
	defer l.Close()
	if s := l.Stats(); s.Replayed != 0 {
		t.Errorf("%d rows were replayed again", s.Replayed)
	}
	expectLines(t, l, 0, 1500)
}

// A kill in the middle of a write leaves half a record: what is before it and
// what comes after a restart are whole.
func TestTornSpool(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, Options{})
	appendAll(t, l, lines(0, 100))
	appendAll(t, l, lines(100, 300)) // this record will be torn
	closed(t, l)
	spool := filepath.Join(dir, "spool")
	name := wlog.SegmentName(spool, 0)
	var sizes []int64
	if _, _, err := readSegments(spool, func(b batch) error { sizes = append(sizes, int64(len(b.rows))); return nil }); err != nil || !reflect.DeepEqual(sizes, []int64{100, 200}) {
		t.Fatalf("records of %v rows, %v", sizes, err)
	}
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	end := len(raw)
	for end > 0 && raw[end-1] == 0 { // padding of the page
		end--
	}
	if err := errors.Join(os.RemoveAll(filepath.Join(dir, "data")), os.WriteFile(name, raw[:end-50], 0o644), checkpoint{}.write(dir)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		l = open(t, dir, Options{})
		expectLines(t, l, 0, 100)
		closed(t, l)
	}
	l = open(t, dir, Options{})
	appendAll(t, l, lines(100, 400))
	closed(t, l)
	l = open(t, dir, Options{})
	defer l.Close()
	expectLines(t, l, 0, 400)
}

// The spool shrinks when the storage has what is in it, and the queue bounds
// what waits: small limits lose nothing.
func TestSmallLimits(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, Options{QueueBytes: 2000, SegmentBytes: 100_000, DedupWindow: -1, Checkpoint: 20 * time.Millisecond})
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 50 {
				if _, err := l.AppendLogs(context.Background(), lines(w*1000+i*20, w*1000+i*20+20)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	expectLines(t, l, 0, 8000)
	waitFor(t, "the spool to shrink", func() bool { return l.Stats().SpoolBytes < 150_000 })
	if s := l.Stats(); s.LagRows != 0 || s.QueueBytes != 0 || s.Appended != 8000 {
		t.Errorf("stats %+v", s)
	}
	if n := appendAll(t, l, lines(0, 10)); n != 10 {
		t.Errorf("dedup is off, yet %d of 10 were taken", n)
	}
	closed(t, l)
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// A full queue makes an append wait; its context ends the wait and nothing of
// it was taken.
func TestBackPressure(t *testing.T) {
	l := open(t, t.TempDir(), Options{QueueBytes: 1 << 20})
	defer l.Close()
	if err := l.e.bytes.Acquire(t.Context(), 1<<20); err != nil { // the storage is behind
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	answer := make(chan error)
	go func() {
		acc, err := l.AppendLogs(ctx, lines(0, 10))
		for _, ok := range acc {
			if ok {
				err = errors.New("an append that failed says it took something")
			}
		}
		answer <- err
	}()
	cancel()
	if err := <-answer; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's end", err)
	}
	l.e.bytes.Release(1 << 20)
	appendAll(t, l, lines(10, 20))
	expectLines(t, l, 10, 20)
}

func TestOpenRefusesClearly(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, Options{})
	if other, err := OpenLogs(dir, Options{}); err == nil {
		other.Close()
		t.Error("one directory was opened twice")
	}
	appendAll(t, l, lines(0, 5))
	expectLines(t, l, 0, 5)
	closed(t, l)
	if err := os.WriteFile(filepath.Join(dir, "checkpoint.json"), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if l, err := OpenLogs(dir, Options{}); err == nil {
		l.Close()
		t.Error("a damaged checkpoint was taken")
	}
}

// A write that failed was not acknowledged. Whatever of it is in the file, the
// sender's second try is the one that counts.
func TestFailedWriteIsNotReplayed(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, Options{})
	appendAll(t, l, lines(0, 10))
	appendAll(t, l, lines(10, 20)) // let this be the failed write: it is in the file
	appendAll(t, l, lines(20, 30))
	closed(t, l)
	if err := errors.Join(os.RemoveAll(filepath.Join(dir, "data")), checkpoint{Voids: [][2]uint64{{11, 20}}}.write(dir)); err != nil {
		t.Fatal(err)
	}
	l = open(t, dir, Options{})
	if n := appendAll(t, l, lines(0, 30)); n != 10 {
		t.Errorf("%d lines of the second try were taken, want 10", n)
	}
	expectLines(t, l, 0, 30)

	// A disk that takes no more: an error, nothing taken, and what was
	// acknowledged is there when the store is opened again.
	if err := l.e.wal.Close(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		acc, err := l.AppendLogs(t.Context(), lines(30, 40))
		if err == nil {
			t.Error("a spool that cannot be written acknowledged")
		}
		for _, ok := range acc {
			if ok {
				t.Error("an append that failed says it took something")
			}
		}
	}
	expectLines(t, l, 0, 30)
	if err := l.Close(); err == nil {
		t.Error("closing said nothing of the broken spool")
	}
	l = open(t, dir, Options{})
	defer l.Close()
	expectLines(t, l, 0, 30)
	if n := appendAll(t, l, lines(20, 40)); n != 10 {
		t.Errorf("%d lines were taken, want the 10 that failed", n)
	}
	expectLines(t, l, 0, 40)
}

func TestDedupWindow(t *testing.T) {
	d := newDedup(1000, 1_000_000)
	d.turn(1)
	d.mark(7, 1)
	d.turn(900)
	if !d.seen(7) {
		t.Error("forgotten within the window")
	}
	d.mark(8, 900)
	d.turn(1001)
	if !d.seen(7) || !d.seen(8) {
		t.Error("forgotten too early: a generation lives one window more")
	}
	d.turn(2002)
	if d.seen(7) || d.seen(8) {
		t.Error("remembered for more than two windows")
	}
	d = newDedup(1000, 100)
	for i := range uint64(1000) {
		d.mark(i, 1)
		if d.len() > 101 {
			t.Fatalf("%d entries, the limit is 100", d.len())
		}
		if !d.seen(i) {
			t.Fatal("the newest was forgotten")
		}
	}
}

func TestSplit(t *testing.T) {
	for text, want := range map[string]bool{
		"*": true, "error": true, "* | fields _msg": true, `a | filter b:"x | stats y" | limit 3`: true, "* | extract \"id=<id> \" from _msg": true,
		"* | stats count()": false, "* | fields a | sort by (a)": false, "a:in(* | fields x | stats count() c | fields c) | limit 3": true, "* | top 3 by (a)": false,
	} {
		_, _, rowWise, err := split(text)
		if err != nil || rowWise != want {
			t.Errorf("%q: row-wise %v, %v; want %v", text, rowWise, err, want)
		}
	}
}

func FuzzDecodeBatch(f *testing.F) {
	rec := appendHeader(nil, 42, 1_700_000_000_000)
	rec = appendRow(rec, &row{time: -5, id: 9, fields: []logstorage.Field{{Name: "_msg", Value: "x\x00"}, {Name: "", Value: ""}}})
	rec = appendRow(rec, &row{time: math.MaxInt64})
	f.Add(rec)
	f.Add([]byte{})
	f.Add([]byte{spoolVersion, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, in []byte) {
		b, err := decodeBatch(in)
		if err != nil {
			return
		}
		// What was read is written and read again to the same.
		out := appendHeader(nil, b.first, b.wall)
		for i := range b.rows {
			out = appendRow(out, &b.rows[i])
		}
		again, err := decodeBatch(out)
		if err != nil || !reflect.DeepEqual(again, b) {
			t.Errorf("%v, %v; want %v", again, err, b)
		}
	})
}
