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

// snapshot is an object as JSON, from an event or from Stripe.
type snapshot struct {
	name     string // Stripe's word for its kind
	object   json.RawMessage
	previous json.RawMessage
}

// readSnapshot reads which object an event is about. The names that it looks at are the
// same in every API version. want is the squashed name that the handler takes, "" for any.
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

// normalise brings the object of an event of another API version in the version that
// handlers read. What cannot be brought is parked: never decoded into silent zeros.
func (m *Mux) normalise(ctx context.Context, in Input, s snapshot) (snapshot, error) {
	other := fmt.Errorf("event is rendered in API version %q, handlers read %q", in.APIVersion, m.cfg.APIVersion)
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

// fetch gets an event's object as it is now. One that Stripe calls deleted is gone.
func (m *Mux) fetch(ctx context.Context, in Input, name string) (json.RawMessage, error) {
	object, err := m.cfg.Objects.FetchObject(ctx, in.Account, name, in.ObjectID)
	if err != nil {
		return nil, fmt.Errorf("fetch %s: %w", name, err)
	}
	is, err := event.ReadObject(object)
	if err != nil {
		return nil, fmt.Errorf("fetch %s: %w", name, err)
	}
	if is.Deleted {
		return nil, Park(ReasonObjectGone, fmt.Errorf("%s %s is deleted", name, in.ObjectID))
	}
	if is.Kind != name || is.ID != in.ObjectID {
		return nil, fmt.Errorf("fetch %s %s: the answer is a %q", name, in.ObjectID, is.Kind)
	}
	return object, nil
}

func (s snapshot) decode(into any) error {
	if err := json.Unmarshal(s.object, into); err != nil {
		return Permanent(fmt.Errorf("decode data.object as %T: %s", into, shape(err)))
	}
	return nil
}

// shape says where and of what kind a value was that did not fit, never the value.
func shape(err error) string {
	if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Sprintf("field %s does not fit Go type %s", t.Field, t.Type)
	}
	return fmt.Sprintf("%T", err)
}

// objectNameOf returns the squashed "object" that snapshots for a Go type of
// stripe-go have, "" when nothing is known about the type.
func objectNameOf(t reflect.Type) string {
	if !strings.Contains(t.PkgPath(), "/stripe-go/") {
		return ""
	}
	if t.Name() == "SigmaScheduledQueryRun" { // the one whose object has no prefix
		return "scheduledqueryrun"
	}
	return normalizeName(t.Name())
}

// squash drops case and separators: "checkout.session" and CheckoutSession are one name.
func normalizeName(name string) string {
	return strings.NewReplacer("_", "", ".", "").Replace(strings.ToLower(name))
}
