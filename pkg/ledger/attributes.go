package ledger

import (
	"encoding/json"
	"maps"
	"strconv"
	"strings"

	"tollgate/pkg/dispatch"
)

// attributes is an item. An absent, null or differently typed attribute is zero, because rows
// may be older than a field.
type attributes map[string]any

func (a attributes) text(name string) string { s, _ := a[name].(string); return s }

func (a attributes) texts(name string) (out []string) {
	list, _ := a[name].([]any)
	for _, v := range list {
		if s, ok := v.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// names reports whether the item is about an object or names it.
func (a attributes) names(id string) bool {
	if a.id() == id {
		return true
	}
	for name, v := range a {
		if v == id && name != dispatch.ListName {
			return true
		}
	}
	return false
}

// id returns the last part of a key such as OBJ#test#-#sub_…; ids have no #.
func (a attributes) id() string {
	key := a.text("pk")
	return key[strings.LastIndexByte(key, '#')+1:]
}

// read reads an item whose attributes have the names of T's fields in JSON.
func read[T any](a attributes) (v T) {
	text, err := json.Marshal(a)
	if err == nil {
		_ = json.Unmarshal(text, &v) // an error is of a differently typed attribute
	}
	return v
}

// row reads the kept row of an object, whose id is in its key.
func row[T any](a attributes) T {
	a = maps.Clone(a)
	a["id"] = a.id()
	return read[T](a)
}

func (a attributes) payment() Payment {
	p := read[Payment](a)
	p.Event = a.text("event_id")
	return p
}

func (a attributes) subscription() Subscription {
	s := row[Subscription](a)
	if s.Items == nil {
		s.Items = []Item{}
	}
	return s
}

func (a attributes) entitlement() Entitlement {
	e := read[Entitlement](a)
	if e.Products == nil {
		e.Products = []string{}
	}
	return e
}

func (a attributes) message() Message {
	m := read[Message](a)
	m.Key, m.At, m.Event = a.text("pk"), a.text(dispatch.ListOrder), a.text("event_id")
	m.Attempt, m.Held = attemptIn(m.Key), dispatch.IsHeldList(a.text(dispatch.ListName))
	return m
}

// attemptIn returns the attempt in the key of a message about an invoice's failed payment,
// OUT#FACT#…#payment_failed#<attempt>#payment_failed; 0 for any other key.
func attemptIn(key string) int64 {
	parts := strings.Split(key, "#")
	if len(parts) < 3 || parts[len(parts)-3] != "payment_failed" {
		return 0
	}
	n, _ := strconv.ParseInt(parts[len(parts)-2], 10, 64)
	return n
}
