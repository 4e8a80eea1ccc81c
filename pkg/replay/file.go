package replay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/event"
	"tollgate/pkg/limits"
)

// File is an [Events] of a file, for events that Stripe no longer has.
type File struct {
	IDs    []string // in the file's order
	bodies map[string][]byte
}

// ReadFile reads JSON events one after another, with any white space between them.
func ReadFile(r io.Reader) (*File, error) {
	f := &File{bodies: map[string][]byte{}}
	for dec := json.NewDecoder(r); ; {
		var body json.RawMessage
		err := dec.Decode(&body)
		if err == io.EOF && len(f.IDs) > 0 {
			return f, nil
		}
		if err != nil {
			return nil, fmt.Errorf("event %d is not JSON (the file holds one event, or several one after another)", len(f.IDs)+1)
		}
		if err := f.add(body); err != nil {
			return nil, fmt.Errorf("event %d: %w", len(f.IDs)+1, err)
		}
	}
}

func (f *File) add(body []byte) error {
	e, err := event.Parse(body)
	switch {
	case err != nil:
		return err
	case len(body) > limits.MaxBody:
		return fmt.Errorf("it is over %d bytes", limits.MaxBody)
	case f.bodies[e.ID] != nil:
		return fmt.Errorf("duplicate event %s", e.ID)
	}
	f.IDs, f.bodies[e.ID] = append(f.IDs, e.ID), body
	return nil
}

// FetchEvent returns an event of the file.
func (f *File) FetchEvent(_ context.Context, _, id string, _ bool) ([]byte, error) {
	body, ok := f.bodies[id]
	if !ok {
		return nil, dispatch.Park(dispatch.ReasonObjectGone, errors.New("the file does not have the event"))
	}
	return body, nil
}
