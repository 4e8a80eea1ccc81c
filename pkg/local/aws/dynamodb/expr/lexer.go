package expr

import (
	"strings"
	"unicode/utf8"
)

type tokenKind int

const (
	tokEOF   tokenKind = iota
	tokWord            // attribute name, function or keyword
	tokName            // #name
	tokValue           // :value
	tokIndex           // digits
	tokMark            // operator or punctuation
	tokBad             // an invalid character
)

type token struct {
	kind tokenKind
	text string
}

// is reports whether the token is this operator, or this keyword in any case.
func (t token) is(text string) bool {
	return t.kind == tokMark && t.text == text || t.kind == tokWord && strings.EqualFold(t.text, text)
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
func isLetter(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_'
}
func isWordPart(c byte) bool { return isLetter(c) || isDigit(c) }

// tokens splits an expression; the last token is always tokEOF.
func tokens(s string) []token {
	out := make([]token, 0, len(s)/4+2)
	for i := 0; i < len(s); {
		if strings.IndexByte(" \t\r\n", s[i]) >= 0 {
			i++
			continue
		}
		t := nextToken(s[i:])
		out = append(out, t)
		i += len(t.text)
	}
	return append(out, token{kind: tokEOF, text: "<EOF>"})
}

func nextToken(s string) token {
	switch c := s[0]; {
	case isLetter(c):
		return token{tokWord, s[:span(s, 0, isWordPart)]}
	case c == '#':
		return token{tokName, s[:span(s, 1, isWordPart)]}
	case c == ':':
		return token{tokValue, s[:span(s, 1, isWordPart)]}
	case isDigit(c):
		return token{tokIndex, s[:span(s, 0, isDigit)]}
	}
	for _, mark := range []string{"<>", "<=", ">="} {
		if strings.HasPrefix(s, mark) {
			return token{tokMark, mark}
		}
	}
	if strings.IndexByte("=<>()[],.+-", s[0]) >= 0 {
		return token{tokMark, s[:1]}
	}
	_, size := utf8.DecodeRuneInString(s) // one whole character, for the message
	return token{tokBad, s[:size]}
}

// span returns where the run of characters that starts at from ends.
func span(s string, from int, part func(byte) bool) int {
	for from < len(s) && part(s[from]) {
		from++
	}
	return from
}
