package dynamodb

import (
	"errors"
	"fmt"

	"tollgate/pkg/local/aws/awsjson"
	"tollgate/pkg/local/aws/dynamodb/value"
)

// badParameter starts many of DynamoDB's messages.
const badParameter = "One or more parameter values were invalid: "

func invalid(format string, args ...any) *awsjson.Error {
	return awsjson.Errorf("ValidationException", format, args...)
}

func unsupported(what string) *awsjson.Error {
	return invalid("%s is not supported by this embedded DynamoDB", what)
}

func noSuchResource() *awsjson.Error {
	return awsjson.Errorf("ResourceNotFoundException", "Requested resource not found")
}

func noSuchTable(name string) *awsjson.Error {
	return awsjson.Errorf("ResourceNotFoundException", "Requested resource not found: Table: %s not found", name)
}

// conditionFailed is the error of a write whose condition is false; old is nil unless the
// request asks for it and it exists.
func conditionFailed(old value.Item) *awsjson.Error {
	e := awsjson.Errorf("ConditionalCheckFailedException", "The conditional request failed")
	if old != nil {
		e.Fields = map[string]any{"Item": old}
	}
	return e
}

// constraint is the message for a member outside its documented bounds.
func constraint(got any, member, must string) *awsjson.Error {
	return invalid("1 validation error detected: Value '%v' at '%s' failed to satisfy constraint: Member must %s", got, member, must)
}

// asAWS converts errors of expressions and values to AWS errors. It keeps others: errors of
// the disk or of this program.
func asAWS(err error) error {
	if e, ok := errors.AsType[*value.InvalidError](err); ok {
		return invalid("%s", e.Message)
	}
	if e, ok := errors.AsType[*value.MalformedError](err); ok {
		return awsjson.Errorf("SerializationException", "%s", e.Message)
	}
	if e, ok := errors.AsType[*awsjson.Error](err); ok {
		return e
	}
	return fmt.Errorf("dynamodb: %w", err)
}
