package event_test

import (
	"strings"
	"testing"

	"tollgate/pkg/event"
)

func TestValidEndpoint(t *testing.T) {
	for name, want := range map[string]bool{
		"": false, "default": true, "a": true, "0": true, "a-b": true, "-": true, "A": false, "a_b": false, "ä": false,
		"a\n": false, "a/b": false, strings.Repeat("a", 32): true, strings.Repeat("a", 33): false,
	} {
		if got := event.ValidEndpoint(name); got != want {
			t.Errorf("%q: %t, want %t", name, got, want)
		}
	}
}
