package members

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// text is JSON to validate. Each method takes the index at which its part begins and returns
// the index behind it, or invalid.
type text []byte

const invalid = -1

// maxDepth is how deep encoding/json reads objects and lists in each other.
const maxDepth = 10_000

// Eight bytes at once: ones in each byte, and their highest bits.
const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// member reads a value at a depth, and m's members in it.
func (t text) member(i, depth int, m *Member) int {
	if m.List != nil {
		m.List.Elements = nil // of an earlier member that the name matches
	}
	end := invalid
	switch {
	case i < len(t) && t[i] == '{' && m.In != nil:
		end = t.object(i, depth, m)
	case i < len(t) && t[i] == '[' && m.List != nil:
		end = t.list(i, depth, m.List)
	default:
		end = t.value(i, depth)
	}
	if end > 0 {
		m.Raw = []byte(t[i:end:end])
	}
	return end
}

func (t text) value(i, depth int) int {
	if i >= len(t) {
		return invalid
	}
	switch c := t[i]; c {
	case '"':
		return t.str(i)
	case '{':
		return t.object(i, depth, nil)
	case '[':
		return t.list(i, depth, nil)
	case 't':
		return t.word(i, "true")
	case 'f':
		return t.word(i, "false")
	case 'n':
		return t.word(i, "null")
	default:
		return t.number(i)
	}
}

// object reads an object, and m's members in it if m is not nil.
func (t text) object(i, depth int, m *Member) int {
	if depth >= maxDepth {
		return invalid
	}
	if i = t.space(i + 1); i < len(t) && t[i] == '}' {
		return i + 1
	}
	for {
		if i >= len(t) || t[i] != '"' {
			return invalid
		}
		key := i
		if i = t.str(i); i < 0 {
			return invalid
		}
		var found *Member
		if m != nil {
			found = m.match(t[key:i])
		}
		if i = t.space(i); i == len(t) || t[i] != ':' {
			return invalid
		}
		i = t.space(i + 1)
		if found == nil {
			i = t.value(i, depth+1)
		} else {
			i = t.member(i, depth+1, found)
		}
		if i < 0 {
			return invalid
		}
		if i = t.space(i); i == len(t) {
			return invalid
		}
		switch t[i] {
		case '}':
			return i + 1
		case ',':
			i = t.space(i + 1)
		default:
			return invalid
		}
	}
}

// list reads a list, and into's members in its elements if into is not nil.
func (t text) list(i, depth int, into *List) int {
	if depth >= maxDepth {
		return invalid
	}
	if i = t.space(i + 1); i < len(t) && t[i] == ']' {
		return i + 1
	}
	for {
		if into == nil {
			i = t.value(i, depth+1)
		} else {
			into.Elements = append(into.Elements, Member{In: slices.Clone(into.In)})
			i = t.member(i, depth+1, &into.Elements[len(into.Elements)-1])
		}
		if i < 0 {
			return invalid
		}
		if i = t.space(i); i == len(t) {
			return invalid
		}
		switch t[i] {
		case ']':
			return i + 1
		case ',':
			i = t.space(i + 1)
		default:
			return invalid
		}
	}
}

// str reads a string. It stops at a quote, a backslash or a control character.
func (t text) str(i int) int {
	const quote, backslash = '"' * ones, '\\' * ones
	i++
	for {
		for i+8 <= len(t) {
			x := binary.LittleEndian.Uint64(t[i:])
			q, b := x^quote, x^backslash // zero where they are
			stop := (x - ' '*ones) &^ x
			stop |= (q - ones) &^ q
			stop |= (b - ones) &^ b
			if stop &= highs; stop != 0 { // its lowest bit is exact
				i += bits.TrailingZeros64(stop) / 8
				break
			}
			i += 8
		}
		for i < len(t) && t[i] != '"' && t[i] != '\\' && t[i] >= ' ' {
			i++
		}
		if i == len(t) || t[i] < ' ' {
			return invalid
		}
		if t[i] == '"' {
			return i + 1
		}
		if i = t.escape(i); i < 0 {
			return invalid
		}
	}
}

func (t text) escape(i int) int {
	if i+1 >= len(t) {
		return invalid
	}
	switch t[i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 2
	case 'u':
		end := i + len(`\uXXXX`)
		if end > len(t) {
			return invalid
		}
		for _, c := range t[i+2 : end] {
			if letter := c | 0x20; (c < '0' || c > '9') && (letter < 'a' || letter > 'f') {
				return invalid
			}
		}
		return end
	}
	return invalid
}

func (t text) word(i int, w string) int {
	if len(t)-i < len(w) || string(t[i:i+len(w)]) != w {
		return invalid
	}
	return i + len(w)
}

func (t text) number(i int) int {
	if t[i] == '-' {
		i++
	}
	switch {
	case i < len(t) && t[i] == '0':
		i++
	default:
		if i = t.digits(i); i < 0 {
			return invalid
		}
	}
	if i < len(t) && t[i] == '.' {
		if i = t.digits(i + 1); i < 0 {
			return invalid
		}
	}
	if i < len(t) && t[i]|0x20 == 'e' {
		if i++; i < len(t) && (t[i] == '+' || t[i] == '-') {
			i++
		}
		return t.digits(i)
	}
	return i
}

// digits reads one digit or more.
func (t text) digits(i int) int {
	start := i
	for i < len(t) && t[i] >= '0' && t[i] <= '9' {
		i++
	}
	if i == start {
		return invalid
	}
	return i
}

// space skips white space, of which there may be none.
func (t text) space(i int) int {
	if i < len(t) && t[i] > ' ' {
		return i
	}
	return t.spaces(i)
}

func (t text) spaces(i int) int {
	const spaces = ' ' * ones
	for i < len(t) {
		if i+8 <= len(t) { // an indented line begins with many
			other := binary.LittleEndian.Uint64(t[i:]) ^ spaces
			i += bits.TrailingZeros64(other) / 8 // 64 if there is none
			if other == 0 {
				continue
			}
		}
		if c := t[i]; c != ' ' && c != '\n' && c != '\r' && c != '\t' {
			break
		}
		i++
	}
	return i
}
