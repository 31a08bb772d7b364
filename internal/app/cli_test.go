package app

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/norn-aiops/norn/internal/cli"
	"github.com/norn-aiops/norn/internal/config"
	"github.com/norn-aiops/norn/internal/ops"
	"github.com/norn-aiops/norn/internal/store/storetest"
	"github.com/norn-aiops/norn/internal/telemetry"
)

// norn runs an operator's verb against a server.
func norn(t *testing.T, server string, args ...string) (out string, code int) {
	t.Helper()
	root := &cobra.Command{Use: "norn", SilenceErrors: true, SilenceUsage: true}
	root.AddCommand(cli.Commands()...)
	var buf bytes.Buffer
	root.SetOut(&buf)
	root.SetErr(&buf)
	root.SetArgs(append(args, "--server", server))
	err := root.ExecuteContext(t.Context())
	return buf.String(), cli.ExitCode(err)
}

func anIncident() *ops.Incident {
	db := telemetry.Entity{Kind: telemetry.KindDatabase, Name: "orders-db"}
	return &ops.Incident{
		ID: "01TESTINCIDENT", State: ops.StateOpen, Title: "orders-db: slow", Sentence: "orders-db: queries take 2 s instead of 20 ms.",
		Verdict: ops.VerdictCause, Confidence: 0.9, Onset: time.Now().UnixMilli(), Opened: time.Now().UnixMilli(), Updated: time.Now().UnixMilli(), Alerts: 7,
		Causes: []ops.Cause{{Entity: db, Role: ops.RoleRoot, Score: 0.9, Probability: 0.9, Unexplained: 1,
			Evidence: []ops.Evidence{{Entity: db, Text: "Queries take 2 s instead of 20 ms", Z: 40, Weight: 1}}},
			{Entity: telemetry.Entity{Kind: telemetry.KindService, Name: "orders"}, Role: ops.RoleSymptom, ExplainedBy: []ops.Explained{{By: db, Share: 0.83}}}},
	}
}

func TestAnOperatorAsksAtTheTerminal(t *testing.T) {
	a := inProcess(t, nil)
	server := a.Addr("http")
	if out, code := norn(t, server, "incidents", "list", "--exit-code"); code != cli.ExitOK || !strings.Contains(out, "No incidents") {
		t.Errorf("an empty list gives code %d and %q", code, out)
	}
	if err := a.Stores().State.PutIncident(t.Context(), anIncident()); err != nil {
		t.Fatal(err)
	}
	out, code := norn(t, server, "incidents", "list", "--state", "open", "--exit-code")
	if code != cli.ExitFinding || !strings.Contains(out, "database/orders-db") {
		t.Errorf("with an open incident: code %d and %q", code, out)
	}
	out, code = norn(t, server, "incidents", "explain", "01TESTINCIDENT")
	if code != cli.ExitOK || !strings.Contains(out, "had database/orders-db stayed normal, its excess would fall by 83 %") {
		t.Errorf("explain: code %d and %q", code, out)
	}
	out, code = norn(t, server, "incidents", "show", "01TESTINCIDENT", "-o", "json")
	var in ops.Incident
	if err := json.Unmarshal([]byte(out), &in); err != nil || code != cli.ExitOK || in.Title != "orders-db: slow" {
		t.Errorf("show as JSON: code %d, %v, %q", code, err, out)
	}
	for _, tc := range []struct {
		args []string
		want int
	}{
		{[]string{"incidents", "show", "nothing"}, cli.ExitNotFound},
		{[]string{"series", "explain", "no such series"}, cli.ExitNotFound},
		{[]string{"incidents", "list", "-o", "xml"}, cli.ExitUsage},
		{[]string{"incidents", "comment", "01TESTINCIDENT"}, cli.ExitUsage},
		{[]string{"status"}, cli.ExitOK},
	} {
		if out, code := norn(t, server, tc.args...); code != tc.want {
			t.Errorf("norn %s gives code %d, want %d: %s", strings.Join(tc.args, " "), code, tc.want, out)
		}
	}
	if _, code := norn(t, freeAddr(t), "status"); code != cli.ExitUnreachable {
		t.Errorf("without a server the code is %d, want %d", code, cli.ExitUnreachable)
	}
}

