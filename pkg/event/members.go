package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// object returns the raw values of the wanted keys of one JSON object that fills raw
// completely. The values alias raw.
func object(raw []byte, wanted ...string) (map[string]json.RawMessage, error) {
	if !json.Valid(raw) {
		return nil, errors.New("not JSON, or cut off, or followed by other bytes")
	}
	return members(raw, wanted...)
}

// members is [object] for a raw that is known to be valid JSON. encoding/json's structs
// would match keys in any case and let the last of two equal keys win; both would let a
// body show us another event than it shows to the next reader. Validity is proven
// once for the whole body, so that this walk needs no checks and costs little beside it.
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
		for _, w := range wanted {
			if !isKey(raw[i:keyEnd], w) {
				continue
			}
			if _, twice := found[w]; twice {
				return nil, fmt.Errorf("%q stands twice", w)
			}
			found[w] = json.RawMessage(raw[start:end:end])
		}
		if i = skipSpace(raw, end); raw[i] == ',' {
			i = skipSpace(raw, i+1)
		}
	}
	return found, nil
}

// isKey reports whether a quoted JSON string reads name; "\u0069d" reads id.
func isKey(quoted []byte, name string) bool {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return string(quoted[1:len(quoted)-1]) == name
	}
	var s string
	return json.Unmarshal(quoted, &s) == nil && s == name
}

// isUnicode reports whether a quoted JSON string stands for text. A reader puts U+FFFD in
// the place of bytes that are no UTF-8 and of half a surrogate pair, which would make one
// id of two.
func isUnicode(quoted []byte) bool {
	if !utf8.Valid(quoted) {
		return false
	}
	for i := 0; i < len(quoted); i++ {
		if quoted[i] != '\\' {
			continue
		}
		i++ // what is escaped, be it another backslash
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

// The skip functions return the index behind what begins at i. raw is valid JSON.

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
