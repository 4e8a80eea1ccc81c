package stripe

import (
	"bytes"
	"encoding/json"
	"slices"
)

// member is one name of a JSON object and its value.
type member struct {
	name  string
	value json.RawMessage
}

// members is a JSON object that keeps the order of its names and the text of its values.
type members []member

// readMembers reads an object; ok is false for anything else.
func readMembers(raw []byte) (m members, ok bool) {
	d := json.NewDecoder(bytes.NewReader(raw))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil, false
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, false
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, false
		}
		m = append(m, member{name.(string), value}) // within an object these tokens are names
	}
	return m, true
}

// get returns a value, nil if there is none. The last of several counts, as in
// encoding/json.
func (m members) get(name string) json.RawMessage {
	for _, each := range slices.Backward(m) {
		if each.name == name {
			return each.value
		}
	}
	return nil
}

// set replaces a value or adds it at the end.
func (m members) set(name string, value json.RawMessage) members {
	return append(m.without(name), member{name, value})
}

// without returns the object without some names.
func (m members) without(names ...string) members {
	return slices.DeleteFunc(slices.Clone(m), func(each member) bool { return slices.Contains(names, each.name) })
}

// json writes the object without white space of its own.
func (m members) json() json.RawMessage {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, each := range m {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(quoted(each.name))
		b.WriteByte(':')
		b.Write(each.value)
	}
	b.WriteByte('}')
	return b.Bytes()
}

// quoted is a text as JSON.
func quoted(s string) json.RawMessage {
	raw, _ := json.Marshal(s) // a string cannot fail
	return raw
}

// listJSON writes a list without white space of its own.
func listJSON(elements []json.RawMessage) json.RawMessage {
	var b bytes.Buffer
	b.WriteByte('[')
	for i, element := range elements {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(element)
	}
	b.WriteByte(']')
	return b.Bytes()
}

// replace replaces a value.
func (m members) replace(name string, value json.RawMessage) members {
	m = slices.Clone(m)
	for i := range m {
		if m[i].name == name {
			m[i].value = value
		}
	}
	return m
}
