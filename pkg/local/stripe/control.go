package stripe

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
)

// maxPutBytes bounds the objects of one PUT.
const maxPutBytes = 4 * MaxEventBytes

// give stores the event in a request's body, and delivers it if asked.
func (s *Fake) give(r *http.Request) ([]byte, *apiError) {
	deliver, err := deliverWanted(r)
	if err != nil {
		return nil, err
	}
	body, err := readBody(r, MaxEventBytes, "An event")
	if err != nil {
		return nil, err
	}
	if deliver && !s.deliveries.room(2*maxEndpoints) {
		return nil, &apiError{status: http.StatusServiceUnavailable, Type: "api_error", Message: "Too many deliveries are pending: wait until some are finished."}
	}
	k, kept := s.remember(body, deliver)
	switch {
	case errors.Is(kept, ErrNotEvent):
		return nil, invalid(http.StatusBadRequest, "", "", "The body is %v.", kept)
	case kept != nil:
		return nil, broken(kept)
	}
	return control(k)
}

func deliverWanted(r *http.Request) (bool, *apiError) {
	if err := onlyQuery(r, "deliver"); err != nil || !r.URL.Query().Has("deliver") {
		return false, err
	}
	deliver, err := strconv.ParseBool(r.URL.Query().Get("deliver"))
	if err != nil {
		return false, invalid(http.StatusBadRequest, "", "deliver", "deliver is true or false.")
	}
	return deliver, nil
}

// putObjects sets the states of the objects in a list, all or none of them.
func (s *Fake) putObjects(r *http.Request) ([]byte, *apiError) {
	body, err := readBody(r, maxPutBytes, "A list of objects")
	if err != nil {
		return nil, err
	}
	var list []json.RawMessage
	if err := json.Unmarshal(body, &list); err != nil || list == nil {
		return nil, invalid(http.StatusBadRequest, "", "", "The body is no JSON list of objects.")
	}
	var states []*state
	for i, raw := range list {
		each, err := parseObject(raw, account(r))
		if err != nil {
			return nil, invalid(http.StatusBadRequest, "", "", "Element %d of the list is %v.", i, err)
		}
		each.Put = true
		states = append(states, each)
	}
	if err := s.put(states); err != nil {
		return nil, broken(err)
	}
	return control(map[string]int{"set": len(states)})
}

// put sets states that override those of all events.
func (s *Fake) put(states []*state) error {
	return s.store.update(func(x *tx) error {
		for _, each := range states {
			if err := x.set(each); err != nil {
				return fmt.Errorf("keep %s %.80q: %w", each.Kind, each.ID, err)
			}
		}
		return nil
	})
}

// deleteObject deletes an object. Later events do not bring it back.
func (s *Fake) deleteObject(r *http.Request) ([]byte, *apiError) {
	id := r.PathValue("id")
	var gone []*state
	all, err := s.store.states(func(each *state) bool { return each.ID == id && each.Account == account(r) })
	if err != nil {
		return nil, broken(err)
	}
	for _, each := range all {
		gone = append(gone, &state{objectKey: each.objectKey, Put: true, Gone: true})
	}
	if gone == nil {
		return nil, invalid(http.StatusNotFound, "resource_missing", "id", "No such object: '%.255s'", id)
	}
	if err := s.put(gone); err != nil {
		return nil, broken(err)
	}
	return control(map[string]any{"id": id, "deleted": true})
}

// listObjects serves all objects of an account as they are now, or those of a customer.
func (s *Fake) listObjects(r *http.Request) ([]byte, *apiError) {
	if err := onlyQuery(r, "customer"); err != nil {
		return nil, err
	}
	customer := r.URL.Query().Get("customer")
	found := []json.RawMessage{}
	all, err := s.store.states(func(each *state) bool {
		return !each.Gone && each.Account == account(r) && (customer == "" || slices.Contains(each.Customers, customer))
	})
	if err != nil {
		return nil, broken(err)
	}
	for _, each := range all {
		found = append(found, each.Body)
	}
	return control(map[string][]json.RawMessage{"data": found})
}

// registerEndpoint makes an endpoint like Stripe's own path, optionally with a given secret.
// The body is a form or a JSON object.
func (s *Fake) registerEndpoint(r *http.Request) ([]byte, *apiError) {
	body, err := readBody(r, maxFormBytes, "An endpoint")
	if err != nil {
		return nil, err
	}
	f, isJSON := flatten(body)
	if !isJSON {
		if f, err = parseForm(string(body)); err != nil {
			return nil, err
		}
	}
	return s.newEndpoint(account(r), f, "api_version", "connect", "disabled", "secret")
}

// flatten reads a JSON object of strings, booleans, lists and maps of strings as a form.
func flatten(body []byte) (form, bool) {
	var top map[string]any
	if json.Unmarshal(body, &top) != nil {
		return nil, false
	}
	f := form{}
	for name, value := range top {
		switch value := value.(type) {
		case []any:
			for _, each := range value {
				f[name+"[]"] = append(f[name+"[]"], fmt.Sprint(each))
			}
		case map[string]any:
			for key, each := range value {
				f[name+"["+key+"]"] = []string{fmt.Sprint(each)}
			}
		case nil: // as if it were absent
		default:
			f[name] = []string{fmt.Sprint(value)}
		}
	}
	return f, true
}

// readControl reads a small JSON object; an empty body is an empty object.
func readControl(r *http.Request, into any) *apiError {
	body, err := readBody(r, 64<<10, "A command")
	if err != nil || len(bytes.TrimSpace(body)) == 0 {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return invalid(http.StatusBadRequest, "", "", "The body is not what this path takes: %v.", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return invalid(http.StatusBadRequest, "", "", "The body is more than one JSON object.")
	}
	return nil
}

func readBody(r *http.Request, most int64, what string) ([]byte, *apiError) {
	body, err := io.ReadAll(io.LimitReader(r.Body, most+1))
	switch {
	case err != nil:
		return nil, invalid(http.StatusBadRequest, "", "", "The body could not be read to its end.")
	case int64(len(body)) > most:
		return nil, invalid(http.StatusRequestEntityTooLarge, "", "", "%s may have %d bytes.", what, most)
	}
	return body, nil
}

// control encodes the answer of one of the fake Stripe's own paths.
func control(answer any) ([]byte, *apiError) {
	raw, err := json.Marshal(answer)
	if err != nil {
		return nil, broken(err)
	}
	return raw, nil
}