// What an operator says of an incident is kept, shown and taken back; nonsense
// and unknown incidents are refused with their codes and change nothing.
func TestAnIncidentIsMarkedAtTheTerminal(t *testing.T) {
	a := inProcess(t, nil)
	server := a.Addr("http")
	st := a.Stores().State
	if err := st.PutIncident(t.Context(), anIncident()); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		id, mark string
		code     int
		kept     ops.Mark
	}{
		{"01TESTINCIDENT", "real", cli.ExitOK, ops.MarkReal},
		{"01TESTINCIDENT", "maybe", cli.ExitUsage, ops.MarkReal},
		{"nothing", "noise", cli.ExitNotFound, ops.MarkReal},
		{"01TESTINCIDENT", "noise", cli.ExitOK, ops.MarkNoise},
		{"01TESTINCIDENT", "none", cli.ExitOK, ""},
	} {
		out, code := norn(t, server, "incidents", "mark", tc.id, tc.mark, "--who", "ann", "-o", "json")
		var said ops.Incident
		if code != tc.code || code == cli.ExitOK && (json.Unmarshal([]byte(out), &said) != nil || said.Mark != tc.kept) {
			t.Errorf("mark %s %s: code %d, %s", tc.id, tc.mark, code, out)
		}
		if kept, err := st.Incident(t.Context(), "01TESTINCIDENT"); err != nil || kept.Mark != tc.kept {
			t.Errorf("after mark %s %s it is %q (%v), want %q", tc.id, tc.mark, kept.Mark, err, tc.kept)
		}
	}
	if _, code := norn(t, server, "incidents", "mark", "01TESTINCIDENT"); code == cli.ExitOK {
		t.Error("a mark without a word is taken")
	}
	if out, _ := norn(t, server, "incidents", "show", "01TESTINCIDENT", "-o", "json"); !strings.Contains(out, "ann") {
		t.Errorf("the timeline does not say who marked it: %s", out)
	}
}

func TestASeriesIsExplainedAtTheTerminal(t *testing.T) {
	a := inProcess(t, nil)
	var csv strings.Builder
	csv.WriteString("timestamp,name,value,service\n")
	start := time.Now().Add(-2 * time.Hour)
	for i := range 700 {
		csv.WriteString(start.Add(time.Duration(i)*10*time.Second).UTC().Format(time.RFC3339) + ",queue_length,")
		csv.WriteString([]string{"3", "4", "5"}[i%3] + ",cart\n")
	}
	resp, err := http.Post("http://"+a.Addr("http")+"/api/v1/import/metrics", "text/csv", strings.NewReader(csv.String()))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("the import gives %s", resp.Status)
	}
	out, code := norn(t, a.Addr("http"), "series", "explain", "queue_length cart")
	if code != cli.ExitOK || !strings.Contains(out, "queue_length") || !strings.Contains(out, "expected") {
		t.Errorf("code %d and %q", code, out)
	}
}

func TestTheTokenIsAskedFor(t *testing.T) {
	t.Setenv("NORN_TOKEN", "")
	a := inProcess(t, func(c *config.Config) { c.Server.Token = "s3cret" })
	if _, code := norn(t, a.Addr("http"), "status"); code == cli.ExitOK {
		t.Error("without the token the server answers")
	}
	if out, code := norn(t, a.Addr("http"), "status", "--token", "s3cret"); code != cli.ExitOK {
		t.Errorf("with the token: code %d and %q", code, out)
	}
	resp, err := http.Post("http://"+a.Addr("http")+"/api/v1/write", "application/x-protobuf", strings.NewReader(""))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("remote write without the token gives %s", resp.Status)
	}
}

func TestOneLineOfConfigurationPutsTheStateIntoPostgreSQL(t *testing.T) {
	url := storetest.Database(t, storetest.Postgres(t), "norn")
	a := inProcess(t, func(c *config.Config) { c.Storage.State = config.Secret(url) })
	if err := a.Stores().State.PutIncident(t.Context(), anIncident()); err != nil {
		t.Fatal(err)
	}
	if out, code := norn(t, a.Addr("http"), "incidents", "list"); code != cli.ExitOK || !strings.Contains(out, "orders-db: slow") {
		t.Errorf("code %d and %q", code, out)
	}
}

func TestLogPatternsTellWhenTheyWereSeen(t *testing.T) {
	a := inProcess(t, nil)
	var lines strings.Builder
	at := time.Now().Add(-time.Minute).UTC()
	for i := range 20 {
		lines.WriteString(`{"time":"` + at.Add(time.Duration(i)*time.Second).Format(time.RFC3339Nano) + `","service":"cart","level":"info","msg":"basket 17 stored"}` + "\n")
	}
	resp, err := http.Post("http://"+a.Addr("http")+"/api/v1/import/logs", "application/json", strings.NewReader(lines.String()))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	a.Stores().Logs.FlushLogs()
	resp, err = http.Get("http://" + a.Addr("http") + "/api/v1/logs/patterns?from=-1h")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var got struct {
		Patterns []struct {
			Text  string `json:"text"`
			First int64  `json:"first_seen_unix_ms"`
			Last  int64  `json:"last_seen_unix_ms"`
		} `json:"patterns"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	if len(got.Patterns) != 1 {
		t.Fatalf("%d patterns, want one", len(got.Patterns))
	}
	p := got.Patterns[0]
	if p.Text != "basket <*> stored" || p.First != at.UnixMilli() || p.Last != at.Add(19*time.Second).UnixMilli() {
		t.Errorf("the pattern is %+v, want it seen from %d on", p, at.UnixMilli())
	}
}
