package limits

import (
	"strings"
	"unicode/utf8"
)

// Cut returns the longest beginning of s that is valid UTF-8, ends between two
// characters and has at most n bytes. What is no UTF-8 in s becomes U+FFFD.
func Cut(s string, n int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
