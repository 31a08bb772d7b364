package logread

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/norn-aiops/norn/internal/telemetry"
)

// fields stands for the decoder of structured lines: time, level and message
// are taken, the rest stays.
func fields(attrs []telemetry.Attr) (telemetry.LogRecord, bool) {
	var rec telemetry.LogRecord
	for _, a := range attrs {
		switch a.Key {
		case "msg", "message":
			rec.Body = a.Value
		case "level":
			rec.SeverityText = a.Value
		case "time", "ts":
			if st, ok := (Clock{}).Read(a.Value, 0); ok {
				rec.Time = st.Time
			}
		default:
			rec.Attributes = append(rec.Attributes, a)
		}
	}
	return rec, true
}

func readAll(t testing.TB, cfg Config, text string) []Item {
	t.Helper()
	var got []Item
	s := New(cfg, func(it Item) { got = append(got, it) })
	r := NewLines(strings.NewReader(text), 0)
	for {
		line, _, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		s.Add(line)
	}
	s.Flush()
	return got
}

func attr(it Item, key string) string { return telemetry.Get(it.Record.Attributes, key) }

func TestAccessLogsAreTyped(t *testing.T) {
	for name, line := range map[string]string{
		"common":   `10.0.0.7 - bob [24/Nov/2026:08:00:07 +0100] "GET /cart/42/items?x=1 HTTP/1.1" 503 2326`,
		"combined": `10.0.0.7 - bob [24/Nov/2026:08:00:07 +0100] "GET /cart/42/items?x=1 HTTP/1.1" 503 2326 "http://shop/" "Mozilla/5.0 (X11; \"q\")"`,
		"vhost":    `shop.example.com:443 10.0.0.7 - bob [24/Nov/2026:08:00:07 +0100] "GET /cart/42/items?x=1 HTTP/1.1" 503 2326 "http://shop/" "Mozilla/5.0 (X11; \"q\")"`,
		"nginx rt": `10.0.0.7 - bob [24/Nov/2026:08:00:07 +0100] "GET /cart/42/items?x=1 HTTP/1.1" 503 2326 "http://shop/" "Mozilla/5.0 (X11; \"q\")" rt=0.250 uct="0.001"`,
		"apache D": `10.0.0.7 - bob [24/Nov/2026:08:00:07 +0100] "GET /cart/42/items?x=1 HTTP/1.1" 503 2326 "http://shop/" "Mozilla/5.0 (X11; \"q\")" 250000`,
		"apache -": `10.0.0.7 - bob [24/Nov/2026:08:00:07 +0100] "GET /cart/42/items?x=1 HTTP/1.1" 503 2326 "-" "Mozilla/5.0 (X11; \"q\")" 0.250`,
	} {
		got := readAll(t, Config{}, strings.Repeat(line+"\n", 3))
		if len(got) != 3 {
			t.Fatalf("%s: %d records", name, len(got))
		}
		it := got[1]
		for key, want := range map[string]string{
			"client.address": "10.0.0.7", "user.name": "bob", "http.request.method": "GET", "url.path": "/cart/42/items", "url.template": "/cart/{id}/items",
			"url.query": "x=1", "http.response.status_code": "503", "http.response.body.size": "2326", "network.protocol.version": "1.1",
		} {
			if attr(it, key) != want {
				t.Errorf("%s: %s is %q, want %q", name, key, attr(it, key), want)
			}
		}
		if d := attr(it, "http.server.request.duration"); strings.Contains(line, "25") && strings.Contains(name, " ") && d != "0.25" {
			t.Errorf("%s: duration %q", name, d)
		}
		if it.Record.SeverityText != "error" || time.Unix(0, it.Record.Time).UTC().Format(time.RFC3339) != "2026-11-24T07:00:07Z" {
			t.Errorf("%s: %s at %s", name, it.Record.SeverityText, time.Unix(0, it.Record.Time).UTC())
		}
		if name != "common" && attr(it, "user_agent.original") != `Mozilla/5.0 (X11; \"q\")` {
			t.Errorf("%s: agent %q", name, attr(it, "user_agent.original"))
		}
	}
}

