package endpoint

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/registration"
)

// SecretCommands are the verbs for the signing secret.
type SecretCommands struct {
	Roll Roll `cmd:"" help:"Roll an endpoint's signing secret without losing a delivery."`
}

// Roll does one of the three steps of a roll.
type Roll struct {
	verb.EndpointFlags
	File    string        `name:"new-secret-file" help:"File with the new secret; - for stdin. Default: ask for it." placeholder:"FILE"`
	Overlap time.Duration `default:"24h" help:"How long the fake Stripe of a local system also signs with the old secret; under a minute, deliveries may be refused. Default: 24h."`
	Status  bool          `help:"Print how many secrets are stored, since when, and whether the old ones can be removed. Changes nothing."`
	Finish  bool          `help:"Remove the old secrets, 24 hours after the last change."`
	Force   bool          `help:"With --finish: do not wait for the 24 hours."`
	Note    string        `help:"Reason, for the audit trail." placeholder:"TEXT"`
	Yes     bool          `help:"Do not ask for confirmation."`
}

func (Roll) Help() string {
	return `A secret is rolled in Stripe's Dashboard, not by its API: Developers, Webhooks, the endpoint, Roll secret. Let the old one expire in 24 hours, never at once: a delivery signed with a secret that is not stored yet is refused. Then store the new secret here, in front of the old one. Stripe signs with both for 24 hours; after that --finish removes the old one. The 24 hours count from the last change of the stored secrets of any endpoint; --force removes the old secrets earlier.

  tollgate secret roll --stack tollgate-live
  tollgate secret roll --stack tollgate-live --status
  tollgate secret roll --stack tollgate-live --finish

The new secret is read from the terminal, from stdin or from a file, never from an argument: other users and the shell history see arguments. No secret is shown. Running processes load a new secret within 5 minutes, or at the first delivery that needs it, at most once a minute.

On a local system the first step also rolls the secret at the fake Stripe.`
}

// Run does the step that the flags name.
func (c *Roll) Run(ctx context.Context, a *verb.App) error {
	switch {
	case c.Status && c.Finish:
		return verb.Usage("--status and --finish are two steps: give one of them")
	case c.Overlap < 0 || c.Overlap > 24*time.Hour:
		return verb.Usage("--overlap is up to 24h")
	}
	r, err := c.roll(ctx, a)
	if err != nil {
		return err
	}
	switch {
	case c.Status:
		return r.status(ctx)
	case c.Finish:
		return r.finish(ctx)
	}
	return r.takeNew(ctx)
}

type roll struct {
	*Roll
	verb.Site
	app    *verb.App
	now    registration.Version
	stored registration.Stored
	list   []registration.Secret // the endpoint's, as they are tried
}

// roll reads what is stored. Without a key for Stripe's API the roll continues without
// Stripe's side.
func (c *Roll) roll(ctx context.Context, a *verb.App) (r roll, err error) {
	r = roll{Roll: c, app: a}
	var noStripe error
	if r.Site, noStripe, err = c.EndpointFlags.Site(ctx, a); err != nil {
		return r, err
	}
	if r.Wanted.URL == "" {
		r.Stripe = nil
	} else if noStripe != nil {
		fmt.Fprintf(a.Err, "continuing without Stripe's list of endpoints: %v\n", noStripe)
	}
	if r.now, err = r.Secrets.Current(ctx); err != nil {
		return r, err
	}
	if r.stored, err = registration.ReadStored(r.now.Value); err != nil {
		return r, err
	}
	r.list, err = r.stored.Of(c.Endpoint)
	return r, err
}

// RollStatus is the state of a roll, as JSON.
type RollStatus struct {
	Endpoint  string  `json:"endpoint"`
	Secrets   int     `json:"secrets"`
	ChangedAt *string `json:"changed_at"`
	CanFinish bool    `json:"can_finish"`
	Why       string  `json:"why,omitempty"` // why not
}

// overlap is how long Stripe signs with the old secret too, at most.
const overlap = 24 * time.Hour

// overlapOver returns an error until no endpoint can still be signing with an old secret.
// Each change of the stored secrets starts the time anew.
func overlapOver(changed time.Time) error {
	if end := changed.Add(overlap); time.Now().Before(end) {
		return fmt.Errorf("the stored secrets changed at %s and Stripe may sign with an old one until %s", verb.LongTime(changed), verb.LongTime(end))
	}
	return nil
}

func (r roll) status(ctx context.Context) error {
	if len(r.list) == 0 {
		return verb.Hint(fmt.Errorf("no secret is stored for endpoint %s", r.Endpoint), "stored are those of: %s", cmp.Or(strings.Join(r.stored.Endpoints(), ", "), "none"))
	}
	v := RollStatus{Endpoint: r.Endpoint, Secrets: len(r.list), ChangedAt: verb.Stamp(r.now.At)}
	switch old, err := r.removable(ctx); {
	case err != nil:
		v.Why = err.Error()
	case len(old) == 0:
		v.Why = "no old secret is stored"
	default:
		if err := overlapOver(r.now.At); err != nil {
			v.Why = err.Error()
		}
	}
	v.CanFinish = v.Why == ""
	if r.app.JSON {
		r.app.Object(v)
		return nil
	}
	r.app.Fields([][2]string{
		{"endpoint", v.Endpoint}, {"stored secrets", fmt.Sprint(v.Secrets)}, {"changed", verb.LongTime(r.now.At)},
	})
	if v.CanFinish {
		fmt.Fprintln(r.app.Out, "The old secrets can be removed: tollgate secret roll --finish")
	} else {
		fmt.Fprintln(r.app.Out, "Nothing to remove now: "+v.Why)
	}
	return nil
}

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
