package ingest

import (
	"net/http"

	"tollgate/pkg/verify"
)

// DefaultEndpoint is the endpoint of the path that names none.
const DefaultEndpoint = "default"

// Request is one HTTP request, as far as ingest cares for it.
type Request struct {
	Method      string
	Endpoint    string // name in the path; "" when the path is none of ours
	ContentType string
	SourceIP    string // as the gateway saw it; only read when a list of sources is set
	Signature   string // the values of Stripe-Signature joined by commas, "" without any
	Body        []byte // the exact bytes that were sent; must not change afterwards
	Trace       string // trace header for the message, "" for none
}

// Answer is what the sender gets: received when Reason is empty, else refused.
type Answer struct {
	Status int
	Reason Reason
}

// Body returns the answer's JSON. It tells the sender nothing beyond one fixed word.
func (a Answer) Body() string {
	if a.Reason == "" {
		return `{"received":true}`
	}
	return `{"error":"` + string(a.Reason) + `"}`
}

// Reason is the fixed word of a refusal. The set is closed: those of [verify.Reason]
// and the ones here.
type Reason string

const (
	Missing   = Reason(verify.Missing)
	Malformed = Reason(verify.Malformed) // a signature header, or a whole request, that cannot be read
	NoMatch   = Reason(verify.NoMatch)
	TooOld    = Reason(verify.TooOld)
	Future    = Reason(verify.Future)
	NotEvent  = Reason(verify.NotEvent)

	Endpoint  Reason = "endpoint"   // no such path, or nobody has a secret under this name
	Method    Reason = "method"     // not POST
	Source    Reason = "source"     // an address that is not on the list
	TooLarge  Reason = "too_large"  // a body over limits.MaxBody
	MediaType Reason = "media_type" // not application/json
)

// Status returns the HTTP status that goes with a reason.
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
