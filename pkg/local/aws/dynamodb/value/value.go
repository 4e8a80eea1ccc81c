// Package value holds DynamoDB's attribute values: the ten types, their JSON
// form on the wire, their order, equality and size.
//
// Values are immutable: an edit copies what it changes. The package does not know tables,
// keys or expressions.
package value

import (
	"bytes"
	"slices"
	"strings"

	"tollgate/pkg/local/aws/dynamodb/number"
)

// Type is an attribute's type by its name on the wire.
type Type string

// The ten types.
const (
	String    Type = "S"
	Num       Type = "N"
	Binary    Type = "B"
	Bool      Type = "BOOL"
	Null      Type = "NULL"
	List      Type = "L"
	Map       Type = "M"
	StringSet Type = "SS"
	NumberSet Type = "NS"
	BinarySet Type = "BS"
)

// MaxDepth is how deep lists and maps may be nested.
const MaxDepth = 32

// Value is one attribute value; Type determines which fields are used.
type Value struct {
	Type Type
	Text string        // S; B as raw bytes
	Num  number.Number // N
	Bool bool          // BOOL
	List []Value       // L in its order; sets sorted and without duplicates
	Map  Item          // M
}

// Item is an item, a key or a map: values by attribute name.
type Item map[string]Value

// Of returns the string s.
func Of(s string) Value { return Value{Type: String, Text: s} }

// OfInt returns the number n.
func OfInt(n int64) Value { return Value{Type: Num, Num: number.FromInt(n)} }

// IsSet reports whether t is one of the three sets.
func (t Type) IsSet() bool { return t == StringSet || t == NumberSet || t == BinarySet }

// Scalar reports whether t has an order: S, N and B.
func (t Type) Scalar() bool { return t == String || t == Num || t == Binary }

// Element returns the type of a set's elements; empty for other types.
func (t Type) Element() Type {
	switch t {
	case StringSet:
		return String
	case NumberSet:
		return Num
	case BinarySet:
		return Binary
	}
	return ""
}

// Compare orders two values of one scalar type: strings and binaries by bytes,
// numbers by size. It returns false if the types differ or have no order.
func Compare(a, b Value) (int, bool) {
	if a.Type != b.Type || !a.Type.Scalar() {
		return 0, false
	}
	if a.Type == Num {
		return a.Num.Compare(b.Num), true
	}
	return strings.Compare(a.Text, b.Text), true
}

// Equal reports whether two values have the same type and content, nested content too.
func Equal(a, b Value) bool {
	return a.Type == b.Type && a.Text == b.Text && a.Num == b.Num && a.Bool == b.Bool &&
		slices.EqualFunc(a.List, b.List, Equal) && EqualItems(a.Map, b.Map)
}

// EqualItems reports whether two items have equal attributes.
func EqualItems(a, b Item) bool {
	if len(a) != len(b) {
		return false
	}
	for name, v := range a {
		w, ok := b[name]
		if !ok || !Equal(v, w) {
			return false
		}
	}
	return true
}

// Has reports whether a set or list contains an element equal to v.
func (v Value) Has(element Value) bool {
	return slices.ContainsFunc(v.List, func(e Value) bool { return Equal(e, element) })
}

// Union returns the set v with the elements of w, a set of the same type.
func (v Value) Union(w Value) Value {
	out := append(slices.Clone(v.List), w.List...)
	slices.SortFunc(out, compareScalars)
	v.List = slices.CompactFunc(out, Equal)
	return v
}

// Minus returns the set v without the elements of w.
func (v Value) Minus(w Value) Value {
	v.List = slices.DeleteFunc(slices.Clone(v.List), w.Has)
	return v
}

func compareScalars(a, b Value) int {
	c, _ := Compare(a, b)
	return c
}

// Depth is how many lists and maps are nested in v: 0 for a scalar or a set.
func (v Value) Depth() int {
	deepest := 0
	switch v.Type {
	case List:
		for _, e := range v.List {
			deepest = max(deepest, e.Depth())
		}
		return deepest + 1
	case Map:
		for _, e := range v.Map {
			deepest = max(deepest, e.Depth())
		}
		return deepest + 1
	}
	return deepest
}

// Size is what the item counts towards the limit of 400 KB and a page's 1 MB:
// the UTF-8 bytes of names and the sizes of values.
func (it Item) Size() int {
	size := 0
	for name, v := range it {
		size += len(name) + v.Size()
	}
	return size
}

// Size is the value's part of an item's size in bytes.
func (v Value) Size() int {
	switch v.Type {
	case String, Binary:
		return len(v.Text)
	case Num:
		return v.Num.Size()
	case Map:
		return 3 + len(v.Map) + v.Map.Size()
	case List:
		return 3 + len(v.List) + v.elements()
	case StringSet, NumberSet, BinarySet:
		return v.elements()
	}
	return 1 // BOOL and NULL
}

func (v Value) elements() int {
	size := 0
	for _, e := range v.List {
		size += e.Size()
	}
	return size
}

// HasPrefix reports whether v, a string or binary, starts with prefix of the same type.
func (v Value) HasPrefix(prefix Value) bool {
	return v.Type == prefix.Type && (v.Type == String || v.Type == Binary) && strings.HasPrefix(v.Text, prefix.Text)
}

// Describe writes a value as DynamoDB's messages do, for example {S:abc}.
func (v Value) Describe() string {
	text, err := v.MarshalJSON()
	if err != nil {
		return "{" + string(v.Type) + "}"
	}
	return string(bytes.ReplaceAll(text, []byte(`"`), nil))
}
