package endpoint

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
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
	text := "Nothing to remove now: " + v.Why
	if v.CanFinish {
		text = "The old secrets can be removed: tollgate secret roll --finish"
	}
	fmt.Fprintln(r.app.Out, text)
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

const maxSecretBytes = 4 << 10

// Rolled is the result of a step, as JSON.
type Rolled struct {
	Endpoint string `json:"endpoint"`
	Changed  bool   `json:"changed"`
	Secrets  int    `json:"secrets"` // stored now
	Removed  int    `json:"removed,omitempty"`
}

func (r roll) takeNew(ctx context.Context) error {
	fakeStripe := r.Wanted.FakeStripe && r.File == ""
	what := fmt.Sprintf("store a new secret of endpoint %s in front of the %d stored ones", r.Endpoint, len(r.list))
	if fakeStripe {
		what = "roll the secret at the fake Stripe, and " + what
	} else {
		fmt.Fprintf(r.app.Err, "first roll it at Stripe: Dashboard, Developers, Webhooks, the endpoint for %s, Roll secret; let the old one expire in 24 hours, not at once\n",
			cmp.Or(r.Wanted.URL, "this system"))
	}
	if err := r.app.Confirm(ctx, r.Target, verb.Audit{Ask: what}, r.Yes); err != nil {
		return err
	}
	var secret registration.Secret
	var err error
	if !fakeStripe {
		if secret, err = r.read(ctx); err != nil {
			return err
		}
	}
	view := Rolled{Endpoint: r.Endpoint}
	err = r.app.Audited(ctx, r.Target, verb.Audit{Verb: "secret roll", Note: r.Note, Detail: what}, func(ctx context.Context) (string, error) {
		return r.store(ctx, secret, fakeStripe, &view)
	})
	if err != nil {
		return err
	}
	text := "The new secret is stored in front; deliveries signed with either are accepted."
	if !view.Changed {
		text = "The secret was stored in front already."
	}
	r.app.Line(view, text+" Next: tollgate secret roll --status, then --finish.")
	return nil
}

// store rolls and stores the secret. An interrupt does not stop it between the two.
func (r roll) store(ctx context.Context, secret registration.Secret, fakeStripe bool, view *Rolled) (outcome string, err error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	id := r.serving(ctx)
	if fakeStripe {
		if id == "" {
			return "", verb.Hint(errors.New("no endpoint is registered at the fake Stripe"), "tollgate endpoint apply registers one; --new-secret-file takes a secret from elsewhere")
		}
		if secret, err = r.rollAtFakeStripe(ctx, id); err != nil {
			return "", err
		}
	}
	if view.Changed, err = registration.Change(ctx, r.Secrets, registration.PutFirst(r.Endpoint, secret)); err != nil {
		return "", verb.Hint(fmt.Errorf("the new secret is not stored: %w", err), "Stripe signs with the old one until it expires: run this again before that")
	}
	view.Secrets = len(r.list)
	if view.Changed {
		view.Secrets++
	}
	if id == "" {
		return "stored", nil
	}
	if err := applier(r.app, r.Site).Mark(ctx, id, secret); err != nil {
		fmt.Fprintf(r.app.Err, "stored; but the mark at Stripe, by which endpoint status finds the secret, is missing: %v\n", err)
		return "stored, not marked at Stripe", nil
	}
	return "stored, marked on " + id, nil
}

// serving returns the endpoint that is rolled, "" if it is unknown or one of several.
func (r roll) serving(ctx context.Context) string {
	if r.Stripe == nil {
		return ""
	}
	all, err := r.Stripe.ListWebhookEndpoints(ctx)
	if err != nil {
		fmt.Fprintf(r.app.Err, "continuing without Stripe's list of endpoints: %v\n", err)
		return ""
	}
	p := registration.Make(r.Wanted, all, registration.Known{})
	if len(p.Replaces) > 0 {
		fmt.Fprintf(r.app.Err, "several endpoints deliver to %s: which one was rolled is not marked at Stripe\n", r.Wanted.URL)
		return ""
	}
	return p.Endpoint
}

// rollAtFakeStripe does what Stripe's Dashboard does.
func (r roll) rollAtFakeStripe(ctx context.Context, id string) (registration.Secret, error) {
	body := fmt.Appendf(nil, `{"expire_s":%d}`, int64(r.Overlap/time.Second))
	raw, err := r.Target.FakeStripe(ctx, "", http.MethodPost, "/_fake/webhook_endpoints/"+id+"/roll", body)
	if err != nil {
		return registration.Secret{}, err
	}
	var answer struct {
		Secret string `json:"secret"`
	}
	if json.Unmarshal(raw, &answer) != nil {
		return registration.Secret{}, errors.New("roll at the fake Stripe: its answer is not JSON")
	}
	return usable(answer.Secret)
}

func (r roll) read(ctx context.Context) (registration.Secret, error) {
	from, named := r.app.In, r.File != "" && r.File != "-"
	var text string
	var err error
	switch {
	case named:
		text, err = verb.Interruptible(ctx, func() (string, error) { return readSecretFile(r.File) })
	case verb.IsTerminal(from):
		text, err = r.app.ReadHidden(ctx, "The new secret (it is not shown): ")
	default:
		text, err = verb.Interruptible(ctx, func() (string, error) { return verb.ReadLine(from, maxSecretBytes) })
	}
	switch {
	case ctx.Err() != nil:
		return registration.Secret{}, fmt.Errorf("%w: no secret was read, nothing was changed", ctx.Err())
	case err != nil && named:
		return registration.Secret{}, verb.Usage("read the new secret: %v", err)
	case err != nil || text == "" && !named:
		return registration.Secret{}, verb.Hint(verb.Usage("read the new secret: there is no terminal and no input"), "--new-secret-file FILE takes it from a file, or give it on stdin")
	}
	return usable(strings.TrimSpace(text))
}

func readSecretFile(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	return verb.ReadLine(f, maxSecretBytes)
}

func usable(text string) (registration.Secret, error) {
	if len(text) > maxSecretBytes {
		return registration.Secret{}, verb.Usage("this is not a signing secret: it is too long")
	}
	if fault := registration.FaultOf(text); fault != "" {
		return registration.Secret{}, verb.Usage("this is not a signing secret: %s", fault)
	}
	return registration.NewSecret(text), nil
}
