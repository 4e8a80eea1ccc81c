package dynamostore

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tollgate/pkg/dispatch"
)

// item is an item as the SDK has it.
type item = map[string]types.AttributeValue

func str(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func num(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

// strs encodes a list, not a set: a list keeps the order.
func strs(list []string) types.AttributeValue {
	values := make([]types.AttributeValue, len(list))
	for i, s := range list {
		values[i] = str(s)
	}
	return &types.AttributeValueMemberL{Value: values}
}

// keyOf returns the table key of an item.
func keyOf(pk string) item { return item{"pk": str(pk)} }

// attributeReader reads attributes and keeps the first error.
type attributeReader struct {
	item item
	err  error
}

func (a *attributeReader) wrong(name string) {
	if a.err == nil {
		a.err = fmt.Errorf("attribute %s has an unexpected type", name)
	}
}

// need reports attributes that are absent as an error.
func (a *attributeReader) need(names ...string) {
	for _, name := range names {
		if _, found := a.item[name]; !found {
			a.wrong(name)
		}
	}
}

// value reads an attribute of a type; false when it is absent or has another type.
func value[T types.AttributeValue](a *attributeReader, name string) (v T, ok bool) {
	found, ok := a.item[name]
	if !ok {
		return v, false
	}
	if v, ok = found.(T); !ok {
		a.wrong(name)
	}
	return v, ok
}

func (a *attributeReader) str(name string) string {
	if s, ok := value[*types.AttributeValueMemberS](a, name); ok {
		return s.Value
	}
	return ""
}

func (a *attributeReader) num(name string, absent int64) int64 {
	n, ok := value[*types.AttributeValueMemberN](a, name)
	if !ok {
		return absent
	}
	i, err := strconv.ParseInt(n.Value, 10, 64)
	if err != nil {
		a.wrong(name)
	}
	return i
}

func (a *attributeReader) millis(name string) time.Time {
	if _, found := a.item[name]; !found {
		return time.Time{}
	}
	return time.UnixMilli(a.num(name, 0)).UTC()
}

func (a *attributeReader) strs(name string) (out []string) {
	l, ok := value[*types.AttributeValueMemberL](a, name)
	if !ok {
		return nil
	}
	for _, e := range l.Value {
		s, ok := e.(*types.AttributeValueMemberS)
		if !ok {
			a.wrong(name)
			return nil
		}
		out = append(out, s.Value)
	}
	return out
}

// encodeFields returns an effect's fields as attributes, in a map that may be added to.
func encodeFields(f dispatch.Fields) (item, error) {
	out := make(item, len(f)+2)
	for name, v := range f {
		value, err := encode(v)
		if err != nil {
			return nil, fmt.Errorf("encode field %s: %w", name, err)
		}
		out[name] = value
	}
	return out, nil
}

func encode(v any) (types.AttributeValue, error) {
	switch v := v.(type) {
	case nil:
		return &types.AttributeValueMemberNULL{Value: true}, nil
	case string:
		return str(v), nil
	case int64:
		return num(v), nil
	case int:
		return num(int64(v)), nil
	case bool:
		return &types.AttributeValueMemberBOOL{Value: v}, nil
	case []byte:
		// The SDK sends a nil slice as null, which is not a binary value.
		return &types.AttributeValueMemberB{Value: append([]byte{}, v...)}, nil
	case dispatch.Fields:
		m, err := encodeFields(v)
		return &types.AttributeValueMemberM{Value: m}, err
	case []any:
		list := make([]types.AttributeValue, len(v))
		for i := range v {
			value, err := encode(v[i])
			if err != nil {
				return nil, err
			}
			list[i] = value
		}
		return &types.AttributeValueMemberL{Value: list}, nil
	default:
		return nil, fmt.Errorf("values of type %T cannot be stored", v)
	}
}

// decodeItem is the inverse of encodeFields. Numbers beyond int64 become json.Number and sets
// lists: no effect has them, but an operator may read any item.
func decodeItem(attributes item) map[string]any {
	out := make(map[string]any, len(attributes))
	for name, v := range attributes {
		out[name] = decode(v)
	}
	return out
}

func decode(v types.AttributeValue) any {
	switch v := v.(type) {
	case *types.AttributeValueMemberS:
		return v.Value
	case *types.AttributeValueMemberN:
		return decodeNumber(v.Value)
	case *types.AttributeValueMemberBOOL:
		return v.Value
	case *types.AttributeValueMemberB:
		return v.Value
	case *types.AttributeValueMemberM:
		return decodeItem(v.Value)
	case *types.AttributeValueMemberL:
		return decodeList(v.Value, decode)
	case *types.AttributeValueMemberSS:
		return decodeList(v.Value, func(s string) any { return s })
	case *types.AttributeValueMemberNS:
		return decodeList(v.Value, decodeNumber)
	case *types.AttributeValueMemberBS:
		return decodeList(v.Value, func(b []byte) any { return b })
	default:
		return nil
	}
}

func decodeNumber(s string) any {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n
	}
	return json.Number(s)
}

func decodeList[T any](list []T, element func(T) any) []any {
	out := make([]any, len(list))
	for i := range list {
		out[i] = element(list[i])
	}
	return out
}
