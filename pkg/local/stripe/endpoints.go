package stripe

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"
)

// maxEndpoints is how many webhook endpoints an account may have.
const maxEndpoints = 16

// endpoint is a webhook endpoint. A stored one is replaced, not changed.
type endpoint struct {
	ID          string            `json:"id"`
	Account     string            `json:"account,omitempty"` // "" for the platform's
	URL         string            `json:"url,omitempty"`
	Events      []string          `json:"events,omitempty"`
	Version     string            `json:"version,omitempty"` // "" for the account's own
	Connect     bool              `json:"connect,omitempty"` // for the events of connected accounts
	Description string            `json:"description,omitempty"`
	Metadata    map[string]string `json:"metadata,omitempty"`
	Disabled    bool              `json:"disabled,omitempty"`
	Created     int64             `json:"created,omitempty"`
	Secrets     []secret          `json:"secrets,omitempty"` // the one that does not end first
	Deleted     bool              `json:"-"`
}

// secret signs deliveries until a time, zero for no end.
type secret struct {
	Value string    `json:"value"`
	Until time.Time `json:"until,omitzero"`
}

const secretPrefix = "whsec_"

func newSecret() secret { return secret{Value: secretPrefix + rand.Text()} }

// wants reports whether an event goes to the endpoint. Both modes share the endpoints,
// because there are no live keys to create others.
func (e *endpoint) wants(ev *event) bool {
	own := e.Account == ev.Account
	if e.Connect {
		own = e.Account == "" && ev.Account != ""
	}
	return own && !e.Disabled && !ev.Thin && slices.ContainsFunc(e.Events, func(name string) bool { return name == "*" || name == ev.Type })
}

// rendered is the endpoint as Stripe shows it; its secret only when it is made.
func (e *endpoint) rendered(withSecret bool) []byte {
	status := "enabled"
	if e.Disabled {
		status = "disabled"
	}
	optional := func(text string) *string {
		if text == "" {
			return nil
		}
		return &text
	}
	shown := struct {
		ID            string            `json:"id"`
		Object        string            `json:"object"`
		APIVersion    *string           `json:"api_version"`
		Application   *string           `json:"application"`
		Created       int64             `json:"created"`
		Description   *string           `json:"description"`
		EnabledEvents []string          `json:"enabled_events"`
		Livemode      bool              `json:"livemode"`
		Metadata      map[string]string `json:"metadata"`
		Secret        string            `json:"secret,omitempty"`
		Status        string            `json:"status"`
		URL           string            `json:"url"`
	}{
		ID: e.ID, Object: "webhook_endpoint", APIVersion: optional(e.Version), Created: e.Created, Description: optional(e.Description),
		EnabledEvents: e.Events, Metadata: maps.Collect(maps.All(e.Metadata)), Status: status, URL: e.URL,
	}
	if withSecret {
		shown.Secret = e.Secrets[0].Value
	}
	raw, _ := json.MarshalIndent(shown, "", "  ") // texts, numbers and lists of them cannot fail
	return raw
}

// createEndpoint makes an endpoint as Stripe does, with a new secret.
func (s *Fake) createEndpoint(r *http.Request) ([]byte, *apiError) {
	f, err := readForm(r)
	if err != nil {
		return nil, err
	}
	return s.newEndpoint(account(r), f, "api_version", "connect")
}

func (s *Fake) newEndpoint(account string, f form, more ...string) ([]byte, *apiError) {
	e := &endpoint{ID: "we_" + rand.Text(), Account: account, Created: s.now().Unix(), Secrets: []secret{newSecret()}}
	if err := e.apply(f, more...); err != nil {
		return nil, err
	}
	switch {
	case e.URL == "":
		return nil, missing("url")
	case len(e.Events) == 0:
		return nil, missing("enabled_events")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.endpointsOf(account)) >= maxEndpoints {
		return nil, invalid(http.StatusBadRequest, "", "", "You have reached the maximum of %d test webhook endpoints.", maxEndpoints)
	}
	if err := s.keepEndpoint(e); err != nil {
		return nil, broken(err)
	}
	return e.rendered(true), nil
}

