package stack_test

import (
	"flag"
	"fmt"
	"maps"
	"math/bits"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"tollgate/infra/check"
	"tollgate/infra/stack"
	"tollgate/pkg/awsclient"
	"tollgate/pkg/limits"
	"tollgate/pkg/local/localtest"
)

var templates = flag.String("templates", "", "write the templates of TestCombinations into this folder, for cfn-lint")

// rows are so many templates that any two of at most 35 options occur in them as off and off, off
// and on, on and off, and both on.
const rows = 8

// combination returns which rows have the nth option: four of rows 1 to 7. Any two choices of four
// out of seven overlap, each has a row that the other lacks, and row 0 has neither.
func combination(nth int) (in [rows]bool) {
	for set := range 1 << (rows - 1) {
		if bits.OnesCount(uint(set)) != rows/2 {
			continue
		}
		if nth == 0 {
			for row := range rows - 1 {
				in[row+1] = set>>row&1 == 1
			}
		}
		nth--
	}
	return in
}

// pairs returns the changes of each row. An alarm receiver is always there, for the budget: the
// address or the topic.
func pairs() (changes [rows]object) {
	for nth, key := range slices.Sorted(maps.Keys(stack.Keys())) {
		in := combination(nth)
		for row := range rows {
			if changes[row] == nil {
				changes[row] = object{"alarm-topic": topic}
			}
			if in[row] && key != "alarm-topic" {
				changes[row][key] = everyOption()[key]
			}
			if in[row] && key == "alarm-email" {
				changes[row]["alarm-topic"] = ""
			}
			if in[row] && key == "reserved" {
				changes[row][key] = false
			}
		}
	}
	return changes
}

// TestPairs: the rows have every combination of two options.
func TestPairs(t *testing.T) {
	for a := range stack.Keys() {
		for b := range stack.Keys() {
			seen := map[[2]bool]bool{}
			for _, change := range pairs() {
				seen[[2]bool{change[a] != nil, change[b] != nil}] = true
			}
			if a != b && a != "alarm-topic" && b != "alarm-topic" && len(seen) != 4 {
				t.Errorf("%s and %s: %v", a, b, seen)
			}
		}
	}
}

// TestCombinations: with every combination of two options the invariants hold, and moto makes all
// that it can make.
func TestCombinations(t *testing.T) {
	var names []string
	made := map[string][]byte{}
	for row, change := range pairs() {
		name := fmt.Sprintf("pairs-%d", row)
		raw := synth(t, options(t, name, change))
		if err := check.Run(raw, limits.AWS()); err != nil {
			t.Errorf("%v:\n%v", change, err)
		}
		if *templates != "" {
			if err := os.WriteFile(filepath.Join(*templates, name+".json"), raw, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		names, made[name] = append(names, name), raw
	}
	t.Run("deployed", func(t *testing.T) {
		cfg := localtest.Config(localtest.Moto(t), awsclient.Options{Attempts: 1, Try: 2 * time.Minute})
		for _, name := range names {
			t.Run(name, func(t *testing.T) { localtest.Deploy(t, cfg, name, made[name]) })
		}
	})
}