func TestW3CAndTablesAndPairsAreTyped(t *testing.T) {
	for name, text := range map[string]string{
		"iis": "#Software: Microsoft Internet Information Services 10.0\n#Version: 1.0\n#Date: 2026-11-24 08:00:00\n" +
			"#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) sc-status sc-bytes time-taken\n" +
			strings.Repeat("2026-11-24 08:00:07 10.0.0.1 GET /cart/42 x=1 443 - 10.0.0.7 Mozilla/5.0+(X11) 503 2326 250\n", 3),
		"csv": "time,method,path,status,bytes,client_ip,duration_ms\n" +
			strings.Repeat("2026-11-24T08:00:07Z,GET,/cart/42?x=1,503,2326,10.0.0.7,250\n", 3),
		"semicolons": "date;time;method;path;status;bytes;client_ip;duration\n" +
			strings.Repeat("2026-11-24;08:00:07;GET;\"/cart/42?x=1\";503;2326;10.0.0.7;250ms\n", 3),
		"logfmt": strings.Repeat(`ts=2026-11-24T08:00:07Z method=GET path="/cart/42?x=1" status=503 bytes=2326 remote_addr=10.0.0.7 request_time=0.250`+"\n", 3),
	} {
		got := readAll(t, Config{Fields: fields}, text)
		if len(got) != 3 {
			t.Fatalf("%s: %d records: %+v", name, len(got), got)
		}
		for key, want := range map[string]string{
			"client.address": "10.0.0.7", "http.request.method": "GET", "url.path": "/cart/42", "url.template": "/cart/{id}", "url.query": "x=1",
			"http.response.status_code": "503", "http.response.body.size": "2326", "http.server.request.duration": "0.25",
		} {
			if attr(got[1], key) != want {
				t.Errorf("%s: %s is %q, want %q", name, key, attr(got[1], key), want)
			}
		}
		if r := got[1].Record; time.Unix(0, r.Time).UTC().Format(time.RFC3339) != "2026-11-24T08:00:07Z" || r.Body != `"GET /cart/42" 503` {
			t.Errorf("%s: %q at %s", name, r.Body, time.Unix(0, r.Time).UTC())
		}
	}
}

func TestPathTemplates(t *testing.T) {
	for in, want := range map[string]string{
		"/": "/", "": "", "/cart/42": "/cart/{id}", "/api/v1/users/9f8e7d6c-1b2a-4c3d-8e9f-0a1b2c3d4e5f/orders": "/api/v1/users/{id}/orders",
		"/static/app.3f9a8b7c.js": "/static/{id}.js", "/img/1234567.png": "/img/{id}.png", "/u/bob@example.com": "/u/{id}",
		"/a?b=c": "/a", "http://h:80/x/7": "/x/{id}", "/products/blue-shoes": "/products/blue-shoes", "/s3/http2": "/s3/http2", "/q/%D0%9F": "/q/{id}",
		"/1/2/3/4/5/6/7/8/9/10/11/12/13": "/{id}/{id}/{id}/{id}/{id}/{id}/{id}/{id}/{id}/{id}/{id}/{id}/...",
	} {
		if got := PathTemplate(in); got != want {
			t.Errorf("%q -> %q, want %q", in, got, want)
		}
	}
}

