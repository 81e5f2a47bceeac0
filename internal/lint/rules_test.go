package lint

import (
	"go/ast"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestPackageDocs(t *testing.T) {
	docs := map[string]int{}
	for _, f := range parseAll(t) {
		if f.test || f.generated || strings.HasSuffix(f.ast.Name.Name, "_test") {
			continue
		}
		if _, ok := docs[f.pkg]; !ok {
			docs[f.pkg] = 0
		}
		if f.ast.Doc != nil {
			if n := strings.Count(strings.TrimSpace(f.ast.Doc.Text()), "\n") + 1; n > docs[f.pkg] {
				docs[f.pkg] = n
			}
		}
	}
	for pkg, n := range docs {
		if !public(pkg) && n >= 1 {
			continue // a program or a private package needs a sentence
		}
		if n < 5 || n > 60 {
			t.Errorf("package %q has %d lines of package documentation, want 5 to 60", pkg, n)
		}
	}
}

func TestNoBagPackages(t *testing.T) {
	bag := regexp.MustCompile(`^(utils?|common|base|helpers?|types|shared|misc)$`)
	for _, f := range parseAll(t) {
		if bag.MatchString(f.ast.Name.Name) {
			t.Errorf("%s: package %s says nothing of what it holds", f.path, f.ast.Name.Name)
		}
	}
}

func TestNoInitFunctions(t *testing.T) {
	for _, f := range parseAll(t) {
		if f.generated {
			continue
		}
		for _, d := range f.ast.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s:%d: init hides an effect in an import", f.path, f.line(fn))
			}
		}
	}
}

// pure packages take the time as an argument and start nothing.
var pure = []string{"kad", "record", "heartbeat", "chain/u128", "chain/scale", "chain/metadata", "tensor"}

func TestPurePackagesReadNoClock(t *testing.T) {
	clock := map[string]bool{"Now": true, "Sleep": true, "After": true, "AfterFunc": true, "NewTimer": true, "NewTicker": true, "Tick": true, "Since": true, "Until": true}
	for _, f := range parseAll(t) {
		isPure := false
		for _, p := range pure {
			isPure = isPure || within(f.pkg, p)
		}
		if !isPure || f.test {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				t.Errorf("%s:%d: a pure package starts a goroutine", f.path, f.line(n))
			case *ast.SelectorExpr:
				if id, ok := n.X.(*ast.Ident); ok && id.Name == "time" && clock[n.Sel.Name] && f.importsAny("time") {
					t.Errorf("%s:%d: a pure package reads the clock (time.%s)", f.path, f.line(n), n.Sel.Name)
				}
			}
			return true
		})
	}
}

func TestTestsDoNotSleep(t *testing.T) {
	for _, f := range parseAll(t) {
		if !f.test || f.importsAny("testing/synctest") { // in a bubble time is virtual
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok {
				if id, ok := sel.X.(*ast.Ident); ok && id.Name == "time" && sel.Sel.Name == "Sleep" {
					t.Errorf("%s:%d: wait for an event or use testing/synctest", f.path, f.line(sel))
				}
			}
			return true
		})
	}
}

func TestPublicPackagesHaveExamples(t *testing.T) {
	has := map[string]bool{}
	for _, f := range parseAll(t) {
		if !public(f.pkg) || f.generated {
			continue
		}
		if _, ok := has[f.pkg]; !ok {
			has[f.pkg] = false
		}
		for _, d := range f.ast.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && f.test && strings.HasPrefix(fn.Name.Name, "Example") {
				has[f.pkg] = true
			}
		}
	}
	for pkg, ok := range has {
		if !ok {
			t.Errorf("package %q has no Example function", pkg)
		}
	}
}

// TestDecodersAreFuzzed wants a fuzz target in each package that reads bytes of strangers.
func TestDecodersAreFuzzed(t *testing.T) {
	decoders := []string{
		"chain", "chain/scale", "chain/metadata", "chain/substrate", "chain/devchain", "chain/devchain/native", "identity", "rpc", "auth", "record", "record/msgpack", "heartbeat", "dht",
	}
	has := map[string]bool{}
	for _, f := range parseAll(t) {
		for _, d := range f.ast.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && f.test && strings.HasPrefix(fn.Name.Name, "Fuzz") {
				has[f.pkg] = true
			}
		}
	}
	for _, pkg := range decoders {
		if !has[pkg] {
			t.Errorf("package %q decodes foreign bytes and has no Fuzz target", pkg)
		}
	}
}

func TestNoMutablePackageVariables(t *testing.T) {
	allowed := regexp.MustCompile(`^(err|Err|_|version$)`) // sentinels, interface assertions, the linker's version string
	for _, f := range parseAll(t) {
		if f.test || f.generated {
			continue
		}
		for _, d := range f.ast.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.VAR {
				continue
			}
			for _, s := range g.Specs {
				v := s.(*ast.ValueSpec)
				for _, name := range v.Names {
					if !allowed.MatchString(name.Name) && name.IsExported() {
						t.Errorf("%s:%d: exported variable %s can be changed by anybody: make it a function or a constant", f.path, f.line(name), name.Name)
					}
				}
			}
		}
	}
}

func TestGoModPinsReleases(t *testing.T) {
	src, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	direct, _, _ := strings.Cut(string(src), "// indirect")
	if strings.Contains(direct, "replace ") {
		t.Error("go.mod has a replace directive: importers would not see it")
	}
	deps, err := os.ReadFile(filepath.Join(root, "DEPENDENCIES.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^\t(\S+) (v\S+)$`).FindAllStringSubmatch(string(src), -1) {
		if !strings.Contains(string(deps), m[1]) {
			t.Errorf("%s has no line in DEPENDENCIES.md", m[1])
		}
	}
}

// TestStandsAlone refuses paths of a developer's machine in anything that is committed.
func TestStandsAlone(t *testing.T) {
	foreign := regexp.MustCompile(`\.\./shared|/work/(main|shared)|/root/`)
	for _, f := range parseAll(t) {
		if f.pkg == "internal/lint" {
			continue
		}
		if at := foreign.FindString(f.src); at != "" {
			t.Errorf("%s names %s, which no user has", f.path, at)
		}
	}
	for _, doc := range []string{"README.md", "DESIGN.md", "CONTRIBUTING.md", "SECURITY.md", "DEPENDENCIES.md", "Makefile", ".ci/run"} {
		src, err := os.ReadFile(filepath.Join(root, doc))
		if err != nil {
			t.Error(err)
			continue
		}
		if at := foreign.FindString(string(src)); at != "" {
			t.Errorf("%s names %s, which no user has", doc, at)
		}
	}
}
