package rules

import (
	"fmt"
	"go/ast"
	"go/token"
	"slices"
	"strings"
)

// constructors return immutable values.
func constructors() []string {
	return []string{"errors.New", "regexp.MustCompile", "sync.OnceValue", "strings.NewReplacer", "net/netip.MustParsePrefix", "net/netip.MustParseAddr"}
}

// allowedState are exceptions: "folder.name" → reason.
func allowedState() map[string]string {
	return map[string]string{
		"pkg/cmd/tollgate.version": "the linker can write to a variable only; nothing else does",
	}
}

// noMutableState allows immutable package variables: sentinels, compiled patterns, embedded
// files, interface assertions, and unexported tables that their package does not write to.
func noMutableState(s *source) (violations []string) {
	written := writtenNames(s)
	for _, f := range s.files {
		if f.test() {
			continue
		}
		for _, decl := range f.syntax.Decls {
			gen, ok := decl.(*ast.GenDecl)
			if !ok || gen.Tok != token.VAR {
				continue
			}
			for _, spec := range gen.Specs {
				v := spec.(*ast.ValueSpec)
				if embedded(gen.Doc) || embedded(v.Doc) || f.fixed(v) {
					continue
				}
				for _, name := range v.Names {
					key := f.dir + "." + name.Name
					if name.Name == "_" || allowedState()[key] != "" || table(v) && !name.IsExported() && !written[key] {
						continue
					}
					violations = append(violations, fmt.Sprintf("%s: %s is package state: move it to a struct with a constructor, or add it with a reason in allowedState of pkg/rules/state_test.go", s.at(name), name.Name))
				}
			}
		}
	}
	return violations
}

func embedded(doc *ast.CommentGroup) bool {
	return doc != nil && slices.ContainsFunc(doc.List, func(c *ast.Comment) bool { return strings.HasPrefix(c.Text, "//go:embed ") })
}

// fixed reports whether all values come from a constructor of immutable values.
func (f file) fixed(v *ast.ValueSpec) bool {
	for _, value := range v.Values {
		call, ok := value.(*ast.CallExpr)
		if !ok || !slices.Contains(constructors(), f.selected(call.Fun)) {
			return false
		}
	}
	return len(v.Values) > 0
}

// table reports whether all values are literals of a slice, array or map, or []byte("…").
func table(v *ast.ValueSpec) bool {
	for _, value := range v.Values {
		var typ ast.Expr
		switch value := value.(type) {
		case *ast.CompositeLit:
			typ = value.Type
		case *ast.CallExpr:
			typ = value.Fun
		}
		switch typ.(type) {
		case *ast.ArrayType, *ast.MapType:
		default:
			return false
		}
	}
	return len(v.Values) > 0
}

// writtenNames are the names, as "folder.name", that code of a folder assigns to, takes the
// address of, deletes from or passes to a function that changes its argument.
func writtenNames(s *source) map[string]bool {
	written := map[string]bool{}
	for _, f := range s.files {
		mark := func(e ast.Expr) {
			if name := root(e); name != "" {
				written[f.dir+"."+name] = true
			}
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.AssignStmt:
				if n.Tok != token.DEFINE {
					for _, e := range n.Lhs {
						mark(e)
					}
				}
			case *ast.IncDecStmt:
				mark(n.X)
			case *ast.UnaryExpr:
				if n.Op == token.AND {
					mark(n.X)
				}
			case *ast.CallExpr:
				if f.changesArgument(n.Fun) && len(n.Args) > 0 {
					mark(n.Args[0])
				}
			}
			return true
		})
	}
	return written
}

func (f file) changesArgument(fun ast.Expr) bool {
	if id, ok := fun.(*ast.Ident); ok {
		return slices.Contains([]string{"delete", "clear", "copy", "append"}, id.Name)
	}
	name := f.selected(fun)
	return strings.HasPrefix(name, "sort.") || strings.HasPrefix(name, "slices.Sort") || name == "slices.Reverse"
}

// root returns the variable of an expression such as a[b].c, "" without one.
func root(e ast.Expr) string {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x.Name
		case *ast.IndexExpr:
			e = x.X
		case *ast.SelectorExpr:
			e = x.X
		case *ast.SliceExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		default:
			return ""
		}
	}
}
