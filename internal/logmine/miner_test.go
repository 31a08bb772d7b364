package logmine

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/norn-aiops/norn/internal/telemetry"
)

var cart = telemetry.Entity{Kind: telemetry.KindService, Name: "cart"}

func line(e telemetry.Entity, body string, t time.Duration, sev telemetry.Severity) *telemetry.LogRecord {
	return &telemetry.LogRecord{Body: body, Entity: e, Time: int64(t), Severity: sev}
}

// mine adds the bodies one second apart and returns the ids as they are after
// the last one.
func mine(m *Miner, e telemetry.Entity, bodies ...string) []uint64 {
	ids := make([]uint64, len(bodies))
	for i, b := range bodies {
		ids[i], _ = m.Add(line(e, b, time.Duration(i+1)*time.Second, telemetry.SeverityInfo))
	}
	for i := range ids {
		ids[i] = m.Resolve(ids[i])
	}
	return ids
}

func TestLinesOfOneMessageBecomeOneTemplate(t *testing.T) {
	for _, tc := range []struct {
		want  string
		lines []string
	}{
		{"listening on port <*>", []string{"listening on port 8080", "listening on port 9"}},
		{"<*> stored order <*> of <*>", []string{
			"2026-03-01T10:00:00.123Z stored order 71 of alice@shop.example", "2026-03-02T11:59:00.001+02:00 stored order 9 of bob@shop.example"}},
		{"<*> web: request done in <*> ms", []string{"Mar  1 10:00:02 web: request done in 12 ms", "Mar 11 10:00:02 web: request done in 7.5 ms"}},
		{"<*> INFO ready on <*>:<*>", []string{"22:50:27.436 INFO ready on 10.0.0.1:80", "03:14:15.926 INFO ready on 10.0.0.2:81"}},
		{"took <*> ms, <*>, <*> rows", []string{"took 12 ms, 5 KB, 3 rows", "took 1 ms, 7 MB, 9 rows"}},
		{"peers <*> are gone", []string{"peers 10.0.0.1:80, 10.0.0.2:80 are gone", "peers 10.0.0.1:80 are gone", "peers 10.1.1.1:1, 10.0.0.2:80, 10.9.9.9:81 are gone"}},
		{`level=<*> msg="payment declined" order=<*>`, []string{`level=warn msg="payment declined" order=12`, `level=error msg="payment declined" order=x9`}},
		{`{"level":"<*>","msg":"payment declined","order":<*>}`, []string{`{"level":"warn","msg":"payment declined","order":12}`, `{"level":"error","msg":"payment declined","order":900}`}},
		{`"GET <*>" <*>`, []string{`"GET /a/b HTTP/1.1" 200`, `"GET /c?d=e HTTP/2" 404`}},
		{"ruser= rhost=<*> done", []string{"ruser= rhost=10.1.2.3 done", "ruser= rhost=10.9.2.3 done"}},
		{"session <*> is over", []string{"session deadbeefcafe is over", "session 0x7f3a is over"}},
		{"could not reach <*>: gone", []string{"could not reach https://a.example/x?y=1: gone", `could not reach ftp://other.example: gone`}},
		{"", []string{"", ""}},
		{"Slf4jLogger started", []string{"Slf4jLogger started", "Slf4jLogger started"}},
		{"Grüße an <*> Kunden", []string{"Grüße an 5 Kunden", "Grüße an 17 Kunden"}},
	} {
		m := New(Config{})
		ids := mine(m, cart, tc.lines...)
		for i := range ids {
			if ids[i] != ids[0] {
				t.Errorf("%q and %q: two templates, want one", tc.lines[0], tc.lines[i])
			}
		}
		got := m.Templates(cart)[0]
		if got.Text != tc.want {
			t.Errorf("%q: text %q, want %q", tc.lines[0], got.Text, tc.want)
		}
		if got.Count != uint64(len(tc.lines)) || got.Example != tc.lines[0] {
			t.Errorf("%q: count %d, example %q", tc.lines[0], got.Count, got.Example)
		}
	}
}

func TestDifferentMessagesStayApart(t *testing.T) {
	ids := mine(New(Config{}), cart,
		"server started", "server stopped", "connection opened by peer", "connection closed by peer",
		"queue is full", "queue is empty", "disk full: 5", "disk full; 5")
	seen := map[uint64]int{}
	for i, id := range ids {
		if k, ok := seen[id]; ok {
			t.Errorf("lines %d and %d share a template", k, i)
		}
		seen[id] = i
	}
}

