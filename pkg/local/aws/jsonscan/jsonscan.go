// Package jsonscan reads JSON that is known to be valid without decoding all of it: a caller
// checks a whole document once with [encoding/json.Valid] and then takes what it needs.
//
//	for name, value := range jsonscan.Members(document) { … }
package jsonscan

import (
	"bytes"
	"encoding/json"
	"iter"
	"strings"
	"unicode/utf8"
)

// Members are the names and raw values of an object's members in their order, repeated names
// too. Any other value has none. The raw values alias the document.
func Members(valid []byte) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		members(valid, func(name string, start, end int) bool { return yield(name, valid[start:end:end]) })
	}
}

// Find is where the value of an object's first member of a name begins and ends.
func Find(valid []byte, name string) (start, end int, found bool) {
	members(valid, func(each string, from, to int) bool {
		start, end, found = from, to, each == name
		return !found
	})
	return start, end, found
}

// Get is the raw value of an object's first member of a name, nil if there is none.
func Get(valid []byte, name string) []byte {
	start, end, found := Find(valid, name)
	if !found {
		return nil
	}
	return valid[start:end:end]
}

func members(valid []byte, yield func(name string, start, end int) bool) {
	if First(valid) != '{' {
		return
	}
	for i := space(valid, space(valid, 0)+1); valid[i] != '}'; {
		nameEnd := end(valid, i)
		start := space(valid, space(valid, nameEnd)+1) // +1: the colon
		stop := end(valid, start)
		if !yield(Text(valid[i:nameEnd]), start, stop) {
			return
		}
		i = next(valid, stop)
	}
}

// Elements are the raw values of a list, which alias the document. Any other value has none.
func Elements(valid []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		if First(valid) != '[' {
			return
		}
		for i := space(valid, space(valid, 0)+1); valid[i] != ']'; {
			stop := end(valid, i)
			if !yield(valid[i:stop:stop]) {
				return
			}
			i = next(valid, stop)
		}
	}
}

// Map is the raw values of an object's members by name, the last of a repeated name, and nil
// for any other value.
func Map(valid []byte) map[string]json.RawMessage {
	if First(valid) != '{' {
		return nil
	}
	all := make(map[string]json.RawMessage, 16)
	for name, value := range Members(valid) {
		all[name] = value
	}
	return all
}

// First is the byte that a value begins with, which tells its kind; 0 for no bytes.
func First(valid []byte) byte {
	if i := space(valid, 0); i < len(valid) {
		return valid[i]
	}
	return 0
}

// Text is the value of a raw string, as encoding/json decodes it, and "" for any other value.
func Text(raw []byte) (s string) {
	if len(raw) < 2 || raw[0] != '"' {
		return ""
	}
	rest := raw[1 : len(raw)-1]
	if !utf8.Valid(rest) {
		_ = json.Unmarshal(raw, &s) // raw is valid JSON
		return s
	}
	i := bytes.IndexByte(rest, '\\')
	if i < 0 {
		return string(rest)
	}
	out := make([]byte, 0, len(rest))
	for ; i >= 0; i = bytes.IndexByte(rest, '\\') {
		at := strings.IndexByte(`"\/nrt`, rest[i+1])
		if at < 0 { // rare, and \u of two halves is not simple
			_ = json.Unmarshal(raw, &s)
			return s
		}
		out = append(append(out, rest[:i]...), "\"\\/\n\r\t"[at])
		rest = rest[i+2:]
	}
	return string(append(out, rest...))
}

// Append appends a string as [encoding/json.Marshal] writes it.
func Append(to []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7F || strings.IndexByte(`"\<>&`, c) >= 0 {
			quoted, _ := json.Marshal(s) // of a string: cannot fail
			return append(to, quoted...)
		}
	}
	return append(append(append(to, '"'), s...), '"')
}

func space(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	return i
}

// next is where what follows a member or an element begins: another one, or the closing
// bracket.
func next(b []byte, i int) int {
	if i = space(b, i); b[i] == ',' {
		return space(b, i+1)
	}
	return i
}

// end is the index behind the value that begins at i.
func end(b []byte, i int) int {
	switch b[i] {
	case '"':
		return textEnd(b, i)
	case '{', '[':
		return nestedEnd(b, i)
	}
	for i < len(b) && b[i] != ',' && b[i] != '}' && b[i] != ']' && b[i] > ' ' {
		i++
	}
	return i
}

func textEnd(b []byte, i int) int {
	for i++; b[i] != '"'; i++ {
		if b[i] == '\\' {
			i++
		}
	}
	return i + 1
}

func nestedEnd(b []byte, i int) int {
	for depth := 0; ; i++ {
		switch b[i] {
		case '"':
			i = textEnd(b, i) - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
}
