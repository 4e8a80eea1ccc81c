package dynamodb

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"tollgate/pkg/local/aws/awsjson"
	"tollgate/pkg/local/aws/dynamodb/expr"
	"tollgate/pkg/local/aws/dynamodb/value"
)

// decodeRequest reads a request and rejects unknown members.
func decodeRequest(body []byte, in any) error {
	if !utf8.Valid(body) {
		return awsjson.Errorf("SerializationException", "the request is not valid UTF-8")
	}
	unknown, err := awsjson.Decode(body, in)
	if unknown != "" {
		return unsupported("the member " + unknown)
	}
	if aws, ok := errors.AsType[*awsjson.Error](asAWS(err)); err != nil && ok {
		return aws
	}
	if err != nil {
		return awsjson.Errorf("SerializationException", "%v", err)
	}
	return checkMembers(reflect.ValueOf(in).Elem())
}

// checkMembers looks for enumerations outside their values (tag `enum:"A,B"`) in a request
// and in the structures within it.
func checkMembers(v reflect.Value) error {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			return checkMembers(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			if err := checkMembers(v.Index(i)); err != nil {
				return err
			}
		}
	case reflect.Map:
		if v.Type() == reflect.TypeFor[value.Item]() {
			return nil
		}
		for _, key := range v.MapKeys() {
			if err := checkMembers(v.MapIndex(key)); err != nil {
				return err
			}
		}
	case reflect.Struct:
		return checkStruct(v)
	}
	return nil
}

func checkStruct(v reflect.Value) error {
	for i := range v.NumField() {
		f, field := v.Type().Field(i), v.Field(i)
		if enum := f.Tag.Get("enum"); enum != "" && !field.IsZero() {
			values := strings.Split(enum, ",")
			if !slices.Contains(values, field.String()) {
				return constraint(field.String(), lowerFirst(f.Name), "satisfy enum value set: ["+strings.Join(values, ", ")+"]")
			}
		}
		if err := checkMembers(field); err != nil {
			return err
		}
	}
	return nil
}

func lowerFirst(s string) string { return strings.ToLower(s[:1]) + s[1:] }

// placeholders are the request members that every expression may use.
type placeholders struct {
	ExpressionAttributeNames  map[string]string
	ExpressionAttributeValues value.Item
}

func (p placeholders) params() (*expr.Params, error) {
	return expr.NewParams(p.ExpressionAttributeNames, p.ExpressionAttributeValues)
}

// reporting are the members that ask for metrics. Item collections exist only with local
// secondary indexes, so their metrics are never returned.
type reporting struct {
	ReturnConsumedCapacity      string `enum:"INDEXES,TOTAL,NONE"`
	ReturnItemCollectionMetrics string `enum:"SIZE,NONE"`
}
