package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// object returns the raw values of the wanted keys of a JSON object without trailing bytes.
// The values alias raw.
func object(raw []byte, wanted ...string) (map[string]json.RawMessage, error) {
	if !json.Valid(raw) {
		return nil, errors.New("not JSON, or cut off, or followed by other bytes")
	}
	return members(raw, wanted...)
}

// members is [object] for valid JSON: the whole body is checked only once. encoding/json
// matches a struct's keys under simple case folding ("ID" and, with U+017F for s,
// "api_verſion" too), and the last match wins. So a second match of a wanted key, or an
// inexact one, is an error: handlers decode with encoding/json and must not see another
// object.
func members(raw []byte, wanted ...string) (map[string]json.RawMessage, error) {
	i := skipSpace(raw, 0)
	if i == len(raw) || raw[i] != '{' {
		return nil, errors.New("not a JSON object")
	}
	found := make(map[string]json.RawMessage, len(wanted))
	for i = skipSpace(raw, i+1); raw[i] != '}'; {
		keyEnd := skipString(raw, i)
		start := skipSpace(raw, skipSpace(raw, keyEnd)+1) // +1: the colon
		end := skipValue(raw, start)
		key := unquote(raw[i:keyEnd])
		for _, w := range wanted {
			if !folds(key, w) {
				continue
			}
			if string(key) != w {
				return nil, fmt.Errorf("a key differs from %q in case alone", w)
			}
			if _, twice := found[w]; twice {
				return nil, fmt.Errorf("duplicate key %q", w)
			}
			found[w] = json.RawMessage(raw[start:end:end])
		}
		if i = skipSpace(raw, end); raw[i] == ',' {
			i = skipSpace(raw, i+1)
		}
	}
	return found, nil
}

// unquote decodes a JSON string: id for "\u0069d". It aliases quoted if it can.
func unquote(quoted []byte) []byte {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1]
	}
	var s string
	_ = json.Unmarshal(quoted, &s) // quoted is valid JSON
	return []byte(s)
}

// folds reports whether encoding/json matches a key with the ASCII name. A letter folds to at
// most three bytes (U+212A for k), so most keys need no comparison.
func folds(key []byte, name string) bool {
	return len(key) >= len(name) && len(key) <= 3*len(name) && strings.EqualFold(string(key), name)
}

// isUnicode reports whether a quoted JSON string is valid text. Decoders replace invalid
// UTF-8 and half a surrogate pair by U+FFFD, which could make two ids equal.
func isUnicode(quoted []byte) bool {
	if !utf8.Valid(quoted) {
		return false
	}
	for i := 0; i < len(quoted); i++ {
		if quoted[i] != '\\' {
			continue
		}
		i++ // the escaped character, also a backslash
		if unit := escaped(quoted[i:]); utf16.IsSurrogate(unit) {
			i += len("uXXXX")
			if quoted[i] != '\\' || utf16.DecodeRune(unit, escaped(quoted[i+1:])) == utf8.RuneError {
				return false
			}
			i += len("uXXXX")
		}
	}
	return true
}

// escaped returns the UTF-16 unit of the uXXXX that b begins with, 0 for another escape.
func escaped(b []byte) rune {
	if len(b) < len("uXXXX") || b[0] != 'u' {
		return 0
	}
	unit, _ := strconv.ParseUint(string(b[1:5]), 16, 16) // four hex digits: it is valid JSON
	return rune(unit)
}

// The skip functions return the index behind the token at i. raw is valid JSON.

func skipSpace(raw []byte, i int) int {
	for i < len(raw) && (raw[i] == ' ' || raw[i] == '\n' || raw[i] == '\r' || raw[i] == '\t') {
		i++
	}
	return i
}

func skipString(raw []byte, i int) int {
	for i++; raw[i] != '"'; i++ {
		if raw[i] == '\\' {
			i++
		}
	}
	return i + 1
}

func skipValue(raw []byte, i int) int {
	switch raw[i] {
	case '"':
		return skipString(raw, i)
	case '{', '[':
		return skipNested(raw, i)
	}
	for i < len(raw) && raw[i] != ',' && raw[i] != '}' && raw[i] != ']' && raw[i] > ' ' {
		i++
	}
	return i
}

func skipNested(raw []byte, i int) int {
	for depth := 0; ; i++ {
		switch raw[i] {
		case '"':
			i = skipString(raw, i) - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
}