func TestAWordThatTakesManyValuesBecomesAWildcard(t *testing.T) {
	m := New(Config{})
	var first []uint64
	for i, name := range []string{"amber", "birch", "cedar", "dogwood", "elm", "fir"} {
		id, _ := m.Add(line(cart, "removed the stale lock of "+name, time.Duration(i), 0))
		first = append(first, id)
	}
	for i, id := range first {
		if got := m.Resolve(id); got != first[0] {
			t.Errorf("line %d resolves to %d, want the oldest id %d", i, got, first[0])
		}
	}
	ts := m.Templates(cart)
	if len(ts) != 1 || ts[0].Text != "removed the stale lock of <*>" || ts[0].Count != 6 {
		t.Errorf("templates %+v", ts)
	}
	if found, ok := m.Find(first[2]); !ok || found.ID != first[0] {
		t.Errorf("Find by a merged id: %+v, %v", found, ok)
	}
}

// corpus writes n lines of some 40 messages with names, numbers and paths in
// them.
func corpus(r *rand.Rand, n int) []string {
	verbs := []string{"stored", "loaded", "dropped", "sent", "received", "retried", "refused", "parsed"}
	things := []string{"order", "invoice", "cart", "session", "packet"}
	out := make([]string, n)
	for i := range out {
		v, th := verbs[r.IntN(len(verbs))], things[r.IntN(len(things))]
		out[i] = fmt.Sprintf("%s %s %d of customer c%05d from 10.0.%d.%d in %d ms (attempt %d) path=/srv/%s/%x",
			v, th, r.IntN(1e6), r.IntN(99999), r.IntN(255), r.IntN(255), r.IntN(900), r.IntN(5), th, r.Uint32())
	}
	return out
}

func TestTheOrderOfLinesHardlyMatters(t *testing.T) {
	const seed = 7
	r := rand.New(rand.NewPCG(seed, 0))
	lines := corpus(r, 2000)
	groups := func() map[string]string { // first line of the group, by line
		ids := mine(New(Config{}), cart, lines...)
		least := map[uint64]string{}
		for i, id := range ids {
			if l, ok := least[id]; !ok || lines[i] < l {
				least[id] = lines[i]
			}
		}
		out := map[string]string{}
		for i, id := range ids {
			out[lines[i]] = least[id]
		}
		return out
	}
	want := groups()
	for round := range 3 {
		r.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
		for l, g := range groups() {
			if want[l] != g {
				t.Fatalf("seed %d, round %d: %q is in another group", seed, round, l)
			}
		}
	}
}

func TestIDsAreTheSameInEveryRunAndDifferBetweenServices(t *testing.T) {
	other := telemetry.Entity{Kind: telemetry.KindHost, Name: "cart"}
	a, b := New(Config{}), New(Config{})
	x := mine(a, cart, "hello world", "bye world")
	y := mine(b, cart, "bye world", "hello world")
	z := mine(b, other, "hello world")
	if x[0] != y[1] || x[1] != y[0] {
		t.Errorf("ids %v and %v differ between runs", x, y)
	}
	if z[0] == x[0] {
		t.Error("two entities share an id")
	}
	if x[0] >= 1<<53 {
		t.Errorf("id %d is no exact number in JSON", x[0])
	}
}

func TestARestartForgetsNothing(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 0))
	lines := corpus(r, 3000)
	for i := range 12 {
		lines = append(lines, "lock of tree"+string(rune('a'+i))+"x is stale now", "got token=\xff\xfe and went on")
	}
	m := New(Config{})
	before := mine(m, cart, lines...)
	m.Flush(90_000)
	mine(m, cart, lines...)
	m.Flush(100_000)
	var buf bytes.Buffer
	if err := m.Snapshot(&buf); err != nil {
		t.Fatal(err)
	}
	n := New(Config{})
	if err := n.Restore(&buf); err != nil {
		t.Fatal(err)
	}
	a, b := m.Templates(cart), n.Templates(cart)
	if len(a) != len(b) {
		t.Fatalf("%d templates became %d", len(a), len(b))
	}
	for i := range a {
		if !reflect.DeepEqual(a[i], b[i]) {
			t.Errorf("template changed:\n%+v\n%+v", a[i], b[i])
		}
	}
	for i, id := range mine(n, cart, lines...) {
		if id != m.Resolve(before[i]) {
			t.Fatalf("%q has id %d, before the restart %d", lines[i], id, before[i])
		}
	}
	m.Flush(110_000)
	if got := n.Flush(110_000); len(got) != 0 {
		t.Errorf("%d rates of the window that the restart cut", len(got))
	}
	if got, want := len(n.Flush(120_000)), len(m.Flush(120_000)); got != want {
		t.Errorf("%d rate series after the restart, %d before", got, want)
	}
}

