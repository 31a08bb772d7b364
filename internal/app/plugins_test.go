package app

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/norn-aiops/norn/internal/api"
	"github.com/norn-aiops/norn/internal/config"
)

// endless is a module with alloc and an observe that never ends; the assembler
// in internal/plugin/wasm's tests makes it.
const endless = "0061736d01000000011a0560017f017f60037e7e7c017c6000017e60037e7f7f0060000002010003030200010503010001071c0305616c6c6f63" +
	"0000076f6273657276650001066d656d6f727902000a180205004180080b100003400c000b4400000000000000000b"

const leakModule = "../../examples/plugins/leak/leak.wasm"

// exampleInGo builds the example that is written in Go.
func exampleInGo(t *testing.T) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "ewma.wasm")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-buildmode=c-shared", "-o", out, ".")
	cmd.Dir = "../../examples/plugins/ewma"
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	return out
}

func hostileModule(t *testing.T) string {
	t.Helper()
	code, err := hex.DecodeString(endless)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "endless.wasm")
	if err := os.WriteFile(path, code, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// The examples see what the built-in detectors do not look for, on the series
// that they are meant for and no others; a module that hangs and one that is
// not there hold nobody up.
func TestPluginsRaiseAnomaliesOfTheirOwn(t *testing.T) {
	dir := t.TempDir()
	settings := fmt.Sprintf(`
  rules:
    - {name: mild, match: 'heap_mild', member_weights: {'plugin:leak': 0.4}}
    - {name: deaf, match: 'heap_deaf', member_weights: {'plugin:leak': 0}}
  plugins:
    - {name: leak, path: %q, match: '{__name__=~"heap_.*"}', threshold: 1}
    - {name: ewma, path: %q, match: 'waves', threshold: 8, weight: 0.5, limits: {instances: 2}}
    - {name: endless, path: %q, match: '{}', limits: {call_timeout: 50ms}}
    - {name: nowhere, path: /does/not/exist.wasm, match: '{}'}
`, leakModule, exampleInGo(t), hostileModule(t))
	f := newFeed(t, dir, settings, 1_760_000_000_000)
	rng := rand.New(rand.NewPCG(17, 1))
	leaking, wave := 0., 0.
	n := 0
	values := func(int64) map[string]float64 {
		n++
		level := 1e6 + leaking*float64(n)
		noise := 0.
		if leaking == 0 {
			noise = 1000 * rng.NormFloat64()
		}
		return map[string]float64{"heap_bytes": level + noise, "heap_mild": level + noise, "heap_deaf": level + noise, "other_bytes": level + noise,
			"waves": 50 + wave + rng.NormFloat64()}
	}
	f.run(5*time.Hour, values)
	f.began = f.now
	leaking, wave = .01, 60
	f.run(30*time.Minute, values)
	got := f.raised()
	severity := map[string]float64{} // by series and member
	for name, list := range got {
		for _, a := range list {
			severity[name+" "+a.Member] = max(severity[name+" "+a.Member], a.Severity)
		}
	}
	if v := severity["heap_bytes plugin:leak"]; v < .5 {
		t.Errorf("the leak was not raised: %v", severity)
	}
	if mild := severity["heap_mild plugin:leak"] / severity["heap_bytes plugin:leak"]; mild < .39 || mild > .41 {
		t.Errorf("a weight of 0.4 gives %v", severity)
	}
	if severity["heap_deaf plugin:leak"] != 0 || severity["other_bytes plugin:leak"] != 0 {
		t.Errorf("raised where it should not be: %v", severity)
	}
	if v := severity["waves plugin:ewma"]; v == 0 || v > .5 {
		t.Errorf("the Go example on waves: %v", severity)
	}
	states := map[string]api.PluginState{}
	for _, s := range pluginStates(f.o.plugins, f.o.Pipeline) {
		states[s.Name] = s
	}
	if s := states["leak"]; s.Title != "leak" || s.Off != "" || s.Series != 3 || s.Points < 3*1300 || s.Raised == 0 || s.Dropped != 0 {
		t.Errorf("leak: %+v", s)
	}
	if s := states["ewma"]; s.Title != "ewma" || s.Off != "" || s.Series != 1 {
		t.Errorf("ewma: %+v", s)
	}
	if s := states["endless"]; !strings.Contains(s.Off, "took longer than 50ms") || s.MemoryBytes != 0 || s.Raised != 0 {
		t.Errorf("endless: %+v", s)
	}
	if s := states["nowhere"]; !strings.Contains(s.Off, "cannot read the module") {
		t.Errorf("nowhere: %+v", s)
	}
	// what a plugin has raised ends as other anomalies do
	leaking, wave = 0, 0
	f.run(20*time.Minute, values)
	for _, a := range f.raised()["heap_bytes"] {
		if a.Member == "plugin:leak" && a.Ended == 0 {
			t.Errorf("it does not end: %+v", a)
		}
	}
	// after a restart a plugin is shown what came lately, and raises nothing of it
	leaking = .01
	f.run(10*time.Minute, values)
	f.close()
	f = newFeed(t, dir, settings, f.now)
	defer f.close()
	f.tick()
	if s := pluginStates(f.o.plugins, f.o.Pipeline)[0]; s.Points < 3*40 || s.Raised != 0 {
		t.Errorf("after a restart: %+v", s)
	}
}

// A running Norn shows its plugins; check-config loads them.
func TestPluginsAreShownAndChecked(t *testing.T) {
	hostile := hostileModule(t)
	plugins := func(c *config.Config) {
		raw := fmt.Sprintf("detection: {plugins: [{name: leak, path: %q, match: '{}'}, {name: text, path: plugins_test.go, match: '{}'}, {name: endless, path: %q, match: '{}'}]}",
			leakModule, hostile)
		parsed, err := config.Parse([]byte(raw))
		if err != nil {
			t.Fatal(err)
		}
		c.Detect.Plugins = parsed.Detect.Plugins
	}
	a := inProcess(t, plugins)
	states := (&live{pipe: a.pipe, plugins: a.plugins}).Extensions().Plugins
	if len(states) != 3 || states[0].Title != "leak" || states[0].Off != "" || !strings.Contains(states[1].Off, "not WebAssembly") {
		t.Errorf("plugins %+v", states)
	}
	c := config.Default()
	plugins(&c)
	err := CheckPlugins(t.Context(), c)
	if err == nil || !strings.Contains(err.Error(), "detection.plugins[1] (text): plugins_test.go") || strings.Contains(err.Error(), "leak") {
		t.Errorf("check: %v", err)
	}
}
