package registration

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// errStep is the fault that tests put into a call.
var errStep = errors.New("fault of the test")

// fault is what happens to one call.
type fault int

const (
	fine   fault = iota
	before       // it fails and does nothing
	after        // it is carried out, and its answer is lost
	killed       // the process dies before it
	dying        // the process dies after it
)

// death ends a run as a kill does: nothing after it happens.
type death struct{}

// steps counts calls to the outside and puts faults into them.
type steps struct {
	n      int
	faults map[int]fault
	names  []string
	before func() // called when a call begins
}

// call runs one call under its fault.
func (s *steps) call(ctx context.Context, name string, do func() error) error {
	s.n++
	s.names = append(s.names, name)
	f := s.faults[s.n]
	if s.before != nil {
		s.before()
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	switch f {
	case before:
		return errStep
	case killed:
		panic(death{})
	}
	err := do()
	switch f {
	case after:
		return errors.Join(err, errStep)
	case dying:
		panic(death{})
	}
	return err
}

// world is Stripe and Secrets Manager.
type world struct {
	steps
	endpoints map[string]Endpoint
	secrets   map[string]string // of the endpoints
	made      int
	versions  []Version // the last is the present one
	behind    int       // so many reads show the version before
	onPut     func()    // another writer, before a write
	afterPut  func()    // and after it
	said      []string
}

func newWorld() *world {
	return &world{endpoints: map[string]Endpoint{}, secrets: map[string]string{}}
}

func (w *world) applier(run string) Applier {
	return Applier{Registrar: w, Lister: w, Secrets: w, Run: run, Log: func(format string, args ...any) {
		w.said = append(w.said, fmt.Sprintf(format, args...))
	}}
}

func (w *world) CreateWebhookEndpoint(ctx context.Context, n NewEndpoint, _ string) (e Endpoint, s Secret, err error) {
	err = w.call(ctx, "create", func() error {
		w.made++
		e = Endpoint{ID: fmt.Sprint("we_", w.made), URL: n.URL, Events: n.Events, APIVersion: n.APIVersion, Metadata: maps.Clone(n.Metadata)}
		w.secrets[e.ID] = fmt.Sprint("whsec_of_", e.ID)
		w.endpoints[e.ID], s = e, NewSecret(w.secrets[e.ID])
		return nil
	})
	if err != nil {
		return Endpoint{}, Secret{}, fmt.Errorf("%w: %w", ErrUnknownOutcome, err)
	}
	return e, s, nil
}

func (w *world) UpdateWebhookEndpoint(ctx context.Context, id string, u Update) (e Endpoint, err error) {
	return e, w.call(ctx, "update", func() error {
		e, there := w.endpoints[id]
		if !there {
			return errors.New("no such endpoint")
		}
		if u.Disabled != nil {
			e.Disabled = *u.Disabled
		}
		if u.Events != nil {
			e.Events = u.Events
		}
		e.Metadata = maps.Clone(e.Metadata)
		if e.Metadata == nil {
			e.Metadata = map[string]string{}
		}
		maps.Copy(e.Metadata, u.Metadata)
		w.endpoints[id] = e
		return nil
	})
}

func (w *world) DeleteWebhookEndpoint(ctx context.Context, id string) error {
	return w.call(ctx, "delete", func() error { delete(w.endpoints, id); return nil })
}

func (w *world) ListWebhookEndpoints(ctx context.Context) (list []Endpoint, err error) {
	return list, w.call(ctx, "list", func() error { list = w.all(); return nil })
}

func (w *world) all() []Endpoint {
	return slices.SortedFunc(maps.Values(w.endpoints), func(a, b Endpoint) int { return strings.Compare(a.ID, b.ID) })
}

func (w *world) version(back int) Version {
	if i := len(w.versions) - 1 - back; i >= 0 {
		return w.versions[i]
	}
	return Version{}
}

func (w *world) Current(ctx context.Context) (v Version, err error) {
	return v, w.call(ctx, "current", func() error {
		back := 0
		if w.behind > 0 {
			w.behind--
			back = 1
		}
		v = w.version(back)
		return nil
	})
}

func (w *world) Replace(ctx context.Context, was string, value Secret) error {
	return w.call(ctx, "replace", func() error {
		if w.onPut != nil {
			w.onPut()
		}
		if w.version(0).ID != was {
			return ErrReplaced
		}
		w.write(value.Reveal())
		if w.afterPut != nil {
			w.afterPut()
		}
		return nil
	})
}

// write is a write by anybody.
func (w *world) write(text string) string {
	id := fmt.Sprint("v", len(w.versions)+1)
	w.versions = append(w.versions, Version{ID: id, At: time.Unix(int64(len(w.versions)), 0), Value: NewSecret(text)})
	return id
}

func (w *world) stored() string { return w.version(0).Value.Reveal() }
