package scenes

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// wire renders an object as Stripe sends it: indented by two spaces, id and object first, the
// other members by name, brackets of empty hashes and lists on separate lines.
func wire(o obj) json.RawMessage {
	var b bytes.Buffer
	writeValue(&b, o, 0)
	return b.Bytes()
}

func writeValue(b *bytes.Buffer, v any, depth int) {
	switch v := v.(type) {
	case obj:
		b.WriteByte('{')
		for i, name := range members(v) {
			separate(b, i, depth+1)
			writeText(b, name)
			b.WriteString(": ")
			writeValue(b, v[name], depth+1)
		}
		newline(b, depth)
		b.WriteByte('}')
	case list:
		b.WriteByte('[')
		if len(v) == 0 {
			b.WriteByte('\n')
		}
		for i, item := range v {
			separate(b, i, depth+1)
			writeValue(b, item, depth+1)
		}
		newline(b, depth)
		b.WriteByte(']')
	default:
		writeScalar(b, v)
	}
}

// writeScalar writes a string, an integer, a boolean or null. Other types are an error in a
// script.
func writeScalar(b *bytes.Buffer, v any) {
	switch v := v.(type) {
	case nil:
		b.WriteString("null")
	case bool:
		b.WriteString(strconv.FormatBool(v))
	case int:
		b.WriteString(strconv.Itoa(v))
	case int64:
		b.WriteString(strconv.FormatInt(v, 10))
	case string:
		writeText(b, v)
	default:
		panic(fmt.Sprintf("scenes: %T in an object", v))
	}
}

func writeText(b *bytes.Buffer, s string) {
	if strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c == '"' || c == '\\' }) {
		panic("scenes: text that needs escapes")
	}
	b.WriteByte('"')
	b.WriteString(s)
	b.WriteByte('"')
}

func separate(b *bytes.Buffer, i, depth int) {
	if i > 0 {
		b.WriteByte(',')
	}
	newline(b, depth)
}

func newline(b *bytes.Buffer, depth int) {
	b.WriteByte('\n')
	b.WriteString(strings.Repeat("  ", depth))
}

func members(o obj) []string {
	place := func(name string) int {
		switch name {
		case "id":
			return 0
		case "object":
			return 1
		}
		return 2
	}
	return slices.SortedFunc(maps.Keys(o), func(a, b string) int {
		if d := place(a) - place(b); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
}
