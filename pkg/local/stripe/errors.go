package stripe

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// apiError is Stripe's form of an error.
type apiError struct {
	status  int
	Code    string `json:"code,omitempty"`
	Message string `json:"message"`
	Param   string `json:"param,omitempty"`
	Type    string `json:"type"`
}

func invalid(status int, code, param, format string, args ...any) *apiError {
	return &apiError{status: status, Code: code, Param: param, Type: "invalid_request_error", Message: fmt.Sprintf(format, args...)}
}

// broken is an internal failure of the fake Stripe.
func broken(err error) *apiError {
	return &apiError{status: http.StatusInternalServerError, Type: "api_error", Message: err.Error()}
}

func (e *apiError) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(e.status)
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.Encode(map[string]*apiError{"error": e}) // fails only when the client is gone
}
