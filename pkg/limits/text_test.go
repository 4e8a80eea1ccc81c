package limits_test

import (
	"testing"

	"tollgate/pkg/limits"
)

func TestCut(t *testing.T) {
	for _, c := range []struct {
		s    string
		n    int
		want string
	}{
		{"", 0, ""}, {"abc", 3, "abc"}, {"abc", 2, "ab"}, {"abc", 0, ""},
		{"aé", 3, "aé"}, {"aé", 2, "a"}, {"💸", 3, ""}, {"a\xffb", 4, "a\uFFFD"}, {"a\xff", 2, "a"},
	} {
		if got := limits.Cut(c.s, c.n); got != c.want {
			t.Errorf("Cut(%q, %d) = %q, want %q", c.s, c.n, got, c.want)
		}
	}
}
