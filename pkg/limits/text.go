package limits

import (
	"strings"
	"unicode/utf8"
)

// Cut returns the longest prefix of s with at most n bytes that ends between two
// characters. Invalid UTF-8 in s becomes U+FFFD.
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
