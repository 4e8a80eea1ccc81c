// Package members finds members of a JSON object in the same pass that validates it.
//
// It accepts what encoding/json accepts, byte for byte. That matches keys under simple case
// folding ("ID" and, with U+017F for s, "api_verſion" too), and the last match wins. To [Find], a
// second match of a wanted key, or an inexact one, is an error: others decode the same bytes with
// encoding/json and must not see another object. [FindLast] takes the last one.
//
// The scanner is our own as none in reach is both: encoding/json reads each byte through a
// function and a second time to decode, jsontext is no faster than 4 × an HMAC of the bytes,
// and the fast ones accept what encoding/json refuses or have no limit of depth.
//
//	wanted := []members.Member{{Name: "id"}, {Name: "data", In: []members.Member{{Name: "object"}}}}
//	err := members.Find(raw, wanted)
package members

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"
	"unicode/utf8"
)

// Member is one to find.
type Member struct {
	Name string          // ASCII
	In   []Member        // to find in its value, if that is an object
	List *List           // to find in its value, if that is a list
	Raw  json.RawMessage // the value as written, nil if absent; it aliases the JSON
	err  error           // why In cannot be told
}

// List is what to find in a list.
type List struct {
	In       []Member // to find in each element that is an object
	Elements []Member // found: each has its own In
}

// errNotObject is the error of a value without members.
var errNotObject = errors.New("not a JSON object")

// Find reads the wanted members of a JSON object without trailing bytes. Its errors, and those
// of [Member.Err], quote no data.
func Find(raw []byte, wanted []Member) error {
	root, err := find(raw, wanted)
	if err != nil {
		return err
	}
	return root.Err()
}

// FindLast is [Find] for an object whose writer is trusted: of several members that one name
// matches, the last counts.
func FindLast(raw []byte, wanted []Member) error {
	root, err := find(raw, wanted)
	if err == nil && !root.IsObject() {
		return errNotObject
	}
	return err
}

func find(raw []byte, wanted []Member) (Member, error) {
	t := text(raw)
	root := Member{In: wanted}
	end := t.member(t.space(0), 0, &root)
	if end < 0 || t.space(end) != len(t) {
		return root, errors.New("not JSON, or cut off, or followed by other bytes")
	}
	return root, nil
}

// Err returns why the members in m's value cannot be told: it is absent, no object, or has a
// key that is not one of theirs in case alone, or is theirs twice.
func (m *Member) Err() error {
	if m.err == nil && !m.IsObject() {
		return errNotObject
	}
	return m.err
}

// IsObject reports whether m's value is an object.
func (m *Member) IsObject() bool { return len(m.Raw) > 0 && m.Raw[0] == '{' }

// Absent reports whether the member is missing or null.
func (m *Member) Absent() bool { return m.Raw == nil || string(m.Raw) == "null" }

// Text reads a string, "" if absent.
func (m *Member) Text() (string, error) {
	b, err := m.Bytes()
	return string(b), err
}

// Bytes is [Member.Text] without a copy where it can alias the JSON.
func (m *Member) Bytes() ([]byte, error) {
	if m.Absent() {
		return nil, nil
	}
	if m.Raw[0] != '"' {
		return nil, fmt.Errorf("%s is not a string", m.Name)
	}
	return unquote(m.Raw), nil
}

// All yields the key and the value of each member of m's value, if that is an object. A key may
// come twice.
func (m *Member) All() iter.Seq2[[]byte, *Member] {
	return func(yield func([]byte, *Member) bool) {
		if !m.IsObject() {
			return
		}
		t := text(m.Raw) // valid: it was found in valid JSON
		for i := t.space(1); t[i] != '}'; {
			end := t.str(i)
			key := unquote(t[i:end])
			start := t.space(t.space(end) + 1) // behind the colon
			end = t.value(start, 0)
			if !yield(key, &Member{Name: m.Name, Raw: json.RawMessage(t[start:end:end])}) {
				return
			}
			if i = t.space(end); t[i] == ',' {
				i = t.space(i + 1)
			}
		}
	}
}

// Flag reads a bool, false if absent.
func (m *Member) Flag() (bool, error) {
	is := string(m.Raw) == "true"
	if !is && string(m.Raw) != "false" && !m.Absent() {
		return false, fmt.Errorf("%s is not true or false", m.Name)
	}
	return is, nil
}

// match returns the member in m that a key names, nil for none. It notes in m the first key
// that is ambiguous.
func (m *Member) match(quoted []byte) *Member {
	key := unquote(quoted)
	for i := range m.In {
		w := &m.In[i]
		// A letter folds to at most three bytes (U+212A for k), so most need no comparison.
		if len(key) < len(w.Name) || len(key) > 3*len(w.Name) || !strings.EqualFold(string(key), w.Name) {
			continue
		}
		if m.err == nil && string(key) != w.Name {
			m.err = fmt.Errorf("a key differs from %q in case alone", w.Name)
		}
		if m.err == nil && w.Raw != nil {
			m.err = fmt.Errorf("duplicate key %q", w.Name)
		}
		return w
	}
	return nil
}

// unquote decodes a valid JSON string with its quotes as encoding/json does: invalid UTF-8 and
// half a surrogate pair become U+FFFD. The result aliases quoted if it can.
func unquote(quoted []byte) []byte {
	rest := quoted[1 : len(quoted)-1]
	escape := bytes.IndexByte(rest, '\\')
	if !utf8.Valid(rest) {
		return unquoteRare(quoted)
	}
	if escape < 0 {
		return rest
	}
	out := make([]byte, 0, len(rest))
	for ; escape >= 0; escape = bytes.IndexByte(rest, '\\') {
		c := rest[escape+1]
		switch c {
		case 'u':
			return unquoteRare(quoted)
		case 'b':
			c = '\b'
		case 'f':
			c = '\f'
		case 'n':
			c = '\n'
		case 'r':
			c = '\r'
		case 't':
			c = '\t'
		}
		out = append(append(out, rest[:escape]...), c)
		rest = rest[escape+2:]
	}
	return append(out, rest...)
}

func unquoteRare(quoted []byte) []byte {
	var s string
	_ = json.Unmarshal(quoted, &s) // quoted is valid JSON
	return []byte(s)
}