// Each trace is one record when lines with a header stand around it, and one
// when nothing has a header.
func TestRecordsOfSeveralLinesAreJoined(t *testing.T) {
	traces := map[string]string{
		"java": "java.lang.IllegalStateException: queue is closed\n\tat org.example.Queue.put(Queue.java:41)\n\tat org.example.Main.main(Main.java:7)\n" +
			"Caused by: java.io.IOException: broken pipe\n\tat sun.nio.ch.Net.write(Native Method)\n\t... 12 more",
		"python": "Traceback (most recent call last):\n  File \"/app/cart.py\", line 12, in put\n    raise ValueError(\"no such item\")\nValueError: no such item",
		"python chained": "Traceback (most recent call last):\n  File \"a.py\", line 1, in <module>\n    f()\nKeyError: 'x'\n\nDuring handling of the above exception, another exception occurred:\n\n" +
			"Traceback (most recent call last):\n  File \"a.py\", line 3, in <module>\n    g()\nRuntimeError: lost",
		"go":     "panic: runtime error: index out of range [3] with length 3\n\ngoroutine 1 [running]:\nmain.put(...)\n\t/app/cart.go:12 +0x1d\nmain.main()\n\t/app/main.go:7 +0x2f\nexit status 2",
		"dotnet": "Unhandled exception. System.InvalidOperationException: queue is closed\n ---> System.IO.IOException: broken pipe\n   at Shop.Queue.Put(Item i) in /app/Queue.cs:line 41\n   --- End of inner exception stack trace ---\n   at Shop.Program.Main(String[] args)",
		"node":   "TypeError: Cannot read properties of undefined (reading 'id')\n    at put (/app/cart.js:12:9)\n    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)",
	}
	for name, trace := range traces {
		var text strings.Builder
		for i := range 20 {
			fmt.Fprintf(&text, "2026-11-24 08:00:%02d,123 INFO [main] shop.Cart: order %d accepted\n", i, i)
			if i%5 == 4 {
				fmt.Fprintf(&text, "2026-11-24 08:00:%02d,456 ERROR [main] shop.Cart: cannot put\n%s\n", i, trace)
			}
		}
		got := readAll(t, Config{}, text.String())
		if len(got) != 24 {
			t.Errorf("%s among lines: %d records, want 24", name, len(got))
			continue
		}
		if want := "cannot put\n" + trace; got[5].Record.Body != want || got[5].Record.SeverityText != "ERROR" {
			t.Errorf("%s among lines: %q, want %q", name, got[5].Record.Body, want)
		}
		got = readAll(t, Config{}, "starting\n"+trace+"\nstarting again\n"+trace+"\nthe end\n")
		if len(got) != 5 || got[1].Record.Body != trace || got[3].Record.Body != trace {
			t.Errorf("%s alone: %d records: %+v", name, len(got), got)
		}
	}
}

func TestPrettyJSONIsOneRecord(t *testing.T) {
	doc := "{\n  \"level\": \"error\",\n  \"msg\": \"a brace } in a string\",\n  \"list\": [\n    1\n  ]\n}\n"
	n := 0
	cfg := Config{JSON: func(doc string) (telemetry.LogRecord, bool) {
		n++
		return telemetry.LogRecord{Body: doc}, strings.HasPrefix(doc, "{") && strings.HasSuffix(doc, "}")
	}}
	got := readAll(t, cfg, strings.Repeat(doc, 4))
	if len(got) != 4 || got[2].Record.Body != strings.TrimSpace(doc) || got[2].Lines != 7 {
		t.Errorf("%d records: %+v", len(got), got)
	}
	got = readAll(t, Config{}, "answer {\n  \"a\": 1\n}\nnext\n")
	if len(got) != 2 || got[1].Record.Body != "next" {
		t.Errorf("text: %+v", got)
	}
}

func TestARecordIsBounded(t *testing.T) {
	var text strings.Builder
	text.WriteString("2026-11-24 08:00:00 ERROR begin\n2026-11-24 08:00:01 ERROR begin\n")
	for range 10_000 {
		text.WriteString("\tat org.example.Queue.put(Queue.java:41)\n")
	}
	text.WriteString("2026-11-24 08:00:02 INFO end\n")
	got := readAll(t, Config{MaxLines: 500}, text.String())
	lines := 0
	for _, it := range got {
		if it.Lines > 500 {
			t.Fatalf("a record of %d lines", it.Lines)
		}
		lines += it.Lines
		if it.Record.Time == 0 {
			t.Error("a part without a time")
		}
	}
	if lines != 10_003 {
		t.Errorf("%d lines came out of 10,003", lines)
	}
}

func TestContainersOfRecords(t *testing.T) {
	text := ""
	for i := range 20 {
		text += fmt.Sprintf("2026-11-24T08:00:%02d.123456789Z stdout P 2026-11-24 09:00:%02d,000 INFO [main] shop.Cart: or\n2026-11-24T08:00:%02d.2Z stdout F der %d accepted\n", i, i, i, i)
	}
	got := readAll(t, Config{}, text)
	if len(got) != 20 || got[3].Record.Body != "order 3 accepted" || got[3].Record.SeverityText != "INFO" || attr(got[3], "log.logger") != "shop.Cart" {
		t.Fatalf("%d records, %+v", len(got), got[min(3, len(got)-1)])
	}
	got = readAll(t, Config{}, strings.Repeat("2026-11-24T08:00:07Z stderr F plain words\n", 5))
	if len(got) != 5 || got[0].Record.Body != "plain words" || time.Unix(0, got[0].Record.Time).UTC().Second() != 7 {
		t.Errorf("%+v", got)
	}
}

