package rules

import (
	"fmt"
	"go/ast"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strings"
)

// noUnfinishedWork reads the comments of Go files, and other texts except data.
func noUnfinishedWork(s *source) (violations []string) {
	word := regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X|HA` + `CK)\b`)
	say := func(where, found string) {
		violations = append(violations, fmt.Sprintf("%s: %q: finish it, or describe the state and its reason", where, found))
	}
	for _, f := range s.files {
		for _, group := range f.syntax.Comments {
			for _, c := range group.List {
				if found := word.FindString(c.Text); found != "" {
					say(s.at(c), found)
				}
			}
		}
	}
	for _, t := range s.texts {
		if path.Ext(t.path) == ".go" || path.Base(t.path) == "go.sum" || strings.HasPrefix(t.path, "testdata/") {
			continue
		}
		for i, line := range strings.Split(t.data, "\n") {
			if found := word.FindString(line); found != "" {
				say(fmt.Sprintf("%s:%d", t.path, i+1), found)
			}
		}
	}
	return violations
}

// fieldTerms are phrases of a private idiom, each with the term that readers know.
func fieldTerms() map[string]string {
	return map[string]string{
		"for " + "ever": "indefinitely", "stand" + "-in": "fake Stripe, or what it is", "of one's" + " own": "your own",
		"were" + " it": "even if it is", "dri" + "lls?": "scenario or test",
		"zom" + "bies?": "paused worker or attempt", "no" + "body": "no operator, no caller",
		"reviv" + "ed?": "requeued", "(says?|said)" + " so": "reports it", "(is|are|was|were)" + " told": "gets", "besi" + "de": "with, or next to",
		"by" + " itself": "alone, separately", "(give|gives|given|gave|giving)" + " up": "exhaust retries, or purge", "(become|becomes|became|comes|came)" + " of": "the outcome of",
	}
}

// plainWords reads the comments and texts of Go files, and documents.
func plainWords(s *source) (violations []string) {
	terms := map[*regexp.Regexp]string{}
	for phrase, term := range fieldTerms() {
		terms[regexp.MustCompile(`(?i)\b`+phrase+`\b`)] = term
	}
	find := func(where, text string) {
		for phrase, term := range terms {
			if found := phrase.FindString(text); found != "" {
				violations = append(violations, fmt.Sprintf("%s: %q: write %q", where, found, term))
			}
		}
	}
	for _, f := range s.files {
		for _, group := range f.syntax.Comments {
			for _, c := range group.List {
				find(s.at(c), c.Text)
			}
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				find(s.at(lit), lit.Value)
			}
			return true
		})
	}
	for _, t := range s.texts {
		if path.Ext(t.path) == ".md" {
			for i, line := range strings.Split(t.data, "\n") {
				find(fmt.Sprintf("%s:%d", t.path, i+1), line)
			}
		}
	}
	return violations
}

// noMachinePaths finds paths that exist on one machine only.
func noMachinePaths(s *source) (violations []string) {
	// Not inside a longer path or a URL.
	local := regexp.MustCompile(`(?:^|[^A-Za-z0-9_./~-])(?:/(?:home|root|Users|work|mnt|private)/|[A-Z]:\\Users\\)`)
	for _, t := range s.texts {
		if path.Base(t.path) == "go.sum" {
			continue
		}
		for i, line := range strings.Split(t.data, "\n") {
			if !strings.ContainsAny(line, `/\`) {
				continue
			}
			if found := local.FindString(line); found != "" {
				violations = append(violations, fmt.Sprintf("%s:%d: %q is a path of one machine: make it relative, or take it from t.TempDir or an option", t.path, i+1, found))
			}
		}
	}
	return violations
}

// noPipeThatCloses reads scripts: under pipefail, a reader that stops early makes its writer
// fail with SIGPIPE (exit 141), and the script fails at random.
func noPipeThatCloses(s *source) (violations []string) {
	early := regexp.MustCompile(`\|\s*(head\b|grep\s+(-\w+\s+)*(-\w*[qm]|--quiet|--silent|--max-count)|sed\b[^|;]*\dq\b|awk\b[^|]*\bexit\b)`)
	for _, t := range s.texts {
		if path.Base(t.path) != "Makefile" && path.Ext(t.path) != ".sh" && !strings.HasPrefix(t.path, ".ci/") {
			continue
		}
		for i, line := range strings.Split(t.data, "\n") {
			if found := early.FindString(line); found != "" {
				violations = append(violations, fmt.Sprintf("%s:%d: %q stops reading early, so its writer fails: use sed -n 1p, grep >/dev/null, or a file", t.path, i+1, found))
			}
		}
	}
	return violations
}

func topLevelIsKnown(s *source) (violations []string) {
	const export = "dlq-purge-*.jsonl" // of the verb dlq purge; .gitignore names it
	known := []string{
		"functions", "infra", "pkg", "testdata", "go.mod", "go.sum", "Makefile", "cdk.json", "README.md", "LICENSE",
	}
	for _, name := range s.top {
		exported, _ := path.Match(export, name) // the pattern is good
		if !slices.Contains(known, name) && !strings.HasPrefix(name, ".") && !exported {
			violations = append(violations, fmt.Sprintf("%s is at the top level: move it under functions, infra, pkg or testdata; outputs go to .build", name))
		}
	}
	return violations
}
