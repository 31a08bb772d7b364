package norn_test

import (
	"go/ast"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	fileLimit     = 500
	functionLimit = 60
)

// large lists files over fileLimit ("path") and functions over functionLimit
// ("path function"). It may only shrink: an entry that is not needed any more
// fails the test.
func large() []string {
	return []string{}
}

func TestFilesAndFunctionsAreSmall(t *testing.T) {
	fset, all := sources(t)
	found := map[string]int{}
	for _, s := range all {
		if s.test() {
			continue
		}
		if s.lines > fileLimit {
			found[s.name] = s.lines
		}
		for _, d := range s.file.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if n := fset.Position(fn.End()).Line - fset.Position(fn.Pos()).Line + 1; n > functionLimit {
				found[s.name+" "+fn.Name.Name] = n
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		if !slices.Contains(large(), name) {
			t.Errorf("%s has %d lines (files up to %d, functions up to %d): split it", name, found[name], fileLimit, functionLimit)
		}
	}
	for _, name := range large() {
		if found[name] == 0 {
			t.Errorf("%s is small now: take it out of large()", name)
		}
	}
}

func TestNoInitFunctions(t *testing.T) {
	fset, all := sources(t)
	for _, s := range all {
		for _, d := range s.file.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s: init() hides what happens at start; call it from where it is needed", fset.Position(fn.Pos()))
			}
		}
	}
}

// changeable lists package variables ("dir.name") that may change, with the
// reason.
func changeable() map[string]string {
	return map[string]string{
		"cmd/norn.version":                "set by the linker",
		"examples/plugins/ewma.self":      "a WebAssembly host calls exported functions, which have no receiver",
		"internal/store/vlogs.libraryLog": "VictoriaLogs logs through process-wide settings, which can be made once",
	}
}

func TestNoPackageStateChanges(t *testing.T) {
	fset, all := sources(t)
	excused := map[string]bool{}
	byDir := map[string][]source{}
	for _, s := range all {
		if !s.test() {
			byDir[s.dir] = append(byDir[s.dir], s)
		}
	}
	for dir, files := range byDir {
		vars := packageVars(files)
		for name, spec := range vars {
			if why := mutableKind(spec); why != "" {
				if _, ok := changeable()[dir+"."+name]; ok {
					excused[dir+"."+name] = true
					continue
				}
				t.Errorf("%s: package variable %s is %s: state belongs into a value that someone owns", fset.Position(spec.Pos()), name, why)
			}
		}
		for name, pos := range assigned(files, vars) {
			if _, ok := changeable()[dir+"."+name]; ok {
				excused[dir+"."+name] = true
				continue
			}
			t.Errorf("%s: package variable %s is changed: state belongs into a value that someone owns", fset.Position(pos), name)
		}
	}
	for name, why := range changeable() {
		dir, v, _ := strings.Cut(name, ".")
		if _, ok := packageVars(byDir[dir])[v]; !ok && !excused[name] {
			t.Errorf("changeable() names %s (%s), which does not exist: take it out", name, why)
		}
	}
}

// packageVars returns the variables at package level that have a name.
func packageVars(files []source) map[string]*ast.ValueSpec {
	out := map[string]*ast.ValueSpec{}
	for _, s := range files {
		for _, d := range s.file.Decls {
			gen, ok := d.(*ast.GenDecl)
			if !ok || gen.Tok != token.VAR {
				continue
			}
			for _, sp := range gen.Specs {
				spec := sp.(*ast.ValueSpec)
				for _, n := range spec.Names {
					if n.Name != "_" {
						out[n.Name] = spec
					}
				}
			}
		}
	}
	return out
}

