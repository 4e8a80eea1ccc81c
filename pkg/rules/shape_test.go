package rules

import (
	"fmt"
	"go/ast"
	"maps"
	"slices"
	"strings"
)

const (
	maxFunctionLines = 70  // a screen
	maxFileLines     = 500 // one concept
)

// onePackageComment: a package with its internal tests has one comment, an external test
// package (x_test) at most one.
func onePackageComment(s *source) (violations []string) {
	comments := map[string][]string{}
	for _, f := range s.files {
		name := f.syntax.Name.Name
		key := f.dir
		if strings.HasSuffix(name, "_test") {
			key += " (" + name + ")"
		}
		if f.syntax.Doc == nil {
			comments[key] = append(comments[key], nil...) // the key alone
			continue
		}
		comments[key] = append(comments[key], f.path)
		want := "Package " + name + " "
		if name == "main" {
			want = "Command " + f.dir[strings.LastIndexByte(f.dir, '/')+1:] + " "
		}
		if got := f.syntax.Doc.Text(); !strings.HasPrefix(strings.ReplaceAll(got, "\n", " "), want) {
			violations = append(violations, fmt.Sprintf("%s: a package comment starts with %q; set a blank line between another comment and the package clause", s.at(f.syntax.Doc), want))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(comments)) {
		outer := strings.HasSuffix(key, ")")
		if n := len(comments[key]); n > 1 || n == 0 && !outer {
			violations = append(violations, fmt.Sprintf("%s has %d package comments %v: write exactly one, in doc.go or the main file", key, n, comments[key]))
		}
	}
	return violations
}

// functionsFit counts a test's table as one line: it is data, with nothing to follow.
func functionsFit(s *source) (violations []string) {
	for _, f := range s.files {
		for _, decl := range f.syntax.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			lines := s.lines(fn)
			if f.test() {
				lines -= s.tableLines(fn)
			}
			if lines > maxFunctionLines {
				violations = append(violations, fmt.Sprintf("%s: %s has %d lines, %d at most: keep the branches here and move the work out", s.at(fn), fn.Name, lines, maxFunctionLines))
			}
		}
	}
	return violations
}

func (s *source) lines(n ast.Node) int {
	return s.fset.Position(n.End()).Line - s.fset.Position(n.Pos()).Line + 1
}

// tableLines counts the lines behind the first of each outermost literal of a slice,
// array or map.
func (s *source) tableLines(fn *ast.FuncDecl) (lines int) {
	ast.Inspect(fn, func(n ast.Node) bool {
		lit, ok := n.(*ast.CompositeLit)
		if !ok {
			return true
		}
		switch lit.Type.(type) {
		case *ast.ArrayType, *ast.MapType:
			lines += s.lines(lit) - 1
			return false
		}
		return true
	})
	return lines
}

func filesStayShort(s *source) (violations []string) {
	for _, f := range s.files {
		if !f.test() && f.lines > maxFileLines {
			violations = append(violations, fmt.Sprintf("%s has %d lines, %d at most: split it by concept", f.path, f.lines, maxFileLines))
		}
	}
	return violations
}

func noInit(s *source) (violations []string) {
	for _, f := range s.files {
		for _, decl := range f.syntax.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				violations = append(violations, fmt.Sprintf("%s: init runs for every importer: do it in a constructor or in main", s.at(fn)))
			}
		}
	}
	return violations
}

func environmentHasOneReader(s *source) (violations []string) {
	readers := []string{"pkg/config", "pkg/run", "pkg/cmd", "pkg/local/e2e/trialconsumer", "pkg/local/localtest", "pkg/local/stripe/stripemock"} // they pass it to pkg/config
	calls := []string{"os.Getenv", "os.LookupEnv", "os.Environ", "os.ExpandEnv", "syscall.Getenv", "syscall.Environ"}
	for _, f := range s.files {
		if f.test() || slices.ContainsFunc(readers, func(r string) bool { return within(f.dir, r) }) {
			continue
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			if name := f.selected(n); slices.Contains(calls, name) {
				violations = append(violations, fmt.Sprintf("%s: %s: read it in pkg/config and pass it as an option", s.at(n), name))
			}
			return true
		})
	}
	return violations
}

// noSleepingTests allows sleeps in files that use testing/synctest, whose fake clock does not
// wait. The syntax does not show which of their functions run under it.
func noSleepingTests(s *source) (violations []string) {
	for _, f := range s.files {
		if !f.test() || f.imports["synctest"] != "" {
			continue
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			if f.selected(n) == "time.Sleep" {
				violations = append(violations, fmt.Sprintf("%s: a test sleeps: wait for the event with a deadline, or use testing/synctest", s.at(n)))
			}
			return true
		})
	}
	return violations
}

// linesNameTheirInvocation: a function's logger takes the request's id from the context.
func linesNameTheirInvocation(s *source) (violations []string) {
	for _, f := range s.files {
		if f.test() {
			continue
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			method, ok := call.Fun.(*ast.SelectorExpr)
			if ok && slices.Contains([]string{"Debug", "Info", "Warn", "Error"}, method.Sel.Name) && logs(method.X) {
				violations = append(violations, fmt.Sprintf("%s: %s without a context: write %sContext(ctx, …)", s.at(call), method.Sel.Name, method.Sel.Name))
			}
			return true
		})
	}
	return violations
}

// logs reports whether an expression is named as loggers are.
func logs(x ast.Expr) bool {
	switch x := x.(type) {
	case *ast.Ident:
		return x.Name == "log"
	case *ast.SelectorExpr:
		return x.Sel.Name == "log" || x.Sel.Name == "Logger"
	}
	return false
}
