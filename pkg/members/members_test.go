package members_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"tollgate/pkg/members"
)

func wanted() []members.Member {
	list := func() *members.List { return &members.List{In: []members.Member{{Name: "id"}}} }
	return []members.Member{
		{Name: "id"}, {Name: "is", List: list()},
		{Name: "data", In: []members.Member{{Name: "id"}, {Name: "object", In: []members.Member{{Name: "risk", List: list()}}}}},
	}
}

func TestFind(t *testing.T) {
	deep := func(n int) string { return `{"x":` + strings.Repeat("[", n) + strings.Repeat("]", n) + "}" }
	for raw, why := range map[string]string{
		`{}`: "", ` { "id" : 1 , "x":{"id":2,"id":3}} `: "", deep(9_999): "", `{"i":1,"ids":2,"":3}`: "",
		``: "not JSON", `{`: "not JSON", `{"id"}`: "not JSON", `{"id":}`: "not JSON", `{"id":1,}`: "not JSON", `{,}`: "not JSON", `{"id":1]`: "not JSON",
		`{"id":[1,]}`: "not JSON", `{"id":[1}`: "not JSON", `{"id":1}x`: "not JSON", deep(10_000): "not JSON", "{\"id\":\"\x1f\"}": "not JSON",
		`null`: "not a JSON object", `[{}]`: "not a JSON object", `"{}"`: "not a JSON object",
		`{"id":1,"id":1}`: `duplicate key "id"`, `{"id":1,"ID":1}`: `differs from "id" in case`, `{"i\u0053":1}`: `differs from "is" in case`,
		`{"i` + "\u017f" + `":1}`: `differs from "is" in case`, `{"ID":1,"id":1,"id":1}`: `differs from "id"`,
		`{"id":1,"id":1,}`: "not JSON",
	} {
		err := members.Find([]byte(raw), wanted())
		if why == "" != (err == nil) || err != nil && !strings.Contains(err.Error(), why) {
			t.Errorf("%.40s: %v, want %q", raw, err, why)
		}
	}
}

func TestFindLast(t *testing.T) {
	in := wanted()
	err := members.FindLast([]byte(`{"id":1,"ID":2,"data":{"id":3},"Data":{"object":{},"id":4,"iD":5}}`), in)
	if got := fmt.Sprintf("%s %s %s", in[0].Raw, in[2].In[0].Raw, in[2].In[1].Raw); err != nil || got != "2 5 {}" {
		t.Errorf("%s, %v", got, err)
	}
	for raw, want := range map[string]int{`{"is":[1],"IS":[2,3]}`: 2, `{"is":[1],"IS":2}`: 0, `{"is":2,"IS":[1]}`: 1} {
		in := wanted()
		if err := members.FindLast([]byte(raw), in); err != nil || len(in[1].List.Elements) != want {
			t.Errorf("%s: %d elements, want %d, error %v", raw, len(in[1].List.Elements), want, err)
		}
	}
	for _, raw := range []string{`[]`, `null`, `"{}"`, `{"id":1,}`, ``} {
		if members.FindLast([]byte(raw), wanted()) == nil {
			t.Errorf("%s is an object", raw)
		}
	}
}

func TestFindInMembers(t *testing.T) {
	for raw, why := range map[string]string{
		`{"data":{"object":{"risk":1}}}`: "", `{}`: "not a JSON object", `{"data":{}}`: "not a JSON object", `{"data":{"object":null}}`: "not a JSON object",
		`{"data":{"object":{"risk":1,"risk":2}}}`: `duplicate key "risk"`, `{"data":{"object":{"ris` + "\u212a" + `":1}}}`: `differs from "risk" in case`,
	} {
		in := wanted()
		if err := members.Find([]byte(raw), in); err != nil {
			t.Fatal(err) // in a member, which the caller may not need
		}
		err := in[2].In[1].Err()
		if why == "" != (err == nil) || err != nil && !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v, want %q", raw, err, why)
		}
	}
}

func TestRead(t *testing.T) {
	for _, tt := range []struct{ value, text, textErr, flag string }{
		{`null`, "", "", "false"}, {`"a\u0041\/"`, "aA/", "", ""}, {`true`, "", "id is not a string", "true"}, {`false`, "", "id is not a string", "false"},
		{`""`, "", "", ""}, {`1`, "", "id is not a string", ""}, {`{}`, "", "id is not a string", ""},
	} {
		in := wanted()
		if err := members.Find([]byte(`{"id":`+tt.value+`}`), in); err != nil {
			t.Fatal(err)
		}
		text, err := in[0].Text()
		if text != tt.text || tt.textErr == "" != (err == nil) || err != nil && err.Error() != tt.textErr {
			t.Errorf("%s: text %q, %v", tt.value, text, err)
		}
		if flag, err := in[0].Flag(); (err == nil) != (tt.flag != "") || err == nil && fmt.Sprint(flag) != tt.flag {
			t.Errorf("%s: flag %t, %v", tt.value, flag, err)
		}
		if absent := in[0].Absent(); absent != (tt.value == "null") || !in[1].Absent() {
			t.Errorf("%s is absent: %t", tt.value, absent)
		}
	}
}

