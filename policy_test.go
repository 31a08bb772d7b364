// Package norn_test holds the rules that the whole tree must keep: which
// package may import which, what a pure package may use, how large a file and
// a function may be. It uses the standard library only and reads source text,
// so it runs in a moment and needs no build.
package norn_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/norn-aiops/norn"

// Layers. A package imports lower layers only, and of its own layer what its
// entry names.
const (
	words = iota
	kernels
	stages // the last pure layer: no network, disk, clock or global randomness
	adapters
	flow
	frame // configuration and the operator's verbs
	application
	command
)

// entry gives a package its place.
type entry struct {
	layer int
	// beside lists packages of the same layer that it may import.
	beside []string
	// adapters lists packages below ingest and store that it may import
	// although it belongs to the flow.
	adapters []string
}

// layers lists every package of the module. Whoever adds a package decides
// here where it belongs.
func layers() map[string]entry {
	in := func(layer int, beside ...string) entry { return entry{layer: layer, beside: beside} }
	return map[string]entry{
		"internal/ops":       in(words, "internal/telemetry"),
		"internal/telemetry": in(words),

		"internal/graph":     in(kernels),
		"internal/holiday":   in(kernels), // which days are unlike others
		"internal/stats":     in(kernels),
		"internal/stats/fdr": in(kernels),
		"internal/store":     in(kernels, "internal/graph"), // contracts only

		"internal/capacity":         in(stages),
		"internal/cause":            in(stages),
		"internal/cause/drilldown":  in(stages),
		"internal/detect":           in(stages, "internal/detect/choice", "internal/detect/ladder", "internal/detect/season"),
		"internal/detect/choice":    in(stages),
		"internal/detect/ladder":    in(stages),
		"internal/detect/joint":     in(stages),
		"internal/detect/driver":    in(stages),
		"internal/detect/season":    in(stages),
		"internal/incident":         in(stages),
		"internal/forecast":         in(stages),
		"internal/logmine":          in(stages),
		"internal/logmine/sequence": in(stages),
		"internal/logread":          in(stages),
		"internal/normalize":        in(stages),
		"internal/remedy":           in(stages),
		"internal/notify":           in(stages), // who is told what
		"internal/notify/chart":     in(stages),
		"internal/rules":            in(stages), // the operator's word
		"internal/report":           in(stages), // how operations fare
		"internal/simulate":         in(stages), // what if
		"internal/slo":              in(stages),
		"internal/topology":         in(stages),

		"internal/ingest":              in(adapters), // what receivers share
		"internal/ingest/alertmanager": in(adapters, "internal/ingest"),
		"internal/ingest/elastic":      in(adapters, "internal/ingest"),
		"internal/ingest/file":         in(adapters, "internal/ingest"),
		"internal/ingest/malformed":    in(adapters, "internal/ingest"),
		"internal/ingest/otlp":         in(adapters, "internal/ingest"),
		"internal/ingest/past":         in(adapters, "internal/ingest", "internal/ingest/web"),
		"internal/ingest/remotewrite":  in(adapters, "internal/ingest"),
		"internal/ingest/scrape":       in(adapters, "internal/ingest"),
		"internal/ingest/syslog":       in(adapters, "internal/ingest"),
		"internal/ingest/tools":        in(adapters, "internal/ingest"),
		"internal/ingest/web":          in(adapters, "internal/ingest"),
		"internal/notify/channel":      in(adapters),
		"internal/plugin/wasm":         in(adapters),
		"internal/runner/command":      in(adapters),
		"internal/runner/nft":          in(adapters),
		"internal/runner/webhook":      in(adapters),
		"internal/store/state":         in(adapters),
		"internal/store/storetest":     in(adapters),
		"internal/store/tsdb":          in(adapters),
		"internal/store/vlogs":         in(adapters),
		"web":                          in(adapters), // the built console, embedded

		"internal/api":               in(flow, "internal/backtest", "internal/remediate", "internal/where"),
		"internal/backtest":          in(flow, "internal/pipeline"),
		"internal/pipeline":          in(flow, "internal/where"),
		"internal/notify/outbox":     {layer: flow, adapters: []string{"internal/notify/channel"}},
		"internal/bench/correlate":   in(flow, "internal/pipeline", "internal/replay"),
		"internal/bench/csvdata":     in(flow),
		"internal/bench/detect":      in(flow),
		"internal/bench/drilldown":   in(flow, "internal/bench/csvdata"),
		"internal/bench/events":      in(flow, "internal/bench/csvdata"),
		"internal/bench/falsealarms": in(flow, "internal/demo/model", "internal/demo/plan"),
		"internal/bench/forecast":    in(flow),
		"internal/bench/capacity":    in(flow),
		"internal/bench/ingest":      in(flow, "internal/pipeline"),
		"internal/bench/load":        in(flow),
		"internal/bench/loghub":      in(flow),
		"internal/bench/logparse":    in(flow),
		"internal/bench/logs":        in(flow),
		"internal/bench/logseq":      in(flow),
		"internal/bench/redact":      in(flow),
		"internal/bench/season":      in(flow),
		"internal/bench/seed":        in(flow),
		"internal/bench/nab":         in(flow, "internal/bench/csvdata"),
		"internal/bench/storm":       in(flow),
		"internal/bench/whatif":      in(flow),
		"internal/bench/vector":      in(flow, "internal/bench/csvdata"),
		"internal/where":             in(flow), // tables for a drill-down
		"internal/remediate":         in(flow),
		"internal/replay":            in(flow, "internal/pipeline"),
		"internal/demo":              in(flow, "internal/pipeline", "internal/demo/fault", "internal/demo/model", "internal/demo/plan", "internal/demo/shop"),
		"internal/demo/fault":        in(flow, "internal/demo/plan"),
		"internal/demo/model":        in(flow, "internal/demo/fault", "internal/demo/plan"),
		"internal/demo/plan":         in(flow),
		"internal/demo/shop":         in(flow, "internal/demo/fault", "internal/demo/plan"),

		"internal/config": {layer: frame, adapters: []string{"internal/runner/command"}},
		"internal/cli":    in(frame),

		"internal/app": in(application),
		"cmd/norn":     in(command),
		"test":         in(command), // tools of the test run

		"examples/plugins/ewma": in(command), // stands alone, built for WebAssembly
	}
}

