package stripe

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
)

func (s *StandIn) routes() {
	s.mux = http.NewServeMux()
	s.mux.HandleFunc("GET /v1/events", s.api(s.list))
	s.mux.HandleFunc("GET /v1/events/{id}", s.api(s.get))
	s.mux.HandleFunc("GET /v2/core/events/{id}", s.api(s.getThin))
	s.mux.HandleFunc("POST /_standin/events", s.give)
	s.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		invalid(http.StatusNotFound, "", "", "The stand-in for Stripe does not serve %s %.100s.", r.Method, r.URL.Path).write(w)
	})
}

// ServeHTTP serves Stripe's paths and the stand-in's own.
func (s *StandIn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := checkKey(r); err != nil {
		err.write(w)
		return
	}
	s.mux.ServeHTTP(w, r)
}

// apiFunc answers one request to a path of Stripe's.
type apiFunc func(r *http.Request) ([]byte, *apiError)

// api puts faults before a function and its answer into the response.
func (s *StandIn) api(f apiFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if s.faults.hit(w) {
			return
		}
		body, err := f(r)
		if err != nil {
			err.write(w)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Write(body) // fails only when the client is gone
	}
}

func checkKey(r *http.Request) *apiError {
	key, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !bearer {
		key, _, _ = r.BasicAuth()
	}
	switch {
	case key == "":
		return invalid(http.StatusUnauthorized, "", "", "No API key was given: send one as a bearer token or as the user of basic authentication.")
	case strings.HasPrefix(key, "sk_test_"), strings.HasPrefix(key, "rk_test_"):
		return nil
	case strings.Contains(key, "_live_"):
		return invalid(http.StatusUnauthorized, "", "", "A live key has no business at the stand-in for Stripe: use any sk_test_ key.")
	}
	return invalid(http.StatusUnauthorized, "", "", "Invalid API key: the stand-in for Stripe takes any sk_test_ or rk_test_ key.")
}

// account is the account whose events a request asks for.
func account(r *http.Request) string {
	if context := r.Header.Get("Stripe-Context"); context != "" {
		return context
	}
	return r.Header.Get("Stripe-Account")
}

func (s *StandIn) get(r *http.Request) ([]byte, *apiError) {
	for name := range r.URL.Query() {
		return nil, unknown(name)
	}
	e := s.find(r, false)
	if e == nil {
		return nil, invalid(http.StatusNotFound, "resource_missing", "id", "No such event: '%.255s'", r.PathValue("id"))
	}
	return s.render(e), nil
}

func (s *StandIn) getThin(r *http.Request) ([]byte, *apiError) {
	if r.Header.Get("Stripe-Version") == "" {
		return nil, invalid(http.StatusBadRequest, "missing_version", "", "Requests to /v2 need a Stripe-Version header.")
	}
	e := s.find(r, true)
	if e == nil {
		return nil, invalid(http.StatusNotFound, "not_found", "", "Event %.255q was not found.", r.PathValue("id"))
	}
	return e.body, nil
}

// find returns the event that the request names, if its account may see it now.
func (s *StandIn) find(r *http.Request, thin bool) *event {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.store.byID[r.PathValue("id")]
	if e == nil || e.thin != thin || e.account != account(r) || s.now().Before(e.visible) {
		return nil
	}
	return e
}

// give remembers the event in a request's body.
func (s *StandIn) give(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxEventBytes))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		invalid(http.StatusRequestEntityTooLarge, "", "", "An event may have %d bytes.", MaxEventBytes).write(w)
		return
	}
	if err != nil {
		invalid(http.StatusBadRequest, "", "", "The body could not be read to its end.").write(w)
		return
	}
	k, err := s.remember(body)
	switch {
	case errors.Is(err, ErrNotEvent):
		invalid(http.StatusBadRequest, "", "", "The body is %v.", err).write(w)
	case err != nil:
		(&apiError{status: http.StatusInternalServerError, Type: "api_error", Message: err.Error()}).write(w)
	default:
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(k) // fails only when the client is gone
	}
}
