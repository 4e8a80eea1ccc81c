package value

import (
	"encoding/base64"
	"fmt"
	"slices"

	"tollgate/pkg/local/aws/dynamodb/number"
	"tollgate/pkg/local/aws/jsonscan"
)

// InvalidError is a well-formed JSON value that DynamoDB rejects; the text is the whole
// message.
type InvalidError struct{ Message string }

func (e *InvalidError) Error() string { return e.Message }

// MalformedError is JSON of the wrong type, for example a number instead of a string.
type MalformedError struct{ Message string }

func (e *MalformedError) Error() string { return e.Message }

func invalid(format string, args ...any) error {
	return &InvalidError{Message: fmt.Sprintf(format, args...)}
}

func malformed(format string, args ...any) error {
	return &MalformedError{Message: fmt.Sprintf(format, args...)}
}

const badParameter = "One or more parameter values were invalid: "

// UnmarshalJSON reads an item from its wire form; it returns *InvalidError or *MalformedError.
// As for any [encoding/json.Unmarshaler], text is valid JSON.
func (it *Item) UnmarshalJSON(text []byte) error {
	if jsonscan.First(text) == 'n' { // null
		return nil
	}
	decoded, err := decodeMap(text, 0)
	*it = decoded
	return err
}

// UnmarshalJSON reads a value such as {"S":"a"}; it returns *InvalidError or *MalformedError.
func (v *Value) UnmarshalJSON(text []byte) error {
	decoded, err := decode(text, 0)
	*v = decoded
	return err
}

func decode(raw []byte, depth int) (v Value, err error) {
	if jsonscan.First(raw) != '{' {
		return Value{}, malformed("an attribute value must be an object such as {\"S\":\"text\"}")
	}
	types := 0
	for name, content := range jsonscan.Members(raw) {
		if types++; types > 1 {
			return Value{}, invalid("Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes")
		}
		v, err = decodeAs(Type(name), content, depth)
	}
	if types == 0 {
		return Value{}, invalid("Supplied AttributeValue is empty, must contain exactly one of the supported datatypes")
	}
	return v, err
}

func decodeAs(t Type, raw []byte, depth int) (Value, error) {
	v := Value{Type: t}
	var err error
	switch t {
	case String, Num, Binary:
		return decodeScalar(t, raw)
	case Bool, Null:
		b := string(raw) == "true"
		if !b && string(raw) != "false" {
			return v, malformed("%s must be true or false", t)
		}
		if t == Null && !b {
			return v, invalid(badParameter + "Null attribute value types must have the value of true")
		}
		v.Bool = b && t == Bool
	case List:
		v.List, err = decodeList(raw, depth+1)
	case Map:
		v.Map, err = decodeMap(raw, depth+1)
	case StringSet, NumberSet, BinarySet:
		v.List, err = decodeSet(t, raw)
	default:
		return v, invalid("Supplied AttributeValue is empty, must contain exactly one of the supported datatypes")
	}
	return v, err
}

func decodeScalar(t Type, raw []byte) (Value, error) {
	v := Value{Type: t}
	if jsonscan.First(raw) != '"' {
		return v, malformed("%s must be a string", t)
	}
	text := jsonscan.Text(raw)
	switch t {
	case Num:
		n, err := number.Parse(text)
		if err == number.ErrSyntax && text != "" {
			return v, invalid("%v: %s", err, text)
		}
		if err != nil {
			return v, invalid("%v", err)
		}
		v.Num = n
	case Binary:
		b, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return v, malformed("B must be base64")
		}
		v.Text = string(b)
	default:
		v.Text = text
	}
	return v, nil
}

func decodeList(raw []byte, depth int) ([]Value, error) {
	if jsonscan.First(raw) != '[' {
		return nil, malformed("a list must be a JSON array")
	}
	if depth > MaxDepth {
		return nil, tooDeep()
	}
	out := []Value{}
	for e := range jsonscan.Elements(raw) {
		v, err := decode(e, depth)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

func decodeMap(raw []byte, depth int) (Item, error) {
	if jsonscan.First(raw) != '{' {
		return nil, malformed("a map of attribute values must be a JSON object")
	}
	if depth > MaxDepth {
		return nil, tooDeep()
	}
	out := Item{}
	for name, e := range jsonscan.Members(raw) {
		v, err := decode(e, depth)
		if err != nil {
			return nil, err
		}
		out[name] = v
	}
	return out, nil
}

func tooDeep() error {
	return invalid("Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported limit")
}

func decodeSet(t Type, raw []byte) ([]Value, error) {
	if jsonscan.First(raw) != '[' {
		return nil, malformed("a set must be a JSON array")
	}
	var out []Value
	for e := range jsonscan.Elements(raw) {
		v, err := decodeScalar(t.Element(), e)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	if len(out) == 0 {
		return nil, invalid(badParameter+"A set of the type %s may not be empty", t)
	}
	slices.SortFunc(out, compareScalars)
	if len(slices.CompactFunc(slices.Clone(out), Equal)) < len(out) {
		return nil, invalid(badParameter+"Input collection of the type %s contains duplicates", t)
	}
	return out, nil
}
