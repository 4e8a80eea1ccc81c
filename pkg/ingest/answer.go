package ingest

import (
	"net/http"

	"tollgate/pkg/verify"
)

// DefaultEndpoint is the endpoint of a path without a name.
const DefaultEndpoint = "default"

// Request is the part of an HTTP request that ingest reads.
type Request struct {
	Method      string
	Endpoint    string // name in the path; "" for an unknown path
	ContentType string
	SourceIP    string // as the gateway saw it; read only with AllowIPs
	Signature   string // the values of Stripe-Signature joined by commas, "" without any
	Body        []byte // the exact bytes that were sent; must not change afterwards
	Trace       string // trace header for the message, "" for none
}

// Answer is the response to the sender: received if Reason is empty, else rejected.
type Answer struct {
	Status int
	Reason Reason
}

// Body returns the answer's JSON, which has nothing but one fixed word.
func (a Answer) Body() string {
	if a.Reason == "" {
		return `{"received":true}`
	}
	return `{"error":"` + string(a.Reason) + `"}`
}

// Reason is the fixed word of a rejection: one of [verify.Reason] or of these.
type Reason string

const (
	Missing   = Reason(verify.Missing)
	Malformed = Reason(verify.Malformed) // the signature header or the request cannot be parsed
	NoMatch   = Reason(verify.NoMatch)
	TooOld    = Reason(verify.TooOld)
	Future    = Reason(verify.Future)
	NotEvent  = Reason(verify.NotEvent)

	Endpoint  Reason = "endpoint"   // unknown path, or no secret under this name
	Method    Reason = "method"     // not POST
	Source    Reason = "source"     // the address is not on the list
	TooLarge  Reason = "too_large"  // a body over limits.MaxBody
	MediaType Reason = "media_type" // not application/json
)

// Status returns the HTTP status of a reason.
func (r Reason) Status() int {
	switch r {
	case Endpoint:
		return http.StatusNotFound
	case Method:
		return http.StatusMethodNotAllowed
	case Source:
		return http.StatusForbidden
	case TooLarge:
		return http.StatusRequestEntityTooLarge
	case MediaType:
		return http.StatusUnsupportedMediaType
	}
	return http.StatusBadRequest
}