func TestABadSnapshotLeavesTheMinerAsItWas(t *testing.T) {
	m := New(Config{})
	mine(m, cart, "hello world")
	var buf bytes.Buffer
	if err := m.Snapshot(&buf); err != nil {
		t.Fatal(err)
	}
	for cut := range buf.Len() {
		if err := m.Restore(bytes.NewReader(buf.Bytes()[:cut])); err == nil {
			t.Fatalf("a snapshot cut after %d of %d bytes was taken", cut, buf.Len())
		}
	}
	if got := m.Templates(cart); len(got) != 1 || got[0].Count != 1 {
		t.Errorf("templates after failed restores: %+v", got)
	}
}

func TestKnownTemplatesAllocateNothing(t *testing.T) {
	m := New(Config{})
	lines := corpus(rand.New(rand.NewPCG(1, 1)), 4096)
	mine(m, cart, lines...)
	rec := line(cart, "", time.Hour, telemetry.SeverityInfo)
	i := 0
	if n := testing.AllocsPerRun(10_000, func() {
		rec.Body = lines[i%len(lines)]
		m.Add(rec)
		i++
	}); n != 0 {
		t.Errorf("%v allocations a line, want 0", n)
	}
}

// flood writes lines in which every word is new.
func flood(r *rand.Rand, words int) string {
	var b strings.Builder
	for range words {
		for range 3 + r.IntN(8) {
			b.WriteByte(byte('a' + r.IntN(26)))
		}
		b.WriteByte([]byte(" :,;=([|")[r.IntN(8)])
	}
	return b.String()
}

