package logmine

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/norn-aiops/norn/internal/telemetry"
)

func TestATemplateKeepsItsTextsAndKnowsItsParameters(t *testing.T) {
	m := New(Config{})
	shop := telemetry.Entity{Kind: telemetry.KindService, Name: "shop"}
	at := int64(1e18)
	flush := int64(1_000_000_000_000)
	add := func(format string, n int) {
		for i := range n {
			at += 1e9
			m.Add(&telemetry.LogRecord{Entity: shop, Time: at, Body: fmt.Sprintf(format, i, i*7, i)})
		}
		flush += 10_000
		m.Flush(flush)
		flush += 10_000
		m.Flush(flush)
	}
	add("order %d of user=bob%d came from 10.0.0.%d:80 in 5 ms", 10)
	for _, name := range []string{"red", "blue", "green", "black", "white", "brown", "grey", "pink", "gold", "teal", "navy", "plum"} {
		add("the shelf "+name+" of the store is empty again after %d orders [%d %d]", 3)
	}
	add("the shelf coral of the store is empty again after %d orders [%d %d]", 5)
	var order, shelf Template
	for _, x := range m.Templates(shop) {
		if x.Count == 10 {
			order = x
		} else {
			shelf = x
		}
	}
	types := []string{}
	for _, p := range order.Parameters {
		types = append(types, p.Type)
	}
	if want := []string{"number", "id", "address", "number", "duration"}; !slices.Equal(types, want) && !slices.Equal(types, []string{"number", "id", "address", "duration"}) {
		t.Errorf("types of %q: %v, want %v", order.Text, types, want)
	}
	if order.Parameters[1].Name != "user" {
		t.Errorf("parameters %+v", order.Parameters)
	}
	if n := len(shelf.Versions); n < 2 || shelf.Versions[n-1].Text != shelf.Text || shelf.Versions[0].Text == shelf.Text || shelf.Versions[0].From >= shelf.Versions[n-1].From {
		t.Errorf("text %q, versions %+v", shelf.Text, shelf.Versions)
	}
	var buf bytes.Buffer
	if err := m.Snapshot(&buf); err != nil {
		t.Fatal(err)
	}
	again := New(Config{})
	if err := again.Restore(&buf); err != nil {
		t.Fatal(err)
	}
	if got, ok := again.Find(shelf.ID); !ok || !slices.Equal(got.Versions, shelf.Versions) {
		t.Errorf("after a restart: %+v, want %+v", got.Versions, shelf.Versions)
	}
}

func TestTypesOfValues(t *testing.T) {
	for value, want := range map[string]string{
		"12": "number", "-1.5": "number", "10.0.0.1": "address", "10.0.0.1:80": "address", "fe80::1:2:3": "address", "15:04:05": "time", "2026-11-24": "time",
		"0x1f": "hex", "9f8e7d6c": "hex", "/var/log/x": "path", "https://x/y": "url", "bob@example.com": "mail", "true": "bool", "web1.example.com": "host",
		"node17": "id", "350ms": "duration", "12MB": "size", "a b": "text", "red": "word",
	} {
		if got := typeOfValue(value); got != want {
			t.Errorf("%q is a %s, want %s", value, got, want)
		}
	}
}

// FuzzScan mines any two lines: nothing panics, and a line fits its own
// template.
func FuzzScan(f *testing.F) {
	f.Add("order 12 of user=bob came from 10.0.0.1:80 in 5 ms", "order 13 of user=eve came from 10.0.0.2:80 in 6 ms")
	f.Add(`GET "/x?y" (a, 1) [z=] <5 sec`, "Mon Jan 02 15:04:05 {a=b} ''")
	f.Add("", "\x00\xff=")
	f.Fuzz(func(t *testing.T, a, b string) {
		m := New(Config{})
		e := telemetry.Entity{Kind: telemetry.KindService, Name: "fuzz"}
		first, _ := m.Add(&telemetry.LogRecord{Entity: e, Time: 1, Body: a})
		m.Add(&telemetry.LogRecord{Entity: e, Time: 2, Body: b})
		again, _ := m.Add(&telemetry.LogRecord{Entity: e, Time: 3, Body: a})
		if m.Resolve(first) != m.Resolve(again) {
			t.Fatalf("%q is template %d and then %d", a, first, again)
		}
		for _, x := range m.Templates(e) {
			if x.Count == 0 || len(x.Versions) == 0 {
				t.Fatalf("%+v", x)
			}
		}
	})
}