func TestEncodings(t *testing.T) {
	const line = "2026-11-24 08:00:00 INFO Grüße aus Köln – 10 €\n"
	text := strings.Repeat(line, 5)
	wide := func(little, mark bool, s string) string {
		var b bytes.Buffer
		u := utf16.Encode([]rune(s))
		if mark {
			u = append([]uint16{0xFEFF}, u...)
		}
		for _, c := range u {
			if little {
				b.Write([]byte{byte(c), byte(c >> 8)})
			} else {
				b.Write([]byte{byte(c >> 8), byte(c)})
			}
		}
		return b.String()
	}
	cp1252 := strings.NewReplacer("ü", "\xfc", "ß", "\xdf", "ö", "\xf6", "–", "\x96", "€", "\x80").Replace(text)
	for name, in := range map[string]string{
		"utf-8": text, "bom": "\xEF\xBB\xBF" + text, "utf-16le": wide(true, true, text), "utf-16be": wide(false, true, text),
		"utf-16le without mark": wide(true, false, text), "windows-1252": cp1252, "crlf": strings.ReplaceAll(text, "\n", "\r\n"),
		"nul bytes": "\x00\x00\x00\x00" + text + "\x00\x00",
	} {
		got := readAll(t, Config{}, in)
		if len(got) != 5 || got[4].Record.Body != "Grüße aus Köln – 10 €" {
			t.Errorf("%s: %d records: %+v", name, len(got), got)
		}
	}
	if got := Repair("Köln \xff \x00x"); got != "Köln \uFFFD x" {
		t.Errorf("broken UTF-8: %q", got)
	}
}

func TestLongLinesAreCutAndNothingBehindThemIsLost(t *testing.T) {
	long := strings.Repeat("x", 3<<20)
	got := readAll(t, Config{}, "before\n"+long+"\nbehind\n")
	if len(got) != 3 || len(got[1].Record.Body) != DefaultMaxLine || attr(got[1], "log.truncated") != "true" || got[2].Record.Body != "behind" {
		t.Fatalf("%d records", len(got))
	}
	if got[2].Begin != int64(len(long))+8 || got[2].End != int64(len(long))+15 {
		t.Errorf("the line behind stands at %d-%d", got[2].Begin, got[2].End)
	}
}

// What a stream gives does not depend on when it is flushed, and the offsets
// cover the text.
func TestOffsetsCoverTheText(t *testing.T) {
	text := strings.Repeat("2026-11-24 08:00:00 ERROR a\n\tat b\n\n2026-11-24 08:00:01 INFO c\n", 300)
	at := int64(0)
	for _, it := range readAll(t, Config{}, text) {
		if it.Begin < at || it.End <= it.Begin {
			t.Fatalf("record at %d-%d behind %d", it.Begin, it.End, at)
		}
		at = it.End
	}
	if at != int64(len(text)) {
		t.Errorf("ends at %d of %d", at, len(text))
	}
}

func TestAHeaderThatChangesIsLearnedAgain(t *testing.T) {
	var text strings.Builder
	for i := range 400 {
		fmt.Fprintf(&text, "2026-11-24 08:00:00 INFO old %d\n", i)
	}
	for i := range 2000 {
		fmt.Fprintf(&text, "INFO|new %d\n", i)
	}
	got := readAll(t, Config{MaxLines: 10_000}, text.String())
	if len(got) < 1500 {
		t.Errorf("%d records: the new lines went on being joined to the last old one", len(got))
	}
}

