package value

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func parse(t *testing.T, text string) Value {
	t.Helper()
	var v Value
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]int{
		`{"S":""}`: 0, `{"S":"äb"}`: 3, `{"B":"AAEC"}`: 3, `{"N":"0"}`: 1, `{"N":"1"}`: 2, `{"N":"-123"}`: 4, `{"BOOL":true}`: 1, `{"NULL":true}`: 1,
		`{"L":[]}`: 3, `{"L":[{"S":"abc"},{"BOOL":false}]}`: 9, `{"M":{}}`: 3, `{"M":{"ab":{"S":"abc"}}}`: 9, `{"SS":["a","bc"]}`: 3, `{"NS":["1","100"]}`: 4,
	} {
		if got := parse(t, text).Size(); got != want {
			t.Errorf("size of %s is %d, want %d", text, got, want)
		}
	}
}

func TestEquality(t *testing.T) {
	equal := [][2]string{
		{`{"N":"1.0"}`, `{"N":"1"}`}, {`{"SS":["a","b"]}`, `{"SS":["b","a"]}`}, {`{"NS":["10","2"]}`, `{"NS":["2.0","1e1"]}`},
		{`{"M":{"a":{"L":[{"N":"1"}]}}}`, `{"M":{"a":{"L":[{"N":"1.00"}]}}}`}, {`{"L":[]}`, `{"L":[]}`},
	}
	for _, pair := range equal {
		if a, b := parse(t, pair[0]), parse(t, pair[1]); !Equal(a, b) || !Equal(b, a) {
			t.Errorf("%s and %s differ", pair[0], pair[1])
		}
	}
	different := [][2]string{
		{`{"N":"1"}`, `{"S":"1"}`}, {`{"S":"a"}`, `{"B":"YQ=="}`}, {`{"L":[{"N":"1"},{"N":"2"}]}`, `{"L":[{"N":"2"},{"N":"1"}]}`}, {`{"SS":["1"]}`, `{"NS":["1"]}`},
		{`{"M":{"a":{"N":"1"}}}`, `{"M":{"b":{"N":"1"}}}`}, {`{"M":{}}`, `{"M":{"b":{"N":"1"}}}`}, {`{"BOOL":true}`, `{"BOOL":false}`}, {`{"BOOL":false}`, `{"NULL":true}`},
	}
	for _, pair := range different {
		if a, b := parse(t, pair[0]), parse(t, pair[1]); Equal(a, b) || Equal(b, a) {
			t.Errorf("%s and %s are equal", pair[0], pair[1])
		}
	}
}

func TestDepth(t *testing.T) {
	nest := func(n int) string { return strings.Repeat(`{"L":[`, n) + `{"N":"1"}` + strings.Repeat(`]}`, n) }
	if got := parse(t, nest(MaxDepth)).Depth(); got != MaxDepth {
		t.Errorf("depth %d, want %d", got, MaxDepth)
	}
	var v Value
	err := json.Unmarshal([]byte(nest(MaxDepth+1)), &v)
	if _, ok := errors.AsType[*InvalidError](err); !ok {
		t.Errorf("one deeper: %v", err)
	}
}

// FuzzItem: what decodes encodes to the same item again, and equal items to equal bytes.
func FuzzItem(f *testing.F) {
	for _, s := range []string{
		`{"a":{"S":"x"},"b":{"N":"-1.50"},"c":{"B":"AAE="},"d":{"BOOL":true},"e":{"NULL":true}}`, `{"a":{"L":[{"M":{"x":{"SS":["b","a"]}}},{"NS":["1","2"]}]}}`,
		`{"a":{}}`, `{"a":{"S":"x","N":"1"}}`, `{"a":{"BS":["AA=="]}}`, `{"a":{"N":1}}`, `{"a":null}`, `null`, `[]`, `{"\u0000\ud83d\ude00":{"S":"\u2028"}}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var it, again Item
		err := json.Unmarshal([]byte(text), &it)
		if err != nil {
			_, isInvalid := errors.AsType[*InvalidError](err)
			_, isMalformed := errors.AsType[*MalformedError](err)
			_, isSyntax := errors.AsType[*json.SyntaxError](err)
			if !isInvalid && !isMalformed && !isSyntax {
				t.Fatalf("%q: error %T %v", text, err, err)
			}
			return
		}
		encoded, err := json.Marshal(it)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(encoded, &again); err != nil || !EqualItems(it, again) {
			t.Fatalf("%q becomes %s becomes %v, %v", text, encoded, again, err)
		}
	})
}