// mutableKind says what makes a variable changeable by its type or first
// value; "" when nothing does.
func mutableKind(spec *ast.ValueSpec) string {
	if name := packageOf(spec.Type); name == "sync" || name == "atomic" {
		return "a " + name + " value"
	}
	if _, ok := spec.Type.(*ast.ChanType); ok {
		return "a channel"
	}
	for _, v := range spec.Values {
		switch v := v.(type) {
		case *ast.UnaryExpr:
			if v.Op == token.AND {
				return "a pointer"
			}
		case *ast.CompositeLit:
			if name := packageOf(v.Type); name == "sync" || name == "atomic" {
				return "a " + name + " value"
			}
		case *ast.CallExpr:
			if fn, ok := v.Fun.(*ast.Ident); ok && (fn.Name == "make" || fn.Name == "new") {
				return "made to be filled"
			}
		}
	}
	return ""
}

// packageOf returns the package of a qualified type, generic or not.
func packageOf(e ast.Expr) string {
	if ix, ok := e.(*ast.IndexExpr); ok {
		e = ix.X
	}
	if sel, ok := e.(*ast.SelectorExpr); ok {
		if x, ok := sel.X.(*ast.Ident); ok {
			return x.Name
		}
	}
	return ""
}

// assigned returns which of the variables some function assigns to, changes in
// part or takes the address of.
func assigned(files []source, vars map[string]*ast.ValueSpec) map[string]token.Pos {
	out := map[string]token.Pos{}
	for _, s := range files {
		note := func(e ast.Expr) {
			id := root(e)
			if id == nil || vars[id.Name] == nil {
				return
			}
			// A name that the parser resolved to something else than the
			// package variable is a local one of the same name.
			if id.Obj != nil && id.Obj.Decl != vars[id.Name] {
				return
			}
			out[id.Name] = id.Pos()
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.AssignStmt:
				if n.Tok != token.DEFINE {
					for _, l := range n.Lhs {
						note(l)
					}
				}
			case *ast.RangeStmt:
				if n.Tok == token.ASSIGN {
					note(n.Key)
					note(n.Value)
				}
			case *ast.IncDecStmt:
				note(n.X)
			case *ast.UnaryExpr:
				if n.Op == token.AND {
					note(n.X)
				}
			case *ast.CallExpr:
				if fn, ok := n.Fun.(*ast.Ident); ok && (fn.Name == "delete" || fn.Name == "clear") && len(n.Args) > 0 {
					note(n.Args[0])
				}
			}
			return true
		})
	}
	return out
}

// root returns the variable in x, x.f, x[i], *x and (x).
func root(e ast.Expr) *ast.Ident {
	for {
		switch v := e.(type) {
		case *ast.Ident:
			return v
		case *ast.SelectorExpr:
			e = v.X
		case *ast.IndexExpr:
			e = v.X
		case *ast.StarExpr:
			e = v.X
		case *ast.ParenExpr:
			e = v.X
		default:
			return nil
		}
	}
}

// foreign lists texts that belong to the place where someone works and not to
// the project: its folders, and the hosts of package registries (a lock file
// names versions and hashes; where to fetch them is the user's setting). They
// are written in two parts so that this file does not hold them.
func foreign() []string {
	return []string{
		"/wo" + "rk/", "/tmp" + "/norn", "proxy." + "golang.org", "sum." + "golang.org", "registry." + "npmjs.org",
		"registry." + "yarnpkg.com", "files." + "pythonhosted.org",
	}
}

func TestFilesSayNothingOfAWorkplace(t *testing.T) {
	texts := []string{
		".go", ".md", ".yml", ".yaml", ".json", ".ts", ".tsx", ".js", ".mjs", ".css", ".html", ".sh", ".sql", ".mod", ".txt", ".conf", "", ".toml", ".awk",
	}
	err := filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := filepath.ToSlash(p)
		if d.IsDir() {
			if skipped(name) && path.Base(name) != "testdata" {
				return filepath.SkipDir
			}
			return nil
		}
		if info, err := d.Info(); err != nil || !info.Mode().IsRegular() || info.Size() > 4<<20 || !slices.Contains(texts, path.Ext(name)) {
			return nil //nolint:nilerr // a file that went away is not ours to judge
		}
		data, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		for _, f := range foreign() {
			if i := strings.Index(string(data), f); i >= 0 {
				t.Errorf("%s:%d names %q, which is no part of the project", name, 1+strings.Count(string(data[:i]), "\n"), f)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
