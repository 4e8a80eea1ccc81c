package simulation

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMutantsApply: the text that each mutant changes is in the product exactly once.
func TestMutantsApply(t *testing.T) {
	sources := map[string]string{}
	for _, m := range allMutants() {
		changed := map[string]string{}
		for _, e := range m.edits {
			if _, read := sources[e.file]; !read {
				raw, err := os.ReadFile(filepath.Join("..", e.file))
				if err != nil {
					t.Fatal(err)
				}
				sources[e.file] = string(raw)
			}
			if _, begun := changed[e.file]; !begun {
				changed[e.file] = sources[e.file]
			}
			if n := strings.Count(changed[e.file], e.old); n != 1 {
				t.Errorf("%s: %s has the text to change %d times: %q", m.name, e.file, n, e.old)
			}
			changed[e.file] = strings.Replace(changed[e.file], e.old, e.new, 1)
		}
	}
}
