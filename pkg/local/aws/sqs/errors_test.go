package sqs_test

import (
	"errors"

	"github.com/aws/smithy-go"
)

// codeOf is the code that a client sees, "" for no error.
func codeOf(err error) string {
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		return e.ErrorCode()
	}
	return ""
}
