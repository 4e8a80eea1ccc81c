package endpoint

import (
	"context"
	"fmt"
	"slices"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/registration"
)

// finish removes the old secrets when Stripe no longer signs with them.
func (r roll) finish(ctx context.Context) error {
	old, err := r.removable(ctx)
	if err != nil {
		return err
	}
	view := Rolled{Endpoint: r.Endpoint, Secrets: len(r.list)}
	if len(old) == 0 {
		r.app.Line(view, "Nothing to do: no old secret is stored.")
		return nil
	}
	if !r.Force {
		if err := overlapOver(r.now.At); err != nil {
			return verb.Hint(fmt.Errorf("the old secrets stay: %w", err), "--force removes them now")
		}
	}
	what := "remove " + verb.Plural(len(old), "old secret", "old secrets") + " of endpoint " + r.Endpoint
	err = r.app.Change(ctx, r.Target, verb.Audit{Verb: "secret roll --finish", Note: r.Note, Detail: what}, r.Yes, func(ctx context.Context) (outcome string, err error) {
		view.Changed, err = registration.Change(ctx, r.Secrets, registration.Drop(r.Endpoint, old))
		return "removed", err
	})
	if err != nil {
		return err
	}
	view.Removed, view.Secrets = len(old), len(r.list)-len(old)
	r.app.Line(view, "Removed "+verb.Plural(len(old), "old secret.", "old secrets."))
	return nil
}

// removable returns the stored secrets behind the first that no endpoint uses. The secret that
// tollgate send signs with on a local system stays.
func (r roll) removable(ctx context.Context) (old []registration.Secret, err error) {
	var delivering []registration.Endpoint
	if r.Stripe != nil {
		all, err := r.Stripe.ListWebhookEndpoints(ctx)
		if err != nil {
			return nil, verb.StripeHint(err)
		}
		delivering = registration.Delivering(all, r.Wanted.URL)
	}
	old, err = registration.Removable(r.list, delivering)
	if err != nil && r.Force {
		old, err = r.list[min(1, len(r.list)):], nil
	}
	if err != nil {
		return nil, verb.Hint(fmt.Errorf("the old secrets stay: %w", err), "--force removes all but the newest")
	}
	if kept := len(r.list) - 1 - len(old); kept > 0 {
		fmt.Fprintf(r.app.Err, "%s marked at Stripe as the secret of an endpoint that delivers here, and stays\n", verb.Plural(kept, "old secret is", "old secrets are"))
	}
	return slices.DeleteFunc(slices.Clone(old), func(s registration.Secret) bool {
		mine := r.Target.Local && s.Reveal() == r.Target.Secret
		if mine {
			fmt.Fprintln(r.app.Err, "the secret that tollgate send signs with stays")
		}
		return mine
	}), nil
}
