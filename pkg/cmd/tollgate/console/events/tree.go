package events

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
)

// node is a JSON value in a tree.
type node struct {
	Name  string // of an object's member
	Named bool
	Kind  string // object, list, text, number or word
	Text  string // of a value without members
	List  []node
	Open  bool // shown with its members
}

const (
	maxNodes = 20_000
	maxDepth = 100
	maxOpen  = 3 // levels that are open at first
)

// tree reads one JSON value in its order, repeated names too.
func tree(text string) (node, error) {
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.UseNumber()
	left := maxNodes
	n, err := value(d, 0, &left)
	if err != nil {
		return n, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return n, errors.New("it is more than one JSON value")
	}
	return n, nil
}

func value(d *json.Decoder, depth int, left *int) (n node, err error) {
	if *left--; *left < 0 || depth > maxDepth {
		return n, errors.New("it is too large for a tree")
	}
	t, err := d.Token()
	if err != nil {
		return n, err
	}
	switch t := t.(type) {
	case json.Delim:
		n.Kind, n.Open = "object", depth < maxOpen
		if t == '[' {
			n.Kind = "list"
		}
		for d.More() {
			var member node
			name := ""
			if n.Kind == "object" {
				key, err := d.Token()
				if err != nil {
					return n, err
				}
				name, _ = key.(string)
			}
			if member, err = value(d, depth+1, left); err != nil {
				return n, err
			}
			member.Name, member.Named = name, n.Kind == "object"
			n.List = append(n.List, member)
		}
		_, err = d.Token()
		return n, err
	case string:
		return node{Kind: "text", Text: t}, nil
	case json.Number:
		return node{Kind: "number", Text: t.String()}, nil
	case bool:
		return node{Kind: "word", Text: map[bool]string{true: "true", false: "false"}[t]}, nil
	default:
		return node{Kind: "word", Text: "null"}, nil
	}
}

// member returns the last member of a name, as readers of JSON take it; false without one.
func (n node) member(name string) (node, bool) {
	i := slices.IndexFunc(n.List, func(m node) bool { return m.Named && m.Name == name })
	if i < 0 {
		return node{}, false
	}
	for j := i + 1; j < len(n.List); j++ {
		if n.List[j].Name == name {
			i = j
		}
	}
	return n.List[i], true
}

// difference is a member of an event's object before the event and after it.
type difference struct {
	Name          string
	Before, After node
}

// differences are what Stripe reports as changed: data.previous_attributes with data.object.
func differences(event node) (list []difference) {
	data, _ := event.member("data")
	before, changed := data.member("previous_attributes")
	after, _ := data.member("object")
	if !changed {
		return nil
	}
	for _, m := range before.List {
		now, _ := after.member(m.Name)
		m.Open, m.Named, now.Open, now.Named = false, false, false, false
		list = append(list, difference{m.Name, m, now})
	}
	return list
}
