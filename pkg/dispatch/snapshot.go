package dispatch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"tollgate/pkg/event"
)

// snapshot is an object as JSON, from an event or fetched from Stripe.
type snapshot struct {
	name     string // Stripe's word for its kind
	object   json.RawMessage
	previous json.RawMessage
}

// readSnapshot reads an event's object. The fields that it reads have the same names in every
// API version. want is the normalized name of the object that the handler takes, "" for any.
func readSnapshot(in Input, want string) (snapshot, error) {
	object, previous, err := event.Data(in.Body)
	if err != nil {
		return snapshot{}, Permanent(fmt.Errorf("read event data: %w", err))
	}
	is, err := event.ReadObject(object)
	if err == nil && is.Kind == "" {
		err = errors.New("object is missing or empty")
	}
	if err != nil {
		return snapshot{}, Permanent(fmt.Errorf("read data.object: %w", err))
	}
	if want != "" && normalizeName(is.Kind) != want {
		return snapshot{}, Park(ReasonWrongObject, fmt.Errorf("data.object is a %q, the handler takes a %q", is.Kind, want))
	}
	return snapshot{name: is.Kind, object: object, previous: previous}, nil
}

// inPinnedVersion fetches the object of an event with another API version. If it cannot be
// fetched, the event is parked, as decoding the snapshot would leave fields zero.
func (m *Mux) inPinnedVersion(ctx context.Context, in Input, s snapshot) (snapshot, error) {
	other := fmt.Errorf("event has API version %q, handlers read %q", in.APIVersion, m.cfg.APIVersion)
	if m.cfg.Objects == nil || in.ObjectID == "" {
		return snapshot{}, Park(ReasonAPIVersion, other)
	}
	object, err := m.fetch(ctx, in, s.name)
	if p, ok := errors.AsType[*PermanentError](err); ok && p.Reason != ReasonNoAPIKey && p.Reason != ReasonAccountRevoked {
		return snapshot{}, Park(ReasonAPIVersion, fmt.Errorf("%w: %w", other, p.Err))
	}
	if err != nil {
		return snapshot{}, err
	}
	return snapshot{name: s.name, object: object}, nil
}

// fetch fetches an event's object as it is now. A deleted object that Stripe still describes
// is returned with its error.
func (m *Mux) fetch(ctx context.Context, in Input, name string) (json.RawMessage, error) {
	object, err := m.cfg.Objects.FetchObject(ctx, in.Account, name, in.ObjectID)
	if err != nil {
		return nil, err // names the object
	}
	is, err := event.ReadObject(object)
	if err != nil {
		return nil, fmt.Errorf("fetch %s: %w", name, err)
	}
	if is.Kind != name || is.ID != in.ObjectID {
		return nil, fmt.Errorf("fetch %s %s: the response is a %q", name, in.ObjectID, is.Kind)
	}
	if is.Deleted {
		return object, Park(ReasonObjectGone, fmt.Errorf("%s %s is deleted", name, in.ObjectID))
	}
	return object, nil
}

func (s snapshot) decode(into any) error {
	if err := unmarshal(s.object, into); err != nil {
		return Permanent(fmt.Errorf("decode data.object as %T: %s", into, shape(err)))
	}
	return nil
}

// unmarshal is json.Unmarshal of an object that is known to be JSON. That checks and skips a
// value before it lets the type decode it, which checks it again.
func unmarshal(object json.RawMessage, into any) error {
	if u, ok := into.(json.Unmarshaler); ok {
		return u.UnmarshalJSON(object)
	}
	return json.Unmarshal(object, into)
}

// shape describes a decoding error without the value, which may be personal data.
func shape(err error) string {
	if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Sprintf("field %s does not fit Go type %s", t.Field, t.Type)
	}
	return fmt.Sprintf("%T", err)
}

// objectNameOf returns the normalized "object" of the snapshots for a Go type of stripe-go, ""
// for any other type.
func objectNameOf(t reflect.Type) string {
	if !strings.Contains(t.PkgPath(), "/stripe-go/") {
		return ""
	}
	if t.Name() == "SigmaScheduledQueryRun" { // the only type whose object lacks the prefix
		return "scheduledqueryrun"
	}
	return normalizeName(t.Name())
}

// normalizeName drops case and separators, so "checkout.session" equals CheckoutSession.
func normalizeName(name string) string {
	return strings.NewReplacer("_", "", ".", "").Replace(strings.ToLower(name))
}
