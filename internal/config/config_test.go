package config

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

func TestTheCommentedDefaultsAreTheDefaults(t *testing.T) {
	got, err := Parse(DefaultYAML())
	if err != nil {
		t.Fatal(err)
	}
	if want := Default(); !reflect.DeepEqual(got, want) {
		t.Errorf("default.yaml differs from Default():\n got %+v\nwant %+v", got, want)
	}
}

func TestTheCommentedDefaultsNameEveryKey(t *testing.T) {
	full, err := yaml.Marshal(Default())
	if err != nil {
		t.Fatal(err)
	}
	var want, got map[string]any
	if err := yaml.Unmarshal(full, &want); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(DefaultYAML(), &got); err != nil {
		t.Fatal(err)
	}
	sameKeys(t, "", want, got)
}

func sameKeys(t *testing.T, path string, want, got map[string]any) {
	for k, v := range want {
		g, ok := got[k]
		if !ok {
			t.Errorf("default.yaml lacks %s%s", path, k)
			continue
		}
		if m, ok := v.(map[string]any); ok {
			gm, _ := g.(map[string]any)
			sameKeys(t, path+k+".", m, gm)
		}
	}
}

func TestBadSettingsAreNamed(t *testing.T) {
	for _, tc := range []struct{ yaml, want string }{
		{"servr: {}", "servr"},
		{"server: {listne: x}", "listne"},
		{"server: {listen: nowhere}", "server.listen"},
		{"server: {tls: {cert_file: a}}", "server.tls"},
		{"storage: {state: mysql://x}", "storage.state"},
		{"storage: {metrics: {retention: 0s}}", "storage.metrics.retention"},
		{"storage: {metrics: {retention: soon}}", "soon"},
		{"ingest: {limits: {bytes: -1}}", "ingest.limits.bytes"},
		{"ingest: {syslog: {tls: {listen: '127.0.0.1:1'}}}", "ingest.syslog.tls"},
		{"ingest: {syslog: {timezone: Mars/Base}}", "ingest.syslog.timezone"},
		{"normalize: {mask: {patterns: {mine: '('}}}", "normalize.mask.patterns.mine"},
		{"topology: {window: 1h}", "topology.window"},
		{"alerts: {budget: {false_pages_per_week: -1}}", "alerts.budget.false_pages_per_week"},
		{"alerts: {budget: {false_pages_per_week: .nan}}", "alerts.budget.false_pages_per_week"},
		{"alerts: {budget: {per: team}}", "alerts.budget.per"},
		{"alerts: {buget: {}}", "buget"},
		{"log: {level: loud}", "log.level"},
		{"detection: {rules: [{name: a, match: '{x='}]}", "detection.rules[0] (a).match"},
		{"detection: {rules: [{name: a, match: x, wieght: 1}]}", "wieght"},
		{"detection: {rules: [{name: a, match: x, weight: .nan}]}", "detection.rules[0] (a).weight"},
		{"detection: {mutes: [{name: a, match: '{}', weekly: {from: '1', to: '02:00'}}]}", "detection.mutes[0] (a).weekly.from"},
		{"detection: {custom_metrics: [{name: a, expr: 'sum('}]}", "detection.custom_metrics[0] (a).expr"},
		{"scrape_configs: [{job_name: a}]", "has no targets"},
		{"scrape_configs: [{static_configs: [{targets: [a]}]}]", "scrape_configs[0].job_name"},
		{"scrape_configs: [{job_name: a, http_sd_configs: [{url: '::'}]}]", "http_sd_configs[0].url"},
		{"server: {token: 'file:/does/not/exist'}", "server.token"},
	} {
		_, err := Parse([]byte(tc.yaml))
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error %v does not name %q", tc.yaml, err, tc.want)
		}
	}
}

func TestAllFaultsAreReportedAtOnce(t *testing.T) {
	_, err := Parse([]byte("server: {listen: nowhere}\nlog: {level: loud, format: xml}"))
	for _, want := range []string{"server.listen", "log.level", "log.format"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v lacks %s", err, want)
		}
	}
}

func TestSecretsAreNeverPrinted(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Parse([]byte("server: {token: 'file:" + file + "'}"))
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Server.Token.Reveal(); got != "hunter2" {
		t.Errorf("token from file is %q", got)
	}
	asYAML, err := yaml.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	asJSON, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{string(asYAML), string(asJSON), fmt.Sprintf("%v %+v %#v %s", c, c, c, c.Server.Token)} {
		if strings.Contains(s, "hunter2") {
			t.Errorf("the secret shows in %s", s)
		}
	}
}

func TestScrapeJobsGetPrometheusDefaults(t *testing.T) {
	c, err := Parse([]byte("scrape_configs: [{job_name: a, static_configs: [{targets: ['h:1']}]}]"))
	if err != nil {
		t.Fatal(err)
	}
	s := c.Scrape[0]
	if s.MetricsPath != "/metrics" || s.Scheme != "http" || time.Duration(s.ScrapeInterval) != 15*time.Second || time.Duration(s.ScrapeTimeout) != 10*time.Second {
		t.Errorf("defaults are %+v", s)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(DefaultYAML())
	f.Add([]byte("scrape_configs: [{job_name: a}]"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if c, err := Parse(raw); err == nil {
			if err := c.Validate(); err != nil {
				t.Errorf("Parse accepted what Validate refuses: %v", err)
			}
		}
	})
}
