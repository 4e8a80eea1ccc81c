package lambdahost

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// ErrThrottled means that the function is at its concurrency. It did not run.
var ErrThrottled = errors.New("function is throttled: all its environments are busy")

// ErrClosed means that the function was closed. It did not run.
var ErrClosed = errors.New("function is closed")

// The types of a [FunctionError] that the host sets; all others come from the function.
const (
	TypeTimedOut          = "Sandbox.Timedout"              // ran longer than Options.Timeout and was killed
	TypeExit              = "Runtime.ExitError"             // the process ended without an answer
	TypeInvalidEntrypoint = "Runtime.InvalidEntrypoint"     // the binary is missing or cannot be executed
	TypeResponseTooLarge  = "Function.ResponseSizeTooLarge" // answered more than MaxResponseBytes
	TypeUnknown           = "Runtime.Unknown"               // the function reported an error without a type
)

// FunctionError is a failed invocation: what the function reported, or how it
// ended. Lambda marks all of these "Unhandled".
type FunctionError struct {
	Type      string // for example "errorString", TypeTimedOut or TypeExit
	Message   string // readable; from the function, so it can have several lines
	Payload   []byte // the error as JSON, as Lambda would return it to the caller
	RequestID string // empty if the function failed before any invocation
}

// Error returns "type: message".
func (e *FunctionError) Error() string { return e.Type + ": " + e.Message }

// StartError is the reason why no environment of the function could start. The
// invocation did not run. While a function keeps failing to start, invocations get
// the last StartError at once, without another start.
type StartError struct {
	Function string
	Err      error // a *FunctionError
}

// Error is one line that names the function and the cause.
func (e *StartError) Error() string {
	text := strings.Join(strings.Fields(e.Err.Error()), " ")
	return "start function " + e.Function + ": " + text
}

// Unwrap returns the cause.
func (e *StartError) Unwrap() error { return e.Err }

// hostError is an error that the host reports for the function.
func hostError(errorType, requestID, format string, args ...any) *FunctionError {
	message := fmt.Sprintf(format, args...)
	if requestID != "" {
		message = "RequestId: " + requestID + " Error: " + message
	}
	payload, err := json.Marshal(map[string]string{"errorType": errorType, "errorMessage": message})
	if err != nil {
		payload = []byte(`{}`) // two strings always marshal
	}
	return &FunctionError{Type: errorType, Message: message, Payload: payload, RequestID: requestID}
}

// reportedError reads the error that a function posted. If the body is not the usual
// object, the type is that of the header.
func reportedError(requestID, headerType string, body []byte) *FunctionError {
	var report struct {
		Type    string `json:"errorType"`
		Message string `json:"errorMessage"`
	}
	if json.Unmarshal(body, &report) != nil {
		report.Message = "the function reported an error that is no JSON object"
	}
	if report.Type == "" {
		report.Type = headerType
	}
	if report.Type == "" {
		report.Type = TypeUnknown
	}
	return &FunctionError{Type: report.Type, Message: report.Message, Payload: body, RequestID: requestID}
}
