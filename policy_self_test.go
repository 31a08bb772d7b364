package norn_test

import (
	"go/parser"
	"go/token"
	"testing"
)

// The policy itself is tested: each rule must catch what it is there for.

func TestThePolicyCatchesWrongImports(t *testing.T) {
	table := layers()
	for _, tc := range []struct {
		from, to string
		want     bool // forbidden
	}{
		{"internal/detect", "internal/stats", false},
		{"internal/detect", "internal/cause", true},
		{"internal/stats", "internal/detect", true},
		{"internal/detect", "internal/nowhere", true},
		{"internal/ingest/otlp", "internal/ingest", false},
		{"internal/ingest/otlp", "internal/ingest/remotewrite", true},
		{"internal/pipeline", "internal/ingest", false},
		{"internal/pipeline", "internal/store/tsdb", true},
		{"internal/replay", "internal/pipeline", false},
		{"internal/pipeline", "internal/replay", true},
		{"internal/app", "internal/store/tsdb", false},
		{"internal/api", "web", false},
		{"cmd/norn", "internal/app", false},
	} {
		if got := forbidden(table[tc.from], tc.to, table); (got != "") != tc.want {
			t.Errorf("%s imports %s: %q", tc.from, tc.to, got)
		}
	}
	for _, tc := range []struct {
		pkg, name string
		want      bool
	}{
		{"time", "Now", true}, {"time", "Duration", false}, {"math/rand/v2", "IntN", true}, {"math/rand/v2", "New", false}, {"strings", "Now", false},
	} {
		if got := impureUse(tc.pkg, tc.name); got != tc.want {
			t.Errorf("use of %s.%s: %v", tc.pkg, tc.name, got)
		}
	}
}

func TestThePolicyCatchesPackageState(t *testing.T) {
	for code, want := range map[string]bool{
		`var a = 1`:                                                        false,
		`var a = errors.New("x")`:                                          false,
		`var a = map[string]int{"x": 1}`:                                   false,
		`var a = [3]int{1}; func f() int { return a[0] }`:                  false,
		`var a = 1; func f() { a := 2; a = 3; _ = a }`:                     false,
		`var a int; type t struct{ a int }; func f(x *t) { x.a = 1 }`:      false,
		`var a = 1; func f() { a = 2 }`:                                    true,
		`var a = 1; func f() { a++ }`:                                      true,
		`var a = 1; func f() *int { return &a }`:                           true,
		`var a = map[string]int{}; func f() { a["x"] = 1 }`:                true,
		`var a = map[string]int{}; func f() { delete(a, "x") }`:            true,
		`var a struct{ b int }; func f() { a.b = 1 }`:                      true,
		`var a sync.Mutex`:                                                 true,
		`var a = sync.Pool{}`:                                              true,
		`var a atomic.Pointer[int]`:                                        true,
		`var a = &struct{}{}`:                                              true,
		`var a = make(chan int)`:                                           true,
		`var a chan int`:                                                   true,
		`var a = func() int { return 1 }()`:                                false,
		`var a, b = 1, 2; func f() { b = 1 }`:                              true,
		`var a [2]int; func f() { for i := range 2 { (a)[i] = i } }`:       true,
		`var a = 1; func f() { for a = range 3 { _ = a } }`:                true,
		`var a = 1; func f(a int) { a = 2; _ = a }`:                        false,
		`const a = 1; func f() { var b int; b = 2; _ = b }`:                false,
		`var _ = 1; var a = regexp.MustCompile("x"); func f() { _ = a.x }`: false,
	} {
		f, err := parser.ParseFile(token.NewFileSet(), "x.go", "package x; "+code, 0)
		if err != nil {
			t.Fatal(err)
		}
		files := []source{{file: f}}
		vars := packageVars(files)
		got := len(assigned(files, vars)) > 0
		for _, spec := range vars {
			got = got || mutableKind(spec) != ""
		}
		if got != want {
			t.Errorf("%s: caught %v, want %v", code, got, want)
		}
	}
}

func TestThePolicyKnowsImportNames(t *testing.T) {
	f, err := parser.ParseFile(token.NewFileSet(), "x.go", `package x; import ( "math/rand/v2"; clock "time"; _ "embed" )`, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	got := imports(f)
	if got["rand"] != "math/rand/v2" || got["clock"] != "time" || got["_embed"] != "embed" || len(got) != len(f.Imports) {
		t.Errorf("imports %v", got)
	}
}
