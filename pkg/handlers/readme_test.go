package handlers_test

import (
	"os"
	"strings"
	"testing"

	"tollgate/pkg/handlers"
)

// TestReadmeNamesEveryType: the table of the ledger has every handled type, in full or as a member
// of its row's group.
func TestReadmeNamesEveryType(t *testing.T) {
	raw, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(raw), "\n## The ledger\n")
	named := map[string]bool{}
	for line := range strings.Lines(table) {
		if !strings.HasPrefix(line, "| `") {
			continue
		}
		group := ""
		for _, name := range strings.Split(strings.Split(line, "|")[1], ",") {
			name = strings.Trim(name, " `")
			if short, ok := strings.CutPrefix(name, "."); ok {
				name = group + short
			} else {
				group = name[:strings.LastIndexByte(name, '.')+1]
			}
			named[name] = true
		}
	}
	for _, typ := range handlers.Types() {
		if !named[typ] {
			t.Errorf("the table of the ledger in README.md lacks %s", typ)
		}
	}
}
