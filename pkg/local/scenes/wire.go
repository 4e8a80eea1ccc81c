package scenes

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
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
			fmt.Fprintf(b, "%q: ", name)
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
		text, err := json.Marshal(v)
		if err != nil {
			panic(err) // an error in a script
		}
		b.Write(text)
	}
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
	first := []string{"object", "id"}
	return slices.SortedFunc(maps.Keys(o), func(a, b string) int {
		return cmp.Or(slices.Index(first, b)-slices.Index(first, a), strings.Compare(a, b))
	})
}
