package value

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"

	"tollgate/pkg/local/aws/dynamodb/number"
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
func (it *Item) UnmarshalJSON(text []byte) error {
	var raw any
	if err := json.Unmarshal(text, &raw); err != nil {
		return malformed("%v", err)
	}
	if raw == nil {
		return nil
	}
	decoded, err := decodeMap(raw, 0)
	*it = decoded
	return err
}

// UnmarshalJSON reads a value such as {"S":"a"}; it returns *InvalidError or *MalformedError.
func (v *Value) UnmarshalJSON(text []byte) error {
	var raw any
	if err := json.Unmarshal(text, &raw); err != nil {
		return malformed("%v", err)
	}
	decoded, err := decode(raw, 0)
	*v = decoded
	return err
}

func decode(raw any, depth int) (Value, error) {
	members, ok := raw.(map[string]any)
	if !ok {
		return Value{}, malformed("an attribute value must be an object such as {\"S\":\"text\"}")
	}
	if len(members) > 1 {
		return Value{}, invalid("Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes")
	}
	for name, content := range members {
		return decodeAs(Type(name), content, depth)
	}
	return Value{}, invalid("Supplied AttributeValue is empty, must contain exactly one of the supported datatypes")
}

func decodeAs(t Type, raw any, depth int) (Value, error) {
	v := Value{Type: t}
	var err error
	switch t {
	case String, Num, Binary:
		return decodeScalar(t, raw)
	case Bool, Null:
		b, ok := raw.(bool)
		if !ok {
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

func decodeScalar(t Type, raw any) (Value, error) {
	v := Value{Type: t}
	text, ok := raw.(string)
	if !ok {
		return v, malformed("%s must be a string", t)
	}
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

func decodeList(raw any, depth int) ([]Value, error) {
	elements, ok := raw.([]any)
	if !ok {
		return nil, malformed("a list must be a JSON array")
	}
	if depth > MaxDepth {
		return nil, tooDeep()
	}
	out := make([]Value, len(elements))
	for i, e := range elements {
		v, err := decode(e, depth)
		if err != nil {
			return nil, err
		}
		out[i] = v
	}
	return out, nil
}

func decodeMap(raw any, depth int) (Item, error) {
	members, ok := raw.(map[string]any)
	if !ok {
		return nil, malformed("a map of attribute values must be a JSON object")
	}
	if depth > MaxDepth {
		return nil, tooDeep()
	}
	out := make(Item, len(members))
	for name, e := range members {
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

func decodeSet(t Type, raw any) ([]Value, error) {
	elements, ok := raw.([]any)
	if !ok {
		return nil, malformed("a set must be a JSON array")
	}
	if len(elements) == 0 {
		return nil, invalid(badParameter+"A set of the type %s may not be empty", t)
	}
	out := make([]Value, len(elements))
	for i, e := range elements {
		v, err := decodeScalar(t.Element(), e)
		if err != nil {
			return nil, err
		}
		out[i] = v
	}
	slices.SortFunc(out, compareScalars)
	if len(slices.CompactFunc(slices.Clone(out), Equal)) < len(out) {
		return nil, invalid(badParameter+"Input collection of the type %s contains duplicates", t)
	}
	return out, nil
}
