package jsonscan

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// FuzzScan: the package reads every valid document as encoding/json does.
func FuzzScan(f *testing.F) {
	for _, s := range []string{
		`{"a":1,"b":"x","c":{"d":[1,{"e":"}"}]},"f":null,"a":true}`, ` { "a" : -1.5e3 , "b":[ ] } `, `{}`, `[]`, `[1, "]" ,[2],{"a":[]}]`,
		`"text \"\\ ü 😀 \ud83d"`, "{\"\\u0061\xff\":\"\xff\"}", `null`, ` 7 `, `[[[]],""]`, `{"":{"":""}}`, `{"a":"b\\"}`,
		`"a\\\"\/\n\r\t\\"`, `"\n\u0041"`, `"\b"`, "\"\\\"\xff\"",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		var text string
		if json.Unmarshal(document, &text) == nil {
			want, _ := json.Marshal(text)
			if got := Append([]byte("x"), text); string(got) != "x"+string(want) {
				t.Errorf("Append %s, want %s", got, want)
			}
		}
		if !json.Valid(document) {
			return
		}
		trimmed := document[space(document, 0):]
		trimmed = trimmed[:end(trimmed, 0)]
		if got := Text(trimmed); got != text {
			t.Errorf("Text %q, want %q", got, text)
		}
		var object map[string]json.RawMessage
		_ = json.Unmarshal(document, &object) // nil unless an object
		if diff := cmp.Diff(object, Map(document)); diff != "" {
			t.Errorf("members of %s (-want +got):\n%s", document, diff)
		}
		for name, value := range Members(document) {
			if first := Get(document, name); string(first) != string(value) && !repeated(document, name) {
				t.Errorf("%q is %s, want %s", name, first, value)
			}
		}
		var list, got []json.RawMessage
		_ = json.Unmarshal(document, &list)
		for element := range Elements(document) {
			got = append(got, element)
		}
		if !slices.EqualFunc(list, got, func(a, b json.RawMessage) bool { return string(a) == string(b) }) {
			t.Errorf("elements of %s: %s, want %s", document, got, list)
		}
	})
}

func repeated(document []byte, name string) bool {
	n := 0
	for each := range Members(document) {
		if each == name {
			n++
		}
	}
	return n > 1
}

// TestStops: a caller may end early.
func TestStops(t *testing.T) {
	n := 0
	for range Members([]byte(`{"a":1,"b":2}`)) {
		n++
		break
	}
	for range Elements([]byte(`[1,2]`)) {
		n++
		break
	}
	if n != 2 {
		t.Errorf("%d values, want 2", n)
	}
}
