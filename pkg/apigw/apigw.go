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
	if t, ok := ctx.Value("x-amzn-trace-id").(string); ok && cleanTrace(t) != "" {
		r.Trace = cleanTrace(t)
	}
	a, err := h.ingest.Handle(ctx, r)
	if err != nil {
		return nil, err
	}
	return encode(a)
}

// gatewayEvent has the members of both payload versions that we read.
type gatewayEvent struct {
	Version        string            `json:"version"`
	RawPath        string            `json:"rawPath"`  // 2.0
	RouteKey       string            `json:"routeKey"` // 2.0
	Path           string            `json:"path"`     // 1.0
	Resource       string            `json:"resource"` // 1.0
	HTTPMethod     string            `json:"httpMethod"`
	PathParameters map[string]string `json:"pathParameters"`

	Headers           map[string]string   `json:"headers"`
	MultiValueHeaders map[string][]string `json:"multiValueHeaders"`

	RequestContext struct {
		Stage string `json:"stage"`
		HTTP  struct {
			Method   string `json:"method"`
			SourceIP string `json:"sourceIp"`
		} `json:"http"` // 2.0
		Identity struct {
			SourceIP string `json:"sourceIp"`
		} `json:"identity"` // 1.0
	} `json:"requestContext"`

	Body            string `json:"body"`
	IsBase64Encoded bool   `json:"isBase64Encoded"`
}

// Request parses a gateway event. With an error, which quotes nothing of the event, the
// request has what could be parsed, without the body.
func Request(payload []byte) (ingest.Request, error) {
	var e gatewayEvent
	if err := json.Unmarshal(payload, &e); err != nil {
		return ingest.Request{}, errors.New("parse gateway event: not its JSON")
	}
	r := e.request()
	if r.Method == "" {
		return r, errors.New("parse gateway event: no method")
	}
	r.Body = []byte(e.Body)
	if e.IsBase64Encoded {
		body, err := base64.StdEncoding.DecodeString(e.Body)
		if err != nil {
			r.Body = nil
			return r, errors.New("parse gateway event: the body is not base64")
		}
		r.Body = body
	}
	return r, nil
}

// request returns the request without its body.
func (e *gatewayEvent) request() ingest.Request {
	r := ingest.Request{
		Endpoint:    e.endpoint(),
		ContentType: e.header("content-type"),
		Signature:   e.header("stripe-signature"),
		Trace:       cleanTrace(e.header("x-amzn-trace-id")),
	}
	if e.Version == "2.0" {
		r.Method, r.SourceIP = e.RequestContext.HTTP.Method, e.RequestContext.HTTP.SourceIP
	} else {
		r.Method, r.SourceIP = e.HTTPMethod, e.RequestContext.Identity.SourceIP
	}
	return r
}

// reply is a response in the form of both payload versions.
type reply struct {
	StatusCode      int               `json:"statusCode"`
	Headers         map[string]string `json:"headers"`
	Body            string            `json:"body"`
	IsBase64Encoded bool              `json:"isBase64Encoded"`
}

func encode(a ingest.Answer) ([]byte, error) {
	headers := map[string]string{"content-type": "application/json"}
	if a.Status == http.StatusMethodNotAllowed {
		headers["allow"] = http.MethodPost
	}
	out, err := json.Marshal(reply{StatusCode: a.Status, Headers: headers, Body: a.Body()})
	if err != nil {
		return nil, fmt.Errorf("encode answer: %w", err)
	}
	return out, nil
}
