package stripe

import (
	"cmp"
	"fmt"
	"net/http"
	"strings"
)

func (s *Fake) routes() {
	s.mux = http.NewServeMux()
	s.mux.HandleFunc("GET /v1/events", s.api(s.list))
	s.mux.HandleFunc("GET /v1/events/{id}", s.api(s.get))
	s.mux.HandleFunc("GET /v2/core/events/{id}", s.api(s.getThin))
	for kind := range strings.FieldsSeq(kinds) {
		s.mux.HandleFunc("GET /v1/"+collection(kind)+"/{id}", s.api(s.object(kind)))
	}
	s.mux.HandleFunc("GET /v1/account", s.api(s.getAccount))
	s.mux.HandleFunc("GET /v1/subscription_items", s.api(s.listItems))
	s.mux.HandleFunc("GET /v1/refunds", s.api(s.listRefunds))
	const endpoints = "/v1/webhook_endpoints"
	s.mux.HandleFunc("POST "+endpoints, s.api(s.once(s.createEndpoint)))
	s.mux.HandleFunc("GET "+endpoints, s.api(s.listEndpoints))
	s.mux.HandleFunc("GET "+endpoints+"/{id}", s.api(s.getEndpoint))
	s.mux.HandleFunc("POST "+endpoints+"/{id}", s.api(s.once(s.updateEndpoint)))
	s.mux.HandleFunc("DELETE "+endpoints+"/{id}", s.api(s.deleteEndpoint))

	s.mux.HandleFunc("POST /_fake/events", answer(s.give))
	s.mux.HandleFunc("PUT /_fake/objects", answer(s.putObjects))
	s.mux.HandleFunc("GET /_fake/objects", answer(s.listObjects))
	s.mux.HandleFunc("DELETE /_fake/objects/{id}", answer(s.deleteObject))
	s.mux.HandleFunc("POST /_fake/faults", answer(s.setFault))
	s.mux.HandleFunc("GET /_fake/deliveries", answer(s.listAttempts))
	s.mux.HandleFunc("POST /_fake/webhook_endpoints", answer(s.registerEndpoint))
	s.mux.HandleFunc("POST /_fake/webhook_endpoints/{id}/roll", answer(s.roll))
	s.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		invalid(http.StatusNotFound, "", "", "The fake Stripe does not serve %s %.100s.", r.Method, r.URL.Path).write(w)
	})
}

// ServeHTTP serves Stripe's paths and the fake Stripe's own.
func (s *Fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := checkKey(r); err != nil {
		err.write(w)
		return
	}
	s.mux.ServeHTTP(w, r)
}

// apiFunc answers one request.
type apiFunc func(r *http.Request) ([]byte, *apiError)

// api runs faults and the version check before a function.
func (s *Fake) api(f apiFunc) http.HandlerFunc {
	checked := answer(func(r *http.Request) ([]byte, *apiError) {
		if version := r.Header.Get("Stripe-Version"); version != "" && !isAPIVersion(version) {
			return nil, invalidVersion("", version)
		}
		if strings.HasPrefix(keyOf(r), orgKey) && (r.Header.Get("Stripe-Context") == "" || r.Header.Get("Stripe-Account") != "") {
			return nil, invalid(http.StatusBadRequest, "", "", "A key of an organization needs the Stripe-Context header, and takes no Stripe-Account.")
		}
		return f(r)
	})
	return func(w http.ResponseWriter, r *http.Request) {
		if !s.faults.hit(w, r, s.now()) {
			checked(w, r)
		}
	}
}

// answer writes a function's answer as the response.
func answer(f apiFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := f(r)
		if err != nil {
			err.write(w)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Write(body) // fails only when the client is gone
	}
}

// keyOf returns a request's API key, "" for none.
func keyOf(r *http.Request) string {
	key, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !bearer {
		key, _, _ = r.BasicAuth()
	}
	return key
}

// orgKey starts the keys of an organisation, which acts for one of its accounts by
// Stripe-Context only.
const orgKey = "sk_org_test_"

func checkKey(r *http.Request) *apiError {
	key := keyOf(r)
	switch {
	case key == "":
		return invalid(http.StatusUnauthorized, "", "", "No API key was given: send one as a bearer token or as the user of basic authentication.")
	case strings.HasPrefix(key, "sk_test_"), strings.HasPrefix(key, "rk_test_"), strings.HasPrefix(key, orgKey):
		return nil
	case strings.Contains(key, "_live_"):
		return invalid(http.StatusUnauthorized, "", "", "The fake Stripe rejects live keys: use any sk_test_ key.")
	}
	return invalid(http.StatusUnauthorized, "", "", "Invalid API key: the fake Stripe takes any sk_test_ or rk_test_ key.")
}

// OwnAccount is the account of every key.
const OwnAccount = "acct_TollgateFakeStripe"

// account is the account whose events a request asks for, "" for that of the key, which a
// request may also name.
func account(r *http.Request) string {
	named := cmp.Or(accountIn(r.Header.Get("Stripe-Context")), r.Header.Get("Stripe-Account"))
	if named == OwnAccount {
		return ""
	}
	return named
}

func (s *Fake) getAccount(r *http.Request) ([]byte, *apiError) {
	return fmt.Appendf(nil, `{"id":%q,"object":"account"}`, cmp.Or(account(r), OwnAccount)), nil
}

func (s *Fake) get(r *http.Request) ([]byte, *apiError) {
	if err := onlyQuery(r); err != nil {
		return nil, err
	}
	e, err := s.find(r, false)
	if err != nil {
		return nil, broken(err)
	}
	if e == nil {
		return nil, invalid(http.StatusNotFound, "resource_missing", "id", "No such event: '%.255s'", r.PathValue("id"))
	}
	return e.render(""), nil
}

func (s *Fake) getThin(r *http.Request) ([]byte, *apiError) {
	if r.Header.Get("Stripe-Version") == "" {
		return nil, invalid(http.StatusBadRequest, "missing_version", "", "Requests to /v2 need a Stripe-Version header.")
	}
	e, err := s.find(r, true)
	if err != nil {
		return nil, broken(err)
	}
	if e == nil {
		return nil, invalid(http.StatusNotFound, "not_found", "", "Event %.255q was not found.", r.PathValue("id"))
	}
	return e.body, nil
}

// find returns the event that the request names, if its account may see it now.
func (s *Fake) find(r *http.Request, thin bool) (*event, error) {
	s.expected.wait(r.Context(), account(r), r.PathValue("id"))
	e, err := s.store.event(r.PathValue("id"))
	if e == nil || e.Thin != thin || e.Account != account(r) || s.now().UnixNano() < e.Visible {
		return nil, err
	}
	return e, nil
}
