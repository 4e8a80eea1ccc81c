package events

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// written writes a tree as JSON, compact and in its order.
func (n node) written(b *strings.Builder) {
	switch n.Kind {
	case "text":
		raw, _ := json.Marshal(n.Text)
		b.Write(raw)
	case "object", "list":
		ends := map[string]string{"object": "{}", "list": "[]"}[n.Kind]
		b.WriteByte(ends[0])
		for i, m := range n.List {
			if i > 0 {
				b.WriteByte(',')
			}
			if m.Named {
				raw, _ := json.Marshal(m.Name)
				b.Write(raw)
				b.WriteByte(':')
			}
			m.written(b)
		}
		b.WriteByte(ends[1])
	default:
		b.WriteString(n.Text)
	}
}

// FuzzTree: a tree has every member in its order, or is refused.
func FuzzTree(f *testing.F) {
	for _, text := range []string{`{"b":1,"a":[true,null,"x"],"b":{"":-1e5}}`, `[]`, `12345678901234567890`, `{"a":`, `{} {}`, ``, strings.Repeat("[", 200), `"` + "\xff" + `"`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, err := tree(text)
		if err != nil {
			return
		}
		if !json.Valid([]byte(text)) {
			t.Fatalf("%q is a tree", text)
		}
		var first, again strings.Builder
		n.written(&first)
		m, err := tree(first.String())
		if err != nil {
			t.Fatalf("%q: %v", first.String(), err)
		}
		if m.written(&again); again.String() != first.String() {
			t.Errorf("%q became %q", first.String(), again.String())
		}
	})
}

func TestTree(t *testing.T) {
	const text = `{"b":1.50,"a":[true,null,"x"],"b":{"":-1e5}}`
	n, err := tree(text)
	var got strings.Builder
	if n.written(&got); err != nil || got.String() != text {
		t.Errorf("%s, %v", got.String(), err)
	}
	for _, bad := range []string{`{"a":`, `{} {}`, ``, `{"a" 1}`, strings.Repeat("[", 200) + strings.Repeat("]", 200), "[" + strings.Repeat("1,", maxNodes) + "1]"} {
		if _, err := tree(bad); err == nil {
			t.Errorf("%.40q is a tree", bad)
		}
	}
}

func TestDifferences(t *testing.T) {
	n, err := tree(`{"data":{"object":{"status":"active","plan":null,"status":"canceled"},"previous_attributes":{"status":"active","gone":[1]}}}`)
	if err != nil {
		t.Fatal(err)
	}
	list := differences(n)
	if len(list) != 2 || list[0].Before.Text != "active" || list[0].After.Text != "canceled" || list[1].Name != "gone" || list[1].After.Kind != "" {
		t.Errorf("%+v", list)
	}
	for _, none := range []string{`{}`, `[]`, `1`, `{"data":[]}`, `{"data":{"object":{}}}`} {
		if n, _ := tree(none); len(differences(n)) > 0 {
			t.Errorf("%s: %+v", none, differences(n))
		}
	}
}

// TestMemory forgets the oldest answers, and a body after its time.
func TestMemory(t *testing.T) {
	var m memory[int]
	for i := range 100 {
		if v, err := m.get(string(rune('a'+i)), time.Hour, func() (int, error) { return i, nil }); v != i || err != nil {
			t.Fatal(v, err)
		}
	}
	if v, _ := m.get("a", time.Hour, func() (int, error) { return -1, nil }); v != -1 || len(m.kept) != maxKept {
		t.Errorf("%d, %d kept", v, len(m.kept))
	}
	if v, _ := m.get("a", time.Hour, func() (int, error) { return -2, nil }); v != -1 {
		t.Errorf("%d was not kept", v)
	}
	var b bodies
	key := b.keep(body{event: "evt_1", text: "x"})
	if v, _, found := b.of("evt_1", key); !found || v.text != "x" {
		t.Error("a body is lost")
	}
	b.kept[key] = kept[body]{body{event: "evt_1"}, time.Now().Add(-bodyAge - time.Second)}
	if _, _, found := b.of("evt_2", key); found {
		t.Error("another event's body")
	}
	if _, _, found := b.of("evt_1", key); found || len(b.kept) != 0 {
		t.Error("a body is kept for too long")
	}
}