func TestAFloodOfNewPatternsStaysBounded(t *testing.T) {
	const seed = 11
	r := rand.New(rand.NewPCG(seed, 0))
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	m := New(Config{})
	rec := line(cart, "", time.Hour, telemetry.SeverityError)
	for range 150_000 {
		rec.Time += int64(time.Millisecond)
		rec.Body = flood(r, 5+r.IntN(35))
		m.Add(rec)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	grown := int64(after.HeapAlloc) - int64(before.HeapAlloc)
	st := m.Stats()
	t.Logf("seed %d: heap +%.1f MiB, %+v", seed, float64(grown)/(1<<20), st)
	if grown > 10<<20 {
		t.Errorf("one service holds %d bytes after the flood, want at most 10 MiB", grown)
	}
	if st.Templates > 4096 || st.Aliases > 65_536 {
		t.Errorf("limits exceeded: %+v", st)
	}
	if st.Withheld == 0 {
		t.Error("no anomaly was withheld in a flood of new errors")
	}
	runtime.KeepAlive(m)
}

func TestAMessageOfFreeWordsBecomesWildcards(t *testing.T) {
	const seed = 13
	r := rand.New(rand.NewPCG(seed, 0))
	m := New(Config{})
	var ids []uint64
	for range 3000 {
		var words []any
		for range 8 {
			words = append(words, fmt.Sprintf("%c%c%cow", 'a'+r.IntN(26), 'a'+r.IntN(26), 'a'+r.IntN(26)))
		}
		id, _ := m.Add(line(cart, fmt.Sprintf("%s %s %s said %s %s; %s %s %s", words...), time.Second, 0))
		ids = append(ids, id)
	}
	ts := m.Templates(cart)
	if len(ts) != 1 || ts[0].Count != 3000 || ts[0].Text != "<*> <*> <*> said <*> <*>; <*> <*> <*>" {
		t.Fatalf("seed %d: %d templates, first %+v", seed, len(ts), ts[0])
	}
	for _, id := range ids {
		if m.Resolve(id) != ts[0].ID {
			t.Fatalf("seed %d: id %d leads to %d", seed, id, m.Resolve(id))
		}
	}
}

func TestTooManyServicesAreCountedNotMined(t *testing.T) {
	m := New(Config{MaxServices: 2})
	for i := range 5 {
		id, _ := m.Add(line(telemetry.Entity{Kind: "host", Name: fmt.Sprint(i)}, "hello", 1, 0))
		if (id != 0) != (i < 2) {
			t.Errorf("entity %d: id %d", i, id)
		}
	}
	if st := m.Stats(); st.Refused != 3 || st.Services != 2 {
		t.Errorf("stats %+v", st)
	}
	if _, a := m.Add(line(telemetry.Entity{}, "who am I", 1, 0)); a != nil {
		t.Error("a line of an unknown entity raised an anomaly")
	}
}

func TestManySendersAtOnce(t *testing.T) {
	m := New(Config{MaxTemplates: 64})
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(g), 5))
			lines := corpus(r, 500)
			for i := range 2000 {
				body := lines[i%len(lines)]
				if i%3 == 0 {
					body = flood(r, 6)
				}
				m.Add(line(telemetry.Entity{Kind: "service", Name: string(rune('a' + g%2))}, body, time.Duration(i)*time.Second, 17))
			}
		})
	}
	wg.Go(func() {
		for i := range 50 {
			m.Flush(int64(i) * 10_000)
			m.Tick(int64(i) * 10_000)
			m.Find(uint64(i))
			m.Stats()
			for _, e := range m.Entities() {
				m.Templates(e)
			}
			var b bytes.Buffer
			if err := m.Snapshot(&b); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	var total uint64
	for _, e := range m.Entities() {
		for _, tpl := range m.Templates(e) {
			total += tpl.Count
		}
	}
	if st := m.Stats(); st.Lines != 8000 || total == 0 || total > st.Lines {
		t.Errorf("%d lines in templates, stats %+v", total, st)
	}
}

func FuzzAdd(f *testing.F) {
	for _, s := range []string{
		"", "a", "k=v", "k= k2=", "k=,", `"a b" 'c d' "`, "((5)) () (", "<1 sec", "a.b.c:80", "C:\\x y", "http://", "::1", "a:b:c:d:1",
		"-- .. ... @x x@y", "Mon Jan 2", "5 bytes 3 KB", "user user user=", `msg="x y 5" "k":"v"`, "\xff\xfe\x00", "=", "==", "a=b=c", "'''", "x={1} y=[", "...", "user='",
	} {
		f.Add(s, s+" 1")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		m := New(Config{MaxTemplates: 8})
		x, _ := m.Add(line(cart, a, 1, 0))
		y, _ := m.Add(line(cart, b, 2, 0))
		again, _ := m.Add(line(cart, a, 3, 0))
		if m.Resolve(x) != m.Resolve(again) {
			t.Fatalf("%q: ids %d and %d", a, x, again)
		}
		if x == 0 || y == 0 {
			t.Fatal("a line without id")
		}
		var n uint64
		for _, tpl := range m.Templates(cart) {
			n += tpl.Count
		}
		if n != 3 {
			t.Fatalf("%d lines counted, want 3", n)
		}
		var s scanner
		s.run(a)
		at := int32(0)
		for _, k := range s.toks {
			if k.start < at || k.end < k.start || int(k.end) > len(a) {
				t.Fatalf("%q: token %+v after %d", a, k, at)
			}
			at = k.end
		}
		var buf bytes.Buffer
		if err := m.Snapshot(&buf); err != nil {
			t.Fatal(err)
		}
		if err := m.Restore(&buf); err != nil {
			t.Fatal(err)
		}
		if id, _ := m.Add(line(cart, a, 4, 0)); m.Resolve(id) != m.Resolve(x) {
			t.Fatalf("%q: id %d after a restart, %d before", a, id, x)
		}
	})
}

func BenchmarkKnown(b *testing.B) {
	m := New(Config{})
	lines := corpus(rand.New(rand.NewPCG(1, 1)), 4096)
	mine(m, cart, lines...)
	var size int
	for _, l := range lines {
		size += len(l)
	}
	b.SetBytes(int64(size / len(lines)))
	b.ReportAllocs()
	rec := line(cart, "", time.Hour, telemetry.SeverityInfo)
	for i := 0; b.Loop(); i++ {
		rec.Body = lines[i%len(lines)]
		m.Add(rec)
	}
}

func BenchmarkFlood(b *testing.B) {
	r := rand.New(rand.NewPCG(2, 2))
	lines := make([]string, 1<<17)
	for i := range lines {
		lines[i] = flood(r, 5+r.IntN(35))
	}
	m := New(Config{})
	b.ReportAllocs()
	rec := line(cart, "", time.Hour, telemetry.SeverityInfo)
	for i := 0; b.Loop(); i++ {
		rec.Body = lines[i%len(lines)]
		m.Add(rec)
	}
}

func TestManyFloodedServicesShareABudget(t *testing.T) {
	const seed, limit = 17, 4 << 20
	r := rand.New(rand.NewPCG(seed, 0))
	m := New(Config{MaxTotal: limit})
	for i := range 60_000 {
		e := telemetry.Entity{Kind: telemetry.KindHost, Name: fmt.Sprint(i % 40)}
		m.Add(line(e, flood(r, 5+r.IntN(30)), time.Duration(i), telemetry.SeverityInfo))
		if i%10_000 == 0 {
			m.Flush(int64(i+10_000) * 10)
		}
	}
	m.Flush(10_000_000)
	if total := m.shared.total.Load(); total > 2*limit {
		t.Errorf("seed %d: %d bytes held, the limit is %d", seed, total, limit)
	}
	var sum int64
	for _, s := range m.all() {
		sum += int64(s.bytes + s.cache.bytes())
	}
	if total := m.shared.total.Load(); total != sum {
		t.Errorf("seed %d: the budget says %d, the services hold %d", seed, total, sum)
	}
	if st := m.Stats(); st.Services != 40 || st.Templates < 40 || st.Retired == 0 {
		t.Errorf("seed %d: %+v", seed, st)
	}
}