func missing(name string) *apiError {
	return invalid(http.StatusBadRequest, "parameter_missing", name, "Missing required param: %s.", name)
}

// updateEndpoint changes an endpoint; version and connect are fixed at creation.
func (s *Fake) updateEndpoint(r *http.Request) ([]byte, *apiError) {
	f, err := readForm(r)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old, err := s.endpointOf(r)
	if err != nil {
		return nil, err
	}
	e := *old
	if err := e.apply(f, "disabled"); err != nil {
		return nil, err
	}
	if err := s.keepEndpoint(&e); err != nil {
		return nil, broken(err)
	}
	return e.rendered(false), nil
}

func (s *Fake) deleteEndpoint(r *http.Request) ([]byte, *apiError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.endpointOf(r)
	if err != nil {
		return nil, err
	}
	if err := s.keepEndpoint(&endpoint{ID: e.ID, Deleted: true}); err != nil {
		return nil, broken(err)
	}
	return fmt.Appendf(nil, "{\n  \"id\": %q,\n  \"object\": \"webhook_endpoint\",\n  \"deleted\": true\n}", e.ID), nil
}

func (s *Fake) getEndpoint(r *http.Request) ([]byte, *apiError) {
	if err := onlyQuery(r); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.endpointOf(r)
	if err != nil {
		return nil, err
	}
	return e.rendered(false), nil
}

// listEndpoints serves a page, newest first.
func (s *Fake) listEndpoints(r *http.Request) ([]byte, *apiError) {
	if err := onlyQuery(r, "limit", "starting_after", "ending_before"); err != nil {
		return nil, err
	}
	q, err := parseQuery(r.URL.Query())
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	all := s.endpointsOf(account(r))
	s.mu.Unlock()
	slices.Reverse(all)
	page, more, err := cut(all, q, "webhook endpoint", func(e *endpoint) string { return e.ID })
	if err != nil {
		return nil, err
	}
	data := []json.RawMessage{}
	for _, e := range page {
		data = append(data, e.rendered(false))
	}
	return listOf(data, more, "/v1/webhook_endpoints"), nil
}

// endpointOf finds the endpoint that a request names. The caller holds the lock.
func (s *Fake) endpointOf(r *http.Request) (*endpoint, *apiError) {
	id := r.PathValue("id")
	e := s.endpointByID(id)
	if e == nil || e.Account != account(r) {
		return nil, invalid(http.StatusNotFound, "resource_missing", "webhook_endpoint", "No such webhook endpoint: '%.255s'", id)
	}
	return e, nil
}

func (s *Fake) endpointByID(id string) *endpoint {
	if i := s.indexOf(id); i >= 0 {
		return s.endpoints[i]
	}
	return nil
}

func (s *Fake) indexOf(id string) int {
	return slices.IndexFunc(s.endpoints, func(e *endpoint) bool { return e.ID == id })
}

// endpointsOf returns an account's endpoints, oldest first. The caller holds the lock.
func (s *Fake) endpointsOf(account string) (of []*endpoint) {
	for _, e := range s.endpoints {
		if e.Account == account {
			of = append(of, e)
		}
	}
	return of
}

// keepEndpoint writes an endpoint to the file before it replaces the old one in memory, so
// that no answered change is lost. The caller holds the lock.
func (s *Fake) keepEndpoint(e *endpoint) error {
	all := slices.Clone(s.endpoints)
	switch i := s.indexOf(e.ID); {
	case e.Deleted && i >= 0:
		all = slices.Delete(all, i, i+1)
	case i >= 0:
		all[i] = e
	case !e.Deleted:
		all = append(all, e)
	}
	if err := s.store.update(func(x *tx) error { return x.save(keyEndpoints, all) }); err != nil {
		return fmt.Errorf("keep webhook endpoint: %w", err)
	}
	s.endpoints = all
	return nil
}
