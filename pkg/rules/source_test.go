package rules

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// source is the parsed repository; paths are relative to its root.
type source struct {
	module string
	fset   *token.FileSet
	top    []string // names in the root folder
	texts  []text
	files  []file // the Go files among texts
}

type text struct {
	path string
	data string
}

type file struct {
	path    string
	dir     string
	lines   int
	syntax  *ast.File
	imports map[string]string // name in this file → import path
}

func (f file) test() bool { return strings.HasSuffix(f.path, "_test.go") }

// notSource are folders of outputs.
func notSource() []string {
	return []string{".build", ".tollgate", "dist", "cdk.out", "node_modules"}
}

// newSource returns an empty source of the module in go.mod.
func newSource() (*source, error) {
	raw, err := os.ReadFile("../../go.mod")
	first, _, _ := strings.Cut(string(raw), "\n")
	return &source{module: strings.TrimPrefix(first, "module "), fset: token.NewFileSet()}, err
}

func load(root string) (*source, error) {
	src, err := newSource()
	if err != nil {
		return nil, err
	}
	err = filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if os.IsNotExist(err) { // a test removed its temporary file meanwhile
			return nil
		}
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		switch {
		case rel == ".git": // a folder, or a file in a linked work tree
			if entry.IsDir() {
				return filepath.SkipDir
			}
			return nil
		case entry.IsDir() && slices.Contains(notSource(), entry.Name()):
			return filepath.SkipDir
		case !entry.Type().IsRegular() || entry.Name() == ".git": // a file in a linked work tree
			return nil
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		return src.add(filepath.ToSlash(rel), data)
	})
	return src, err
}

// add parses a file: as a text unless it is binary, and as Go.
func (s *source) add(name string, data []byte) error {
	if top, _, _ := strings.Cut(name, "/"); !slices.Contains(s.top, top) {
		s.top = append(s.top, top)
	}
	if bytes.IndexByte(data, 0) >= 0 {
		return nil
	}
	s.texts = append(s.texts, text{name, string(data)})
	// Rules do not apply to a package's testdata.
	if path.Ext(name) != ".go" || strings.Contains(name, "/testdata/") {
		return nil
	}
	syntax, err := parser.ParseFile(s.fset, name, data, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return fmt.Errorf("parse %s: %w", name, err)
	}
	f := file{name, path.Dir(name), bytes.Count(data, []byte("\n")), syntax, map[string]string{}}
	for _, spec := range syntax.Imports {
		target, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return fmt.Errorf("parse %s: %w", name, err)
		}
		local := path.Base(target)
		if spec.Name != nil {
			local = spec.Name.Name
		}
		f.imports[local] = target
	}
	s.files = append(s.files, f)
	return nil
}

// at returns a node's place in the form of a compiler.
func (s *source) at(n ast.Node) string {
	p := s.fset.Position(n.Pos())
	return fmt.Sprintf("%s:%d", p.Filename, p.Line)
}

// selected returns "importpath.Name" for a selector of an imported package, or "".
func (f file) selected(n ast.Node) string {
	sel, ok := n.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	pkg, ok := sel.X.(*ast.Ident)
	if !ok || f.imports[pkg.Name] == "" {
		return ""
	}
	return f.imports[pkg.Name] + "." + sel.Sel.Name
}