// TestRawCannotGrow appends to a value.
func TestRawCannotGrow(t *testing.T) {
	raw, in := []byte(`{"id":1,"is":2}`), wanted()
	if err := members.Find(raw, in); err != nil {
		t.Fatal(err)
	}
	if _ = append(in[0].Raw, "overwritten"...); string(raw) != `{"id":1,"is":2}` {
		t.Errorf("the JSON became %s", raw)
	}
}

// FuzzFind: what is JSON, and what its members are, is as encoding/json says.
func FuzzFind(f *testing.F) {
	for _, s := range []string{
		`{"id":"a","data":{"id":-0.5e-7,"object":{"risk":[{},[],"\ud83c\udf81"]}}}`, "{\n        \"id\"\t:\r true , \"x\":false}", `{"I\u0044":1,"iſ":null}`,
		`{"id":[ 1,{} ,[] ],"is":[]}`, `{"is":[{"id":1} ,{"x":[],"id":"a"},{"id":1,"id":2},[{"id":3}],null]}`, `{"id":01}`, `{"id":-}`, `{"id":1.}`, `{"id":1e}`, `{"id":tru}`, `{"id":"\x"}`, `{"id":"\u00g0"}`, `{"id":"` + "\x7f\xff\u2028" + `"}`, `{"id":"0123456` + "\x00" + `"}`, "[]", "",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(agreesWithEncodingJSON)
}

// TestEveryByte puts every byte at every place of an object.
func TestEveryByte(t *testing.T) {
	const raw = `{ "id":"a\u0041é\n0123456789","data" :{"id":-10.25E+3, "object":{"risk":[1,{},[],0]}},"is":null,"t":true,"f":false}`
	for i := range len(raw) {
		agreesWithEncodingJSON(t, []byte(raw[:i]))
		for c := range 256 {
			agreesWithEncodingJSON(t, []byte(raw[:i]+string([]byte{byte(c)})+raw[i+1:]))
			agreesWithEncodingJSON(t, []byte(raw[:i]+string([]byte{byte(c)})+raw[i:]))
		}
	}
}

func agreesWithEncodingJSON(t *testing.T, raw []byte) {
	t.Helper()
	in := wanted()
	err := members.Find(raw, in)
	if not := err != nil && strings.HasPrefix(err.Error(), "not JSON"); not == json.Valid(raw) {
		t.Fatalf("%q: %v, encoding/json says %t", raw, err, json.Valid(raw))
	}
	if err == nil {
		agree(t, raw, in)
	}
}

// agree compares the members of an object with a map's, whose keys match exactly, and with
// those that a struct's would match.
func agree(t *testing.T, raw []byte, in []members.Member) {
	t.Helper()
	var exact map[string]json.RawMessage
	if err := json.Unmarshal(raw, &exact); err != nil {
		t.Fatalf("%q: %v", raw, err)
	}
	for _, m := range in {
		if !bytes.Equal(exact[m.Name], m.Raw) {
			t.Fatalf("%q: %s is %q, want %q", raw, m.Name, m.Raw, exact[m.Name])
		}
		for key := range exact {
			if key != m.Name && strings.EqualFold(key, m.Name) {
				t.Fatalf("%q: %q passes for %s", raw, key, m.Name)
			}
		}
		var text string
		want := json.Unmarshal(m.Raw, &text)
		got, err := m.Text()
		if m.Raw != nil && ((err == nil) != (want == nil) || got != text) {
			t.Fatalf("%q: %s is %q (%v), want %q (%v)", raw, m.Name, got, err, text, want)
		}
		if m.IsObject() {
			all := map[string]json.RawMessage{}
			for key, inside := range m.All() {
				all[string(key)] = inside.Raw
			}
			var want map[string]json.RawMessage
			if err := json.Unmarshal(m.Raw, &want); err != nil || !reflect.DeepEqual(all, want) {
				t.Fatalf("%q: all of %s are %q, want %q (%v)", raw, m.Name, all, want, err)
			}
		}
		if m.List != nil {
			agreeList(t, m)
		}
		if m.In != nil && m.Err() == nil {
			agree(t, m.Raw, m.In)
		}
	}
}

// agreeList compares the elements of a list.
func agreeList(t *testing.T, m members.Member) {
	t.Helper()
	var want, got []json.RawMessage
	_ = json.Unmarshal(m.Raw, &want) // none if it is no list
	for _, e := range m.List.Elements {
		got = append(got, e.Raw)
		if e.Err() == nil {
			agree(t, e.Raw, e.In)
		}
	}
	if len(want)+len(got) > 0 && !reflect.DeepEqual(want, got) {
		t.Fatalf("%q: elements are %q, want %q", m.Raw, got, want)
	}
}