// impure lists imports that are forbidden up to the stages.
func impure() []string {
	return []string{"net", "net/http", "os", "os/exec", "os/signal", "syscall", "database/sql", "math/rand", "log"}
}

// clock lists what a pure package must not call of package time.
func clock() []string {
	return []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}
}

// seeded lists what a pure package may use of math/rand/v2: the rest draws
// from a global source.
func seeded() []string {
	return []string{"Rand", "New", "NewPCG", "PCG", "NewChaCha8", "ChaCha8", "NewZipf", "Zipf", "Source"}
}

// source is one parsed file.
type source struct {
	dir, name string // of the package, of the file, with slashes
	file      *ast.File
	lines     int
}

func (s source) test() bool { return strings.HasSuffix(s.name, "_test.go") }

// skipped reports whether a folder holds nothing of ours to check.
func skipped(dir string) bool {
	switch path.Base(dir) {
	case ".git", "node_modules", "testdata", ".cache", "bin":
		return true
	}
	return dir == "web/dist" || dir == "test/out" || dir == "data"
}

// sources parses every Go file of the module.
func sources(t *testing.T) (*token.FileSet, []source) {
	t.Helper()
	fset := token.NewFileSet()
	var out []source
	err := filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := filepath.ToSlash(p)
		if d.IsDir() {
			if skipped(name) {
				return filepath.SkipDir
			}
			return nil
		}
		if path.Ext(name) != ".go" || path.Dir(name) == "." {
			return nil
		}
		f, err := parser.ParseFile(fset, p, nil, parser.ParseComments)
		if err != nil {
			return fmt.Errorf("parse %s: %w", name, err)
		}
		out = append(out, source{path.Dir(name), name, f, fset.File(f.FileStart).LineCount()})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return fset, out
}

