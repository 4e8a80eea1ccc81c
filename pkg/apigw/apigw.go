// Package apigw converts an API Gateway event into an ingest request, and the answer into
// the gateway's response.
//
// It reads payload version "2.0" (HTTP APIs, function URLs) and takes every other as 1.0
// (REST APIs), with a body in plain text or base64. It rejects an event that it cannot
// parse as malformed; every other decision is ingest's.
//
//	lambda.Start(apigw.NewHandler(ingestHandler))
package apigw

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"tollgate/pkg/ingest"
)

// Ingest answers deliveries; [ingest.Handler] does.
type Ingest interface {
	// Handle answers one request.
	Handle(ctx context.Context, r ingest.Request) (ingest.Answer, error)
	// Reject answers what could not be parsed as a request.
	Reject(ctx context.Context, r ingest.Request, reason ingest.Reason) ingest.Answer
}

// Handler is a Lambda handler over raw bytes, a github.com/aws/aws-lambda-go/lambda.Handler.
// It is safe for concurrent use.
type Handler struct{ ingest Ingest }

// NewHandler returns a handler that calls i.
func NewHandler(i Ingest) *Handler { return &Handler{ingest: i} }

// Invoke answers one gateway event, and one that it cannot parse with 400 `malformed`. An
// error is ingest's: API Gateway answers it with a 5xx.
func (h *Handler) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	r, err := Request(payload)
	if err != nil {
		return encode(h.ingest.Reject(ctx, r, ingest.Malformed))
	}
	// The runtime's trace header has this function's segment; the request's header has only
	// the caller's.
	if t, ok := ctx.Value("x-amzn-trace-id").(string); ok {
		r.Trace = cmp.Or(cleanTrace(t), r.Trace)
	}
	a, err := h.ingest.Handle(ctx, r)
	if err != nil {
		return nil, err
	}
	return encode(a)
}

// Request parses a gateway event. With an error, which quotes nothing of the event, the
// request has what could be parsed, without the body. The body may share payload's memory.
func Request(payload []byte) (ingest.Request, error) {
	e, err := readEvent(payload)
	if err != nil {
		return ingest.Request{}, errors.New("parse gateway event: not its JSON")
	}
	r := e.request()
	if r.Method == "" {
		return r, errors.New("parse gateway event: no method")
	}
	if !e.isBase64Encoded {
		r.Body = e.body
		return r, nil
	}
	body, err := base64.StdEncoding.AppendDecode(make([]byte, 0, base64.StdEncoding.DecodedLen(len(e.body))), e.body)
	if err != nil {
		return r, errors.New("parse gateway event: the body is not base64")
	}
	r.Body = body
	return r, nil
}

// request returns the request without its body.
func (e *gatewayEvent) request() ingest.Request {
	r := ingest.Request{
		Endpoint:    e.endpoint(),
		ContentType: e.header(headerContentType),
		Signature:   e.header(headerSignature),
		Trace:       cleanTrace(e.header(headerTrace)),
	}
	if e.version == "2.0" {
		r.Method, r.SourceIP = e.httpMethod2, e.httpSourceIP
	} else {
		r.Method, r.SourceIP = e.httpMethod, e.identitySourceIP
	}
	return r
}

// reply is a response in the form of both payload versions.
type reply struct {
	StatusCode int `json:"statusCode"`
	Headers    struct {
		Allow       string `json:"allow,omitempty"`
		ContentType string `json:"content-type"`
	} `json:"headers"`
	Body            string `json:"body"`
	IsBase64Encoded bool   `json:"isBase64Encoded"`
}

func encode(a ingest.Answer) ([]byte, error) {
	r := reply{StatusCode: a.Status, Body: a.Body()}
	r.Headers.ContentType = "application/json"
	if a.Status == http.StatusMethodNotAllowed {
		r.Headers.Allow = http.MethodPost
	}
	out, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encode answer: %w", err)
	}
	return out, nil
}
