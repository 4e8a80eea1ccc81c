package registration

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Bounds of what also runs after an interrupt.
const (
	finishTimeout = time.Minute
	findTries     = 4
	findWait      = 2 * time.Second
)

// Applier carries out plans.
type Applier struct {
	Registrar Registrar
	Lister    Lister
	Secrets   Secrets
	// Log gets a line before and after each step, and what was left behind. It gets no secret.
	Log func(format string, args ...any)
	// Run is a random name of this run, for the metadata of a new endpoint.
	Run string
}

// Done is what an apply did.
type Done struct {
	Created string   `json:"created,omitempty"` // ids
	Updated string   `json:"updated,omitempty"`
	Deleted []string `json:"deleted,omitempty"`
	Left    string   `json:"left,omitempty"` // an endpoint to delete by hand
}

// Words describes what was done, in one line.
func (d Done) Words() string {
	var list []string
	add := func(verb, id string) {
		if id != "" {
			list = append(list, verb+" "+id)
		}
	}
	add("created", d.Created)
	add("updated", d.Updated)
	add("deleted", strings.Join(d.Deleted, ", "))
	add("left behind", d.Left)
	if len(list) == 0 {
		return "nothing was changed"
	}
	return strings.Join(list, "; ")
}

// Apply carries out a plan. After an error, Done has what was done before it; Left is set if
// an endpoint is left at Stripe whose secret is not stored.
func (a Applier) Apply(ctx context.Context, p Plan) (d Done, err error) {
	if p.Action == ActionRefuse {
		return d, errors.New("the plan cannot be carried out")
	}
	for _, id := range p.Delete {
		if err := a.Registrar.DeleteWebhookEndpoint(ctx, id); err != nil {
			return d, fmt.Errorf("delete %s, whose secret was never stored: %w", id, err)
		}
		d.Deleted = append(d.Deleted, id)
		a.Log("deleted %s, whose secret was never stored", id)
	}
	switch p.Action {
	case ActionUpdate:
		return d, a.update(ctx, p, &d)
	case ActionCreate:
		return d, a.create(ctx, p, &d)
	}
	return d, nil
}

func (a Applier) update(ctx context.Context, p Plan, d *Done) error {
	u := Update{Events: p.Wanted.Events}
	if p.Enable {
		u.Disabled = new(bool)
	}
	if _, err := a.Registrar.UpdateWebhookEndpoint(ctx, p.Endpoint, u); err != nil {
		return fmt.Errorf("update %s: %w", p.Endpoint, err)
	}
	d.Updated = p.Endpoint
	a.Log("updated %s", p.Endpoint)
	return nil
}

// create creates the endpoint, stores its secret and marks it as complete. After Stripe's
// answer an interrupt does not end it: a half-created endpoint is worse than either end.
func (a Applier) create(ctx context.Context, p Plan, d *Done) error {
	if err := a.storable(ctx, p.Wanted.Name); err != nil {
		return fmt.Errorf("nothing was created: %w", err)
	}
	a.Log("creating an endpoint for %s; if this ends before its secret is stored, delete the one with metadata %s=%s", p.Wanted.URL, MetaApply, a.Run)
	n := NewEndpoint{
		URL: p.Wanted.URL, Events: p.Wanted.Events, APIVersion: p.Wanted.APIVersion, Connect: p.Wanted.Connect,
		Description: "Tollgate, endpoint " + p.Wanted.Name,
		Metadata:    map[string]string{MetaName: p.Wanted.Name, MetaConnect: fmt.Sprint(p.Wanted.Connect), MetaApply: a.Run},
	}
	e, secret, err := a.Registrar.CreateWebhookEndpoint(ctx, n, a.Run)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishTimeout)
	defer cancel()
	if e.ID == "" {
		return a.unmade(ctx, d, err)
	}
	if err == nil {
		_, err = Change(ctx, a.Secrets, PutFirst(p.Wanted.Name, secret))
	}
	if err != nil {
		return a.undo(ctx, d, e.ID, fmt.Errorf("store the secret of %s: %w", e.ID, err))
	}
	d.Created = e.ID
	a.Log("created %s, its secret is stored", e.ID)
	if err := a.Mark(ctx, e.ID, secret); err != nil {
		return fmt.Errorf("%s works and its secret is stored, but the mark at Stripe is missing: the next apply creates it again: %w", e.ID, err)
	}
	return nil
}

// storable returns what would prevent storing the secret, before anything is created.
func (a Applier) storable(ctx context.Context, name string) error {
	now, err := a.Secrets.Current(ctx)
	if err != nil {
		return err
	}
	s, err := ReadStored(now.Value)
	if err != nil {
		return err
	}
	_, err = s.list(name)
	return err
}

// unmade handles a creation without an answer. If it may have been applied, the endpoint is
// looked for and deleted: its secret was only in the answer.
func (a Applier) unmade(ctx context.Context, d *Done, failed error) error {
	failed = fmt.Errorf("create endpoint: %w", failed)
	if !errors.Is(failed, ErrUnknownOutcome) {
		return failed
	}
	unsure := func(why error) error {
		a.Log("an enabled endpoint with metadata %s=%s may exist at Stripe whose secret is not stored: endpoint apply finds and deletes it", MetaApply, a.Run)
		return errors.Join(failed, why)
	}
	for range findTries {
		list, err := a.Lister.ListWebhookEndpoints(ctx)
		if err != nil {
			return unsure(err)
		}
		for _, e := range list {
			if e.Metadata[MetaApply] == a.Run {
				return a.undo(ctx, d, e.ID, failed)
			}
		}
		if err := wait(ctx, findWait); err != nil {
			return unsure(err)
		}
	}
	return unsure(nil)
}

// undo deletes the new endpoint, or reports that it is left.
func (a Applier) undo(ctx context.Context, d *Done, id string, failed error) error {
	if err := a.Registrar.DeleteWebhookEndpoint(ctx, id); err != nil {
		d.Left = id
		a.Log("delete %s in Stripe's Dashboard, or run endpoint apply again: it is enabled, and its secret is not stored, so all its deliveries are refused", id)
		return errors.Join(failed, fmt.Errorf("delete %s again: %w", id, err))
	}
	a.Log("deleted %s again: no endpoint was left", id)
	return failed
}

// Retire disables an endpoint. It does not check that another one delivers.
func (a Applier) Retire(ctx context.Context, id string) error {
	disabled := true
	if _, err := a.Registrar.UpdateWebhookEndpoint(ctx, id, Update{Disabled: &disabled}); err != nil {
		return fmt.Errorf("disable %s: %w", id, err)
	}
	a.Log("disabled %s", id)
	return nil
}

// Mark records at Stripe which stored secret is an endpoint's.
func (a Applier) Mark(ctx context.Context, id string, secret Secret) error {
	mark := Update{Metadata: map[string]string{MetaSecret: secret.Fingerprint()}}
	if _, err := a.Registrar.UpdateWebhookEndpoint(ctx, id, mark); err != nil {
		return fmt.Errorf("mark %s with its new secret: %w", id, err)
	}
	return nil
}
