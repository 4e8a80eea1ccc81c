package awsjson

import (
	"crypto/subtle"
	"net/http"
	"strings"
)

// KeyedHandler is [Handler] for requests with the given access key id in their Authorization
// header. It rejects others as AWS rejects an unknown key. The id is a secret that the clients
// share: signatures are not checked.
func KeyedHandler(id string, services ...Service) http.Handler {
	return handler(func(s Service, r *http.Request) *Error {
		authorization := r.Header.Get("Authorization")
		if authorization == "" {
			return s.denied("MissingAuthenticationTokenException", "MissingAuthenticationToken", "Request is missing Authentication Token")
		}
		if !HasKey(r, id) {
			return s.denied("UnrecognizedClientException", "InvalidClientTokenId", "The security token included in the request is invalid.")
		}
		return nil
	}, services)
}

// HasKey reports whether a request has this access key id in its Authorization header.
func HasKey(r *http.Request, id string) bool {
	credential, ok := strings.CutPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential=")
	given, _, scoped := strings.Cut(credential, "/")
	return ok && scoped && subtle.ConstantTimeCompare([]byte(given), []byte(id)) == 1
}

// denied is the error for a caller with another key: with the older code and 403 where clients read it.
func (s Service) denied(code, queryCode, message string) *Error {
	e := Errorf(code, "%s", message)
	if s.QueryCompatible {
		e.Status, e.QueryCode = http.StatusForbidden, queryCode
	}
	return e
}
