// Package awsjson serves AWS services over the AWS JSON protocols 1.0 and 1.1.
//
// A service is a table of operations. This package runs the operation of X-Amz-Target
// with the request body and writes its answer or error in the form that AWS SDKs, the
// AWS CLI and boto3 read. It does not check request signatures, at most the access key's
// id ([KeyedHandler]): use it on loopback only.
//
//	h := awsjson.Handler(sqsService, dynamoService)
//	http.Serve(listener, h)
package awsjson

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"strings"
)

// MaxRequestBytes bounds one request's body; DynamoDB's own bound of 16 MB is the largest of the services.
const MaxRequestBytes = 16 << 20

// presized is how many bytes a request gets memory for before they have arrived.
const presized = 64 << 10

// Operation runs one API call. The body is the request's JSON, at most
// [MaxRequestBytes]; the answer is marshalled with encoding/json. An error
// other than [*Error] becomes an InternalServerError (500).
type Operation func(ctx context.Context, body []byte) (any, error)

// Service is one AWS service. It must not change once served.
type Service struct {
	// Target is the part of X-Amz-Target before the dot, for example "AmazonSQS".
	Target string
	// Version is the JSON protocol's version in content types: "1.0" or "1.1".
	Version string
	// ErrorNamespace is put before an error's code in __type, for example "com.amazonaws.sqs#".
	ErrorNamespace string
	// QueryCompatible means that older clients read the code in X-Amzn-Query-Error, as for SQS.
	QueryCompatible bool
	// Operations by name, for example "SendMessage".
	Operations map[string]Operation
}

// Error is an AWS error: the code that SDKs map to a type, a readable message and the HTTP status.
type Error struct {
	Status  int    // HTTP status, 400 when zero
	Code    string // for example "ConditionalCheckFailedException"
	Message string
	// QueryCode is the code older clients expect, sent as X-Amzn-Query-Error; SQS needs it.
	QueryCode string
	// Fields are further members of the error body, for example "Item" or "CancellationReasons".
	Fields map[string]any
}

// Error returns "code: message".
func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Errorf makes a 400 error with a formatted message.
func Errorf(code, format string, args ...any) *Error {
	return &Error{Status: http.StatusBadRequest, Code: code, Message: fmt.Sprintf(format, args...)}
}

// Handler serves the given services on one address, chosen by X-Amz-Target.
// Requests other than POST answer 405, unknown targets and operations 400
// UnknownOperationException, larger bodies 413.
func Handler(services ...Service) http.Handler {
	return handler(func(Service, *http.Request) *Error { return nil }, services)
}

func handler(refusal func(Service, *http.Request) *Error, services []Service) http.Handler {
	byTarget := make(map[string]Service, len(services))
	for _, s := range services {
		byTarget[s.Target] = s
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			http.Error(w, "this address speaks the AWS JSON protocols: POST only", http.StatusMethodNotAllowed)
			return
		}
		target, name, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
		s, known := byTarget[target]
		if !known {
			s = Service{Version: "1.0"}
		}
		if err := refusal(s, r); err != nil {
			s.writeError(w, err)
			return
		}
		op := s.Operations[name]
		if op == nil {
			s.writeError(w, Errorf("UnknownOperationException",
				"operation %q is not supported by this embedded service", r.Header.Get("X-Amz-Target")))
			return
		}
		s.serve(w, r, op)
	})
}

func (s Service) serve(w http.ResponseWriter, r *http.Request, op Operation) {
	body, err := readBody(r)
	if err != nil {
		s.writeError(w, err)
		return
	}
	if len(bytes.TrimSpace(body)) == 0 {
		body = []byte("{}")
	}
	answer, err := op(WithRequestHost(r.Context(), r.Host), body)
	if err != nil {
		s.writeError(w, err)
		return
	}
	encoded, err := json.Marshal(answer)
	if err != nil {
		s.writeError(w, fmt.Errorf("encode answer: %w", err))
		return
	}
	s.write(w, http.StatusOK, encoded)
}

// readBody returns an error for an incomplete body: no operation may run with a part of a request, and a handler that
// writes nothing would send 200.
func readBody(r *http.Request) ([]byte, error) {
	var body bytes.Buffer
	body.Grow(int(min(max(0, r.ContentLength), presized)) + bytes.MinRead)
	if _, err := body.ReadFrom(io.LimitReader(r.Body, MaxRequestBytes+1)); err != nil {
		return nil, Errorf("RequestIncomplete", "the request body ended early: %v", err)
	}
	if body.Len() <= MaxRequestBytes {
		return body.Bytes(), nil
	}
	// Clients read the answer only after they have sent their body, so a bounded rest is read.
	io.CopyN(io.Discard, r.Body, 3*MaxRequestBytes)
	return nil, &Error{Status: http.StatusRequestEntityTooLarge, Code: "RequestEntityTooLarge",
		Message: fmt.Sprintf("request body is over %d bytes", MaxRequestBytes)}
}

type requestHostKey struct{}

// WithRequestHost returns a context that carries the Host header of a request; [Handler] does it for every operation.
func WithRequestHost(ctx context.Context, host string) context.Context {
	return context.WithValue(ctx, requestHostKey{}, host)
}

// RequestHost returns the Host header of the request that an operation serves, or "" outside a request.
// Services need it for URLs in answers, such as queue URLs.
func RequestHost(ctx context.Context) string {
	host, _ := ctx.Value(requestHostKey{}).(string)
	return host
}

func (s Service) writeError(w http.ResponseWriter, err error) {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		e = &Error{Status: http.StatusInternalServerError, Code: "InternalServerError", Message: err.Error()}
	}
	body := make(map[string]any, len(e.Fields)+2)
	for k, v := range e.Fields {
		body[k] = v
	}
	body["__type"] = s.ErrorNamespace + e.Code
	body["message"] = e.Message
	if e.QueryCode != "" {
		fault := "Sender"
		if e.Status >= 500 {
			fault = "Receiver"
		}
		w.Header().Set("X-Amzn-Query-Error", e.QueryCode+";"+fault)
	}
	encoded, err := json.Marshal(body)
	if err != nil {
		encoded = []byte(`{"__type":"InternalServerError","message":"encode error"}`)
	}
	status := e.Status
	if status == 0 {
		status = http.StatusBadRequest
	}
	s.write(w, status, encoded)
}

func (s Service) write(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/x-amz-json-"+s.Version)
	h.Set("X-Amzn-RequestId", rand.Text())
	h.Set("X-Amz-Crc32", fmt.Sprint(crc32.ChecksumIEEE(body))) // DynamoDB clients check it
	w.WriteHeader(status)
	w.Write(body)
}
