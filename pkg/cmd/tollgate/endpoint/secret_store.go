package endpoint

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/registration"
)

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
	if err := r.app.Confirm(ctx, r.Target, what, r.Yes); err != nil {
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
	raw, err := r.Target.FakeStripe(ctx, http.MethodPost, "/_fake/webhook_endpoints/"+id+"/roll", body)
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