func TestClockReadsAndRefuses(t *testing.T) {
	ref := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC).UnixNano()
	for in, want := range map[string]string{
		"Dec 31 23:59:59": "2025-12-31T23:59:59Z", "Jan  2 11:00:00": "2026-01-02T11:00:00Z", "Feb 29 10:00:00": "2024-02-29T10:00:00Z",
		"2026-01-02T03:04:05.123456789+02:00": "2026-01-02T01:04:05.123456789Z", "Mon, 02 Jan 2006 15:04:05 GMT": "2006-01-02T15:04:05Z",
		"02/Jan/2006:15:04:05 -0700": "2006-01-02T22:04:05Z", "Mon Jan  2 15:04:05 UTC 2006": "2006-01-02T15:04:05Z", "1136214245": "2006-01-02T15:04:05Z",
		"1136214245123": "2006-01-02T15:04:05.123Z", "20060102150405": "2006-01-02T15:04:05Z", "061102 15:04:05": "2006-11-02T15:04:05Z",
		"13/01/2006 15:04:05": "2006-01-13T15:04:05Z", "Jan 2, 2006 3:04:05 PM": "2006-01-02T15:04:05Z", "23:00:00.5": "2026-01-01T23:00:00.5Z",
	} {
		st, ok := Clock{}.Read(in, ref)
		if got := time.Unix(0, st.Time).UTC().Format(time.RFC3339Nano); !ok || got != want {
			t.Errorf("%q -> %v %s, want %s", in, ok, got, want)
		}
	}
	for _, in := range []string{"", "1234", "2026-13-01 00:00:00", "2026-02-30 00:00:00", "99:99:99", "order 12", "12345678", "1.2.3.4 x", "May we", "Sun", "2026-01-02T25:00:00x", "10.0.0.1:80"} {
		if st, ok := (Clock{}).Read(in, ref); ok {
			t.Errorf("%q was read as %+v", in, st)
		}
	}
}

func FuzzClock(f *testing.F) {
	for _, h := range headers {
		f.Add(h.pattern)
	}
	f.Add("20060102150405")
	f.Fuzz(func(t *testing.T, s string) {
		if st, ok := (Clock{}).Read(s, 0); ok && (st.Len <= 0 || st.Len > len(s)) {
			t.Fatalf("%q: length %d", s, st.Len)
		}
	})
}

func FuzzHeader(f *testing.F) {
	for _, h := range headers {
		lines, _ := headed(h.pattern)
		f.Add(strings.Join(lines[:5], "\n"))
	}
	f.Fuzz(func(t *testing.T, text string) {
		lines := strings.Split(text, "\n")
		h := LearnHeader(lines, Clock{}, 0)
		for _, line := range lines {
			if body, _ := h.Cut(line); !strings.HasSuffix(line, body) {
				t.Fatalf("the body %q is not the end of %q", body, line)
			}
		}
	})
}

// FuzzStream reads any text in every format: nothing panics, offsets grow, and
// the records are valid UTF-8.
func FuzzStream(f *testing.F) {
	for k := range Formats() {
		f.Add(uint8(k), "2026-11-24 08:00:00 INFO x\n\tat y\n{\n\"a\":1}\n")
		f.Add(uint8(k), "#Fields: date time c-ip\n2026-11-24 08:00:00 1.2.3.4\n")
		f.Add(uint8(k), "a=b c=\"d e\" f=g\ntime,level,msg\n1,2,\"3\n4\"\n")
		f.Add(uint8(k), "1.2.3.4 - - [24/Nov/2026:08:00:07 +0100] \"GET / HTTP/1.1\" 200 1 \"-\" \"x\" 12\n")
		f.Add(uint8(k), "2026-11-24T08:00:07Z stderr P a\n2026-11-24T08:00:07Z stderr F b\n\xff\xfe\x00")
	}
	f.Fuzz(func(t *testing.T, k uint8, text string) {
		cfg := Config{Format: Formats()[int(k)%len(Formats())], MaxLines: 5, MaxBytes: 200, Fields: fields,
			JSON: func(doc string) (telemetry.LogRecord, bool) {
				return telemetry.LogRecord{Body: doc}, strings.HasPrefix(doc, "{")
			}}
		at := int64(0)
		for _, it := range readAll(t, cfg, text) {
			if it.Begin < at || it.End < it.Begin {
				t.Fatalf("record at %d-%d behind %d", it.Begin, it.End, at)
			}
			at = it.End
			if !utf8.ValidString(it.Record.Body) {
				t.Fatalf("body %q", it.Record.Body)
			}
		}
	})
}
