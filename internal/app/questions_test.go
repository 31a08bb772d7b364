package app

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/norn-aiops/norn/internal/cli"
	"github.com/norn-aiops/norn/internal/report"
	"github.com/norn-aiops/norn/internal/simulate"
)

// An operator asks how operations fare and what would break, of a server with
// one incident and no past: both answer, and neither makes anything up.
func TestAnOperatorAsksForTheReportAndWhatIf(t *testing.T) {
	a := inProcess(t, nil)
	server := a.Addr("http")
	if out, code := norn(t, server, "report"); code != cli.ExitOK || !strings.Contains(out, "No incidents") {
		t.Errorf("an empty report: code %d and %q", code, out)
	}
	in := anIncident()
	in.Onset, in.Opened = in.Onset-7200_000, in.Opened-3600_000
	if err := a.Stores().State.PutIncident(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	out, code := norn(t, server, "report", "--by", "service", "-o", "json")
	var r report.Report
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != cli.ExitOK || r.Whole.Incidents != 1 || r.Groups[0].Name != "database/orders-db" || r.Whole.Detect.Mean != 3600 {
		t.Errorf("code %d, %v: %s", code, err, out)
	}
	if out, code = norn(t, server, "report", "-o", "html"); code != cli.ExitOK || !strings.HasPrefix(out, "<!doctype html>") || !strings.Contains(out, "too few to tell") {
		t.Errorf("html: code %d and %.200q", code, out)
	}
	if out, code = norn(t, server, "report", "--by", "colour"); code != cli.ExitUsage {
		t.Errorf("by colour: code %d and %q", code, out)
	}
	out, code = norn(t, server, "whatif", "surge", "--factor", "5", "-o", "json")
	var w simulate.Answer
	if err := json.Unmarshal([]byte(out), &w); err != nil || code != cli.ExitOK || w.Breaks || w.First != nil || w.Asked != 5 {
		t.Errorf("surge: code %d, %v: %s", code, err, out)
	}
	for _, args := range [][]string{{"whatif", "slow", "--entity", "database/none", "--by", "200ms"}, {"whatif", "ddos"}, {"whatif", "loss", "--entity", "host/none"}, {"whatif", "slow", "--by", "1ns"}} {
		if out, code := norn(t, server, args...); code != cli.ExitUsage {
			t.Errorf("%v: code %d and %q", args, code, out)
		}
	}
}
