package lint

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/hypertensor-blockchain/mesh"

// root is the module's folder, two above this one.
const root = "../.."

// file is one parsed Go file of the module.
type file struct {
	path      string // relative to the module's root, with slashes
	pkg       string // import path below the module, "" for the root package
	test      bool
	generated bool
	ast       *ast.File
	fset      *token.FileSet
	src       string
}

func (f file) line(n ast.Node) int { return f.fset.Position(n.Pos()).Line }

// imports lists the module's own packages that f imports, relative to the module.
func (f file) imports() []string {
	var own []string
	for _, spec := range f.ast.Imports {
		path, _ := strconv.Unquote(spec.Path.Value)
		if path == module {
			own = append(own, "")
		} else if rest, ok := strings.CutPrefix(path, module+"/"); ok {
			own = append(own, rest)
		}
	}
	return own
}

func (f file) importsAny(path string) bool {
	for _, spec := range f.ast.Imports {
		if p, _ := strconv.Unquote(spec.Path.Value); p == path {
			return true
		}
	}
	return false
}

// parseAll reads the module; modules nested in it (tools, bench, interop programs with their own go.mod) are not part of it.
func parseAll(t *testing.T) []file {
	t.Helper()
	var files []file
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			name := d.Name()
			if path != root && (strings.HasPrefix(name, ".") || name == "testdata" || name == "node_modules" || name == "bin" || name == "dist") {
				return filepath.SkipDir
			}
			if _, err := os.Stat(filepath.Join(path, "go.mod")); err == nil && path != root {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		fset := token.NewFileSet()
		parsed, err := parser.ParseFile(fset, path, src, parser.ParseComments)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		pkg := ""
		if i := strings.LastIndex(rel, "/"); i >= 0 {
			pkg = rel[:i]
		}
		files = append(files, file{
			path: rel, pkg: pkg, test: strings.HasSuffix(rel, "_test.go"), generated: ast.IsGenerated(parsed),
			ast: parsed, fset: fset, src: string(src),
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 20 {
		t.Fatalf("found %d Go files under %s: the walk is broken", len(files), root)
	}
	return files
}

// public reports whether a package is one that others import.
func public(pkg string) bool {
	for _, private := range []string{"internal", "cmd", "examples", "interop"} {
		if pkg == private || strings.HasPrefix(pkg, private+"/") {
			return false
		}
	}
	return !strings.Contains(pkg, "/internal/")
}
