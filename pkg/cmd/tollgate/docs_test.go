package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// TestDocumentsNameVerbsAndFlags looks up every verb and flag that a document names.
func TestDocumentsNameVerbsAndFlags(t *testing.T) {
	parser, err := kong.New(&cli{}, kong.Vars{"version": ""})
	if err != nil {
		t.Fatal(err)
	}
	root := os.DirFS(filepath.Join("..", "..", ".."))
	uses := 0
	err = fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && name != "." && (strings.HasPrefix(entry.Name(), ".") && name != ".github" || entry.Name() == "node_modules"):
			return fs.SkipDir
		case filepath.Ext(name) != ".md":
			return nil
		}
		text, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		for _, use := range usesOf(string(text)) {
			uses++
			for _, fault := range faultsOf(parser.Model.Node, use) {
				t.Errorf("%s: tollgate %s: %s", name, use, fault)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if uses < 50 {
		t.Errorf("found the command only %d times", uses)
	}
}

// usesOf returns what follows the command's name in code: to the end of its line or span.
func usesOf(text string) (uses []string) {
	use := regexp.MustCompile("(?m)(?:^|[ `(]|host/)tollgate ((?:[a-z-]|\\\\\n)[^`\n#|);]*(?:\\\\\n[^`\n#|);]*)*)")
	code := regexp.MustCompile("(?m)^ {4}.*$|`[^`\n]+`").FindAllString(text, -1)
	for _, m := range use.FindAllStringSubmatch(strings.Join(code, "\n"), -1) {
		if !strings.HasPrefix(m[1], "is ready") { // what dev prints
			uses = append(uses, strings.TrimSpace(m[1]))
		}
	}
	return uses
}

// faultsOf names the verb or the flags of a use that the command lacks.
func faultsOf(node *kong.Node, use string) (faults []string) {
	flags := map[string]bool{"--help": true}
	learn := func(n *kong.Node) {
		for _, f := range n.Flags {
			flags["--"+f.Name] = true
			if f.Short != 0 {
				flags["-"+string(f.Short)] = true
			}
		}
	}
	learn(node)
	quoted := regexp.MustCompile(`'[^']*'|"[^"]*"`)
	for _, word := range strings.Fields(quoted.ReplaceAllString(use, "TEXT")) {
		if name, _, _ := strings.Cut(word, "="); strings.HasPrefix(word, "-") && word != "-" {
			if !flags[name] {
				faults = append(faults, name+" is not a flag of it")
			}
			continue
		}
		if len(node.Children) == 0 {
			continue // an argument, or a flag's value
		}
		child := childOf(node, word)
		if child == nil {
			return append(faults, word+" is not a verb")
		}
		node = child
		learn(node)
	}
	return faults
}

func childOf(node *kong.Node, name string) *kong.Node {
	for _, child := range node.Children {
		if child.Name == name {
			return child
		}
	}
	return nil
}
