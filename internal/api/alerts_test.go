package api_test

import (
	"context"
	"testing"

	"github.com/norn-aiops/norn/internal/api"
	"github.com/norn-aiops/norn/internal/telemetry"
)

func TestAlertsThatNameNothingKnownStayVisible(t *testing.T) {
	s := openSample(t, 0, false, sampleEnd)
	svc := telemetry.Entity{Kind: telemetry.KindService, Name: "cart"}
	for i, a := range []telemetry.Alert{
		{Fingerprint: "1", Source: "grafana", Name: "slow", Entity: svc},
		{Fingerprint: "2", Source: "zabbix", Name: "odd"},
		{Fingerprint: "3", Source: "zabbix", Name: "over", EndsAt: s.end - 1000},
	} {
		a.StartsAt = s.end - int64(10-i)*60_000
		must(t, s.state.PutAlert(context.Background(), &a))
	}
	srv := api.New(s.options())
	names := func(query string) (out string) {
		l := read[api.AlertList](t, srv, "/api/v1/alerts?"+query)
		for _, a := range l.Alerts {
			out += a.Name + " "
		}
		return out
	}
	for query, want := range map[string]string{"": "over odd slow ", "unresolved=true": "over odd ", "firing=true&unresolved=true": "odd ", "source=grafana": "slow ", "limit=1": "over "} {
		if got := names(query); got != want {
			t.Errorf("%q: %q, want %q", query, got, want)
		}
	}
}
