package rules

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// maxReadme is how many bytes README.md may have: one can read it in five minutes.
const maxReadme = 10 << 10

// TestDocuments checks what can be checked of every .md file.
func TestDocuments(t *testing.T) {
	src, err := load("../..")
	if err != nil {
		t.Fatal(err)
	}
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	docs := documents(src)
	if len(docs) < 6 || docs["README.md"] == "" {
		t.Fatalf("found only %d documents", len(docs))
	}
	if n := len(docs["README.md"]); n > maxReadme {
		t.Errorf("README.md has %d bytes, at most %d: move what is not for everyone to the README of its folder", n, maxReadme)
	}
	for _, dir := range packageFolders(src) {
		if !strings.Contains(docs["README.md"], "`"+dir+"`") {
			t.Errorf("README.md: its map lacks %s", dir)
		}
	}
	targets := targetsOf(string(makefile))
	for name, text := range docs {
		for _, fault := range append(brokenLinks(docs, name, exists("../..")), unknownTargets(targets, text)...) {
			t.Errorf("%s: %s", name, fault)
		}
	}
}

func TestDocumentRulesFind(t *testing.T) {
	docs := map[string]string{
		"README.md":     "# A `b`, c\n[a](#a-b-c) [b](pkg/README.md#x) [c](#d) [d](pkg/none) [e](https://example.com/none)\n\n    [f](code)\n",
		"pkg/README.md": "[a](../README.md#a-b-c) [b](../README.md#a)\n",
	}
	there := func(name string) bool { return name == "pkg" || docs[name] != "" }
	tests := []struct{ got, want []string }{
		{brokenLinks(docs, "README.md", there), []string{"link pkg/README.md#x: no such heading", "link #d: no such heading", "link pkg/none: no such file"}},
		{brokenLinks(docs, "pkg/README.md", there), []string{"link ../README.md#a: no such heading"}},
		{unknownTargets(map[string]bool{"test": true, "dev": true}, "make none\n`make a-b` and `make test dev ARGS=x`\n\n    make dev other # make it\n"), []string{"make a-b: no such target", "make other: no such target"}},
	}
	for i, tt := range tests {
		if strings.Join(tt.got, "\n") != strings.Join(tt.want, "\n") {
			t.Errorf("%d: found %q, want %q", i, tt.got, tt.want)
		}
	}
}

func documents(s *source) map[string]string {
	docs := map[string]string{}
	for _, t := range s.texts {
		if path.Ext(t.path) == ".md" {
			docs[t.path] = t.data
		}
	}
	return docs
}

// packageFolders are the folders in pkg.
func packageFolders(s *source) (dirs []string) {
	for _, f := range s.files {
		parts := strings.Split(f.dir, "/")
		if parts[0] != "pkg" || len(parts) < 2 || parts[1] == "cmd" {
			continue
		}
		if dir := parts[0] + "/" + parts[1]; !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

func exists(root string) func(string) bool {
	return func(name string) bool {
		_, err := os.Stat(filepath.Join(root, filepath.FromSlash(name)))
		return err == nil
	}
}

// brokenLinks returns the relative links of a document that lead nowhere.
func brokenLinks(docs map[string]string, name string, there func(string) bool) (faults []string) {
	_, prose := split(docs[name])
	for _, m := range regexp.MustCompile(`\]\(([^)\s]+)\)`).FindAllStringSubmatch(prose, -1) {
		if strings.Contains(m[1], "://") {
			continue
		}
		target, anchor, _ := strings.Cut(m[1], "#")
		file := name
		if target != "" {
			file = path.Join(path.Dir(name), target)
		}
		switch {
		case !there(file):
			faults = append(faults, "link "+m[1]+": no such file")
		case anchor != "" && !anchors(docs[file])[anchor]:
			faults = append(faults, "link "+m[1]+": no such heading")
		}
	}
	return faults
}

// anchors are the names that GitHub gives a document's headings.
func anchors(text string) map[string]bool {
	names := map[string]bool{}
	_, prose := split(text)
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(prose, -1) {
		name := regexp.MustCompile(`[^\p{L}\p{N}_ -]`).ReplaceAllString(strings.ToLower(m[1]), "")
		names[strings.ReplaceAll(name, " ", "-")] = true
	}
	return names
}

// unknownTargets returns the targets that a document's code gives make and that it lacks.
func unknownTargets(targets map[string]bool, text string) (faults []string) {
	code, _ := split(text)
	for line := range strings.SplitSeq(code, "\n") {
		line, _, _ = strings.Cut(line, " #")
		m := regexp.MustCompile(`(?:^|\s)make((?: +[a-z][a-z0-9-]*)+)`).FindStringSubmatch(line)
		if m == nil {
			continue
		}
		for _, target := range strings.Fields(m[1]) {
			if !targets[target] {
				faults = append(faults, fmt.Sprintf("make %s: no such target", target))
			}
		}
	}
	return faults
}

func targetsOf(makefile string) map[string]bool {
	targets := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^([a-z][a-z0-9-]*):`).FindAllStringSubmatch(makefile, -1) {
		targets[m[1]] = true
	}
	return targets
}

// split returns a document's code (indented and fenced blocks, and spans, one a line) and the
// rest. A line that is indented by four and more is code: prose in lists is indented by less.
func split(text string) (code, prose string) {
	var c, p strings.Builder
	fenced := false
	for line := range strings.SplitSeq(text, "\n") {
		fence := strings.HasPrefix(strings.TrimSpace(line), "```")
		switch {
		case fence:
			fenced = !fenced
		case fenced, strings.HasPrefix(line, "    "):
			fmt.Fprintln(&c, line)
		default:
			for i, part := range strings.Split(line, "`") {
				if i%2 == 1 {
					fmt.Fprintln(&c, part)
				}
			}
			fmt.Fprintln(&p, line)
		}
	}
	return c.String(), p.String()
}
