package graph

import (
	"fmt"
	"testing"

	"github.com/norn-aiops/norn/internal/telemetry"
)

func TestWhoMayBeBehindASign(t *testing.T) {
	e := func(k telemetry.EntityKind, n string) telemetry.Entity { return telemetry.Entity{Kind: k, Name: n} }
	web, cart, db := e(telemetry.KindService, "web"), e(telemetry.KindService, "cart"), e(telemetry.KindDatabase, "db")
	web0, cart0, cart1 := e(telemetry.KindInstance, "web-0"), e(telemetry.KindInstance, "cart-0"), e(telemetry.KindInstance, "cart-1")
	h1, h2 := e(telemetry.KindHost, "h1"), e(telemetry.KindHost, "h2")
	b := NewBlame(NewView([]Edge{
		{From: web, To: cart, Kind: Calls}, {From: cart, To: db, Kind: Calls},
		{From: web, To: web0, Kind: PartOf}, {From: cart, To: cart0, Kind: PartOf}, {From: cart, To: cart1, Kind: PartOf},
		{From: web0, To: h1, Kind: RunsOn}, {From: cart0, To: h1, Kind: RunsOn}, {From: cart1, To: h2, Kind: RunsOn},
	}))
	for _, x := range []struct {
		sign, suspect telemetry.Entity
		want          Relation
	}{
		{cart, cart, Itself}, {cart, cart0, Part}, {cart0, cart, Part}, {cart0, h1, Host}, {cart0, h2, Unrelated}, {cart, h1, HostOfOne},
		{web, cart, Callee}, {web0, cart1, Callee}, {web, db, Callee2}, {h1, cart0, Tenant}, {cart0, cart1, Sibling}, {cart, web, Caller},
		{cart0, web0, Caller}, {db, web, Unrelated}, {e(telemetry.KindService, "unknown"), web, Unrelated},
	} {
		if got := b.Of(x.sign, x.suspect); got != x.want {
			t.Errorf("%v as suspect of a sign of %v: relation %d, want %d", x.suspect, x.sign, got, x.want)
		}
	}
	call := map[telemetry.Entity]float64{}
	for _, s := range b.OfCall(web0, cart0) {
		call[s.Entity] = s.Value
	}
	if !(call[cart0] > call[h1] && call[h1] > call[web0] && call[web0] > call[web] && call[web] > 0) {
		t.Errorf("a slow call accuses the callee first, then its host, then the caller: %v", call)
	}
}

func TestTheSuspectsOfOneEntityAreBounded(t *testing.T) {
	host := telemetry.Entity{Kind: telemetry.KindHost, Name: "h"}
	var es []Edge
	for i := range 5000 {
		es = append(es, Edge{From: telemetry.Entity{Kind: telemetry.KindInstance, Name: fmt.Sprint("i", i)}, To: host, Kind: RunsOn})
	}
	b := NewBlame(NewView(es))
	if n := len(b.Suspects(host)); n > maxSuspects {
		t.Errorf("%d suspects", n)
	}
	if s := NewBlame(nil).Suspects(host); len(s) != 1 || s[0].Relation != Itself {
		t.Errorf("without a graph: %v", s)
	}
}
