package stripe

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"tollgate/pkg/local/aws/jsonscan"
)

// errNotObject means that bytes are not a Stripe object.
var errNotObject = errors.New("not a Stripe object")

// maxIDBytes bounds an object's id. People choose those of coupons, plans and products.
const maxIDBytes = 1020

// objectKey identifies an object. A coupon and a product may have the same id, and so may
// objects of the two modes.
type objectKey struct {
	Account string `json:"account,omitempty"`
	Live    bool   `json:"live,omitempty"`
	Kind    string `json:"kind"`
	ID      string `json:"id"`
}

// state is an object as it is now. It is not changed once stored. As JSON it is the head that
// the file keeps.
type state struct {
	objectKey
	Body []byte `json:"-"` // none when it is gone
	// At is the time in seconds of the event with this state. A state that was put directly
	// has none and overrides those of all events.
	At   int64 `json:"at,omitempty"`
	Put  bool  `json:"put,omitempty"`
	Gone bool  `json:"gone,omitempty"` // asked for, it is not found

	Customers []string `json:"customers,omitempty"`
	Charge    string   `json:"charge,omitempty"` // that a refund is of
}

// givenVersion is the version whose objects are served.
const givenVersion = "2023-10-16"

// stateOf returns the object's state in a snapshot event. It is nil if the object has no id,
// or has the shape of another version, whose renamed fields readers would miss.
func stateOf(e *event, data json.RawMessage) *state {
	if e.Version != "" && e.Version != givenVersion {
		return nil
	}
	s, err := parseObject(jsonscan.Map(data)["object"], e.Account)
	if err != nil {
		return nil
	}
	s.Live, s.At = e.Live, e.Created
	if e.Type != s.Kind+".deleted" {
		return s
	}
	if !hasDeletedForm(s.Kind) {
		s.Body, s.Gone = nil, true
		return s
	}
	s.Body = fmt.Appendf(nil, "{\n  \"id\": %s,\n  \"object\": %q,\n  \"deleted\": true\n}", quoted(s.ID), s.Kind)
	return s
}

// parseObject reads what is needed to serve an object, valid JSON, and copies its bytes.
func parseObject(raw []byte, account string) (*state, error) {
	top := jsonscan.Map(raw)
	s := &state{objectKey: objectKey{Account: account, Live: string(top["livemode"]) == "true", Kind: text(top["object"]), ID: text(top["id"])}}
	switch {
	case s.Kind == "" || s.ID == "":
		return nil, fmt.Errorf("%w: it needs an object and an id", errNotObject)
	case len(s.ID) > maxIDBytes || len(s.Kind) > maxIDBytes:
		return nil, fmt.Errorf("%w: its id is longer than %d bytes", errNotObject, maxIDBytes)
	case len(raw) > MaxEventBytes:
		return nil, fmt.Errorf("%w: %.80q is larger than %d bytes", errNotObject, s.ID, MaxEventBytes)
	}
	s.Body = bytes.Clone(raw)
	s.Customers = customersOf(s, top)
	if s.Kind == "refund" {
		s.Charge = idOf(top["charge"])
	}
	return s, nil
}

// customersOf returns the customers of an object: a customer itself, the customer that an
// object names, and for a dispute that of its expanded charge.
func customersOf(s *state, top map[string]json.RawMessage) (ids []string) {
	if s.Kind == "customer" {
		ids = append(ids, s.ID)
	}
	for _, raw := range []json.RawMessage{top["customer"], jsonscan.Get(top["charge"], "customer")} {
		if id := idOf(raw); id != "" {
			ids = append(ids, id)
		}
	}
	return ids
}

// idOf returns the id in a reference, expanded or not, "" for null.
func idOf(raw json.RawMessage) string {
	if id := text(raw); id != "" {
		return id
	}
	return text(jsonscan.Get(raw, "id")) // what is no object has none
}
