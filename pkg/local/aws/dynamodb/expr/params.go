package expr

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"tollgate/pkg/local/aws/dynamodb/value"
)

// Limits of one request's expressions.
const (
	maxExpressionBytes = 4096
	maxOperators       = 300
	maxInOperands      = 100
	maxPathDepth       = 32
	maxNameBytes       = 255
	maxParamBytes      = 2 << 20
)

// Error is an invalid expression or use of one; the text is the whole message.
type Error = value.InvalidError

func errorf(format string, args ...any) *Error {
	return &Error{Message: fmt.Sprintf(format, args...)}
}

// Params are the #names and :values of one request, shared by its expressions.
type Params struct {
	names      map[string]string
	values     value.Item
	usedNames  map[string]bool
	usedValues map[string]bool
	parsed     []string // the expressions seen so far
}

// NewParams takes ExpressionAttributeNames and ExpressionAttributeValues; nil
// means that the request has none. It returns *Error for keys of the wrong form.
func NewParams(names map[string]string, values value.Item) (*Params, error) {
	if err := checkPlaceholders("ExpressionAttributeNames", "#", names); err != nil {
		return nil, err
	}
	if err := checkPlaceholders("ExpressionAttributeValues", ":", values); err != nil {
		return nil, err
	}
	size := values.Size()
	for _, name := range names {
		size += len(name)
		if len(name) > 65535 || name == "" {
			return nil, errorf("ExpressionAttributeNames contains invalid value: an attribute name has 1 to 65535 bytes")
		}
	}
	if size > maxParamBytes {
		return nil, errorf("Expression attribute names and values exceed the maximum allowed size; size: %d", size)
	}
	return &Params{names: names, values: values, usedNames: map[string]bool{}, usedValues: map[string]bool{}}, nil
}

func checkPlaceholders[V any](member, sign string, m map[string]V) error {
	if m != nil && len(m) == 0 {
		return errorf("%s must not be empty", member)
	}
	for _, key := range slices.Sorted(maps.Keys(m)) {
		rest, ok := strings.CutPrefix(key, sign)
		if !ok || rest == "" || len(key) > maxNameBytes || span(rest, 0, isWordPart) < len(rest) {
			return errorf("%s contains invalid key: Syntax error; key: %q", member, key)
		}
	}
	return nil
}

// Unused rejects names and values that no parsed expression has used.
func (p *Params) Unused() error {
	if p.names != nil && len(p.parsed) == 0 {
		return errorf("ExpressionAttributeNames can only be specified when using expressions")
	}
	if p.values != nil && !slices.ContainsFunc(p.parsed, func(s string) bool { return s != "ProjectionExpression" }) {
		return errorf("ExpressionAttributeValues can only be specified when using expressions")
	}
	if left := missingFrom(p.usedNames, p.names); left != "" {
		return errorf("Value provided in ExpressionAttributeNames unused in expressions: keys: {%s}", left)
	}
	if left := missingFrom(p.usedValues, p.values); left != "" {
		return errorf("Value provided in ExpressionAttributeValues unused in expressions: keys: {%s}", left)
	}
	return nil
}

func missingFrom[V any](used map[string]bool, all map[string]V) string {
	left := slices.Sorted(maps.Keys(all))
	return strings.Join(slices.DeleteFunc(left, func(k string) bool { return used[k] }), ", ")
}
