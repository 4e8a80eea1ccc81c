package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/event"
	"tollgate/pkg/limits"
	"tollgate/pkg/replay"
)

// eventFile gives events from a file, where Stripe has them no longer.
type eventFile struct {
	ids    []string
	bodies map[string][]byte
}

// maxEventFile bounds a file of events.
const maxEventFile = 256 << 20

// readEvents reads JSON events one after another, whatever white space is between them.
func readEvents(path string) (*eventFile, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	if info.Size() > maxEventFile {
		return nil, usage("%s is over %d bytes: split it", path, maxEventFile)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	f := &eventFile{bodies: map[string][]byte{}}
	for dec := json.NewDecoder(bytes.NewReader(raw)); ; {
		var body json.RawMessage
		err := dec.Decode(&body)
		if err == io.EOF && len(f.ids) > 0 {
			return f, nil
		}
		if err != nil {
			return nil, usage("%s: event %d is not JSON (the file holds one event, or several one after another)", path, len(f.ids)+1)
		}
		if err := f.add(body); err != nil {
			return nil, usage("%s: event %d: %v", path, len(f.ids)+1, err)
		}
	}
}

func (f *eventFile) add(body []byte) error {
	e, err := event.Parse(body)
	if err != nil {
		return err
	}
	if len(body) > limits.MaxBody {
		return fmt.Errorf("it is over %d bytes", limits.MaxBody)
	}
	if f.bodies[e.ID] != nil {
		return fmt.Errorf("%s is in the file already", e.ID)
	}
	f.ids, f.bodies[e.ID] = append(f.ids, e.ID), body
	return nil
}

// FetchEvent gives an event of the file.
func (f *eventFile) FetchEvent(_ context.Context, _, id string, _ bool) ([]byte, error) {
	body, ok := f.bodies[id]
	if !ok {
		return nil, dispatch.Park(dispatch.ReasonObjectGone, errors.New("the file has no such event"))
	}
	return body, nil
}

// events are where bytes come from; the file is nil when that is Stripe.
func (c *eventsReplayCmd) events(ctx context.Context, a *app, t target) (replay.Events, *eventFile, error) {
	if c.FromFile != "" {
		f, err := readEvents(c.FromFile)
		return f, f, err
	}
	client, err := a.stripe(ctx, t)
	return client, nil, err
}
