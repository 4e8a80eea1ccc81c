package sqs

import (
	"fmt"
	"net/http"

	"tollgate/pkg/local/aws/awsjson"
)

const queryPrefix = "AWS.SimpleQueueService."

// fault makes an SQS error whose older query code is prefix + code.
func fault(status int, prefix, code, format string, args ...any) *awsjson.Error {
	return &awsjson.Error{Status: status, Code: code, Message: fmt.Sprintf(format, args...), QueryCode: prefix + code}
}

func errQueueDoesNotExist() *awsjson.Error {
	e := fault(http.StatusBadRequest, "", "QueueDoesNotExist", "The specified queue does not exist.")
	e.QueryCode = queryPrefix + "NonExistentQueue"
	return e
}

func errQueueNameExists(attribute string) *awsjson.Error {
	e := fault(http.StatusBadRequest, "", "QueueNameExists",
		"A queue already exists with the same name and a different value for attribute %s", attribute)
	e.QueryCode = "QueueAlreadyExists"
	return e
}

func errInvalidParameter(format string, args ...any) *awsjson.Error {
	return fault(http.StatusBadRequest, "", "InvalidParameterValue", format, args...)
}

func errOutOfRange(name string, value, low, high int) *awsjson.Error {
	return errInvalidParameter("Value %d for parameter %s is invalid. Reason: Must be between %d and %d, if provided.",
		value, name, low, high)
}

func errMissing(name string) *awsjson.Error {
	return fault(http.StatusBadRequest, "", "MissingParameter", "The request must contain the parameter %s.", name)
}

func errUnsupported(format string, args ...any) *awsjson.Error {
	return fault(http.StatusBadRequest, queryPrefix, "UnsupportedOperation", format, args...)
}

func errAttributeName(name string) *awsjson.Error {
	return fault(http.StatusBadRequest, "", "InvalidAttributeName", "Unknown Attribute %s.", name)
}

func errAttributeValue(name string) *awsjson.Error {
	return fault(http.StatusBadRequest, "", "InvalidAttributeValue", "Invalid value for the parameter %s.", name)
}

func errContents(where string) *awsjson.Error {
	return fault(http.StatusBadRequest, "", "InvalidMessageContents",
		"Invalid characters found in %s. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF", where)
}

func errReceiptInvalid() *awsjson.Error {
	return fault(http.StatusNotFound, "", "ReceiptHandleIsInvalid", "The input receipt handle is invalid.")
}

func errOverLimit() *awsjson.Error {
	return fault(http.StatusForbidden, "", "OverLimit",
		"Too many messages in flight for the queue; delete messages or wait for visibility timeouts to end.")
}

func errUnavailable(why string) *awsjson.Error {
	return fault(http.StatusServiceUnavailable, "", "ServiceUnavailable", "%s", why)
}