// imports lists what a file imports: the path of the import by the name that
// the file calls it.
func imports(f *ast.File) map[string]string {
	out := map[string]string{}
	for _, spec := range f.Imports {
		p := strings.Trim(spec.Path.Value, `"`)
		name := path.Base(p)
		if name == "v2" {
			name = path.Base(path.Dir(p))
		}
		if spec.Name != nil {
			name = spec.Name.Name
			if name == "_" {
				name = "_" + p
			}
		}
		out[name] = p
	}
	return out
}

func TestEveryPackageHasALayer(t *testing.T) {
	_, all := sources(t)
	table := layers()
	seen := map[string]bool{}
	for _, s := range all {
		if _, ok := table[s.dir]; !ok && !seen[s.dir] {
			t.Errorf("package %s has no layer: give it one in layers()", s.dir)
		}
		seen[s.dir] = true
	}
	for dir := range table {
		if !seen[dir] {
			t.Errorf("layers() names %s, which does not exist: take it out", dir)
		}
	}
}

func TestImportsGoDown(t *testing.T) {
	_, all := sources(t)
	table := layers()
	for _, s := range all {
		from, ok := table[s.dir]
		if !ok || s.test() {
			continue
		}
		for _, p := range imports(s.file) {
			dir, ours := strings.CutPrefix(p, module+"/")
			if !ours || dir == s.dir {
				continue
			}
			if reason := forbidden(from, dir, table); reason != "" {
				t.Errorf("%s imports %s: %s", s.name, dir, reason)
			}
		}
	}
}

// forbidden says why a package with entry from must not import dir; "" when
// it may.
func forbidden(from entry, dir string, table map[string]entry) string {
	to, ok := table[dir]
	switch {
	case !ok:
		return "it has no layer"
	case to.layer > from.layer:
		return "that is upward"
	case to.layer == from.layer && !slices.Contains(from.beside, dir):
		return "packages of one layer do not import each other"
	case to.layer == adapters && (from.layer == flow || from.layer == frame) && strings.Count(dir, "/") > 1 && !slices.Contains(from.adapters, dir):
		return "the flow knows contracts, not adapters"
	}
	return ""
}

func TestStagesArePure(t *testing.T) {
	fset, all := sources(t)
	table := layers()
	for _, s := range all {
		if e, ok := table[s.dir]; !ok || e.layer > stages || s.test() {
			continue
		}
		names := imports(s.file)
		for _, p := range names {
			if slices.Contains(impure(), p) {
				t.Errorf("%s imports %s: packages up to the stages are pure", s.name, p)
			}
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if x, ok := sel.X.(*ast.Ident); ok && impureUse(names[x.Name], sel.Sel.Name) {
				t.Errorf("%s uses %s.%s: time and randomness are arguments", fset.Position(sel.Pos()), x.Name, sel.Sel.Name)
			}
			return true
		})
	}
}

func impureUse(pkg, name string) bool {
	switch pkg {
	case "time":
		return slices.Contains(clock(), name)
	case "math/rand/v2":
		return !slices.Contains(seeded(), name)
	}
	return false
}

func TestEveryPackageSaysWhyItExists(t *testing.T) {
	_, all := sources(t)
	comments := map[string][]string{}
	for _, s := range all {
		if s.test() {
			continue
		}
		texts := comments[s.dir]
		if s.file.Doc != nil {
			texts = append(texts, s.file.Doc.Text())
		}
		comments[s.dir] = texts
	}
	for dir, texts := range comments {
		if len(texts) != 1 {
			t.Errorf("package %s has %d package comments, want one", dir, len(texts))
			continue
		}
		if len(texts[0]) < 120 {
			t.Errorf("the comment of package %s is too short to say why it exists: %q", dir, texts[0])
		}
	}
}
