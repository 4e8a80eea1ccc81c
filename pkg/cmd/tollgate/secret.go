package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tollgate/pkg/registration"
)

// secretCmds are about the signing secrets.
type secretCmds struct {
	Roll secretRollCmd `cmd:"" help:"Roll an endpoint's signing secret without losing a delivery."`
}

// secretRollCmd takes one of the three steps of a roll.
type secretRollCmd struct {
	Endpoint string        `default:"default" help:"Name of the endpoint whose secret is rolled. Default: default." placeholder:"NAME"`
	URL      string        `help:"Where Stripe delivers. Default: the target's, with the endpoint's name." placeholder:"URL"`
	Connect  bool          `help:"The endpoint for the events of connected accounts."`
	File     string        `name:"new-secret-file" help:"File with the new secret; - for stdin. Default: ask for it." placeholder:"FILE"`
	Overlap  time.Duration `default:"24h" help:"How long the stand-in for Stripe signs with the old secret too, of a local system; under a minute, deliveries may be refused. Default: 24h."`
	Status   bool          `help:"Say which of the secrets verify deliveries. Changes nothing."`
	Finish   bool          `help:"Remove the old secrets once they verify nothing any more."`
	After    time.Duration `default:"1h" help:"With --finish and --status: for how long they must have verified nothing. Default: 1h."`
	Force    bool          `help:"With --finish: without that proof."`
	Why      string        `name:"reason" aliases:"note" help:"Why, for the audit trail." placeholder:"TEXT"`
	Yes      bool          `help:"Do not ask."`
}

// Help returns the text that --help prints with the flags.
func (secretRollCmd) Help() string {
	return `A secret is rolled in Stripe's Dashboard, not by its API: Developers, Webhooks, the endpoint, Roll secret. Let the old one expire in 24 hours, never at once: what is signed with a secret that is not stored yet is refused. Stripe then signs with both, which is the time for three steps here. The first takes the new secret and stores it in front of the old one; the second tells which of them verify deliveries; the third removes the old one when it has verified nothing for an hour.

  tollgate secret roll --stack tollgate-live
  tollgate secret roll --stack tollgate-live --status
  tollgate secret roll --stack tollgate-live --finish

The new secret is read from the terminal, from stdin or from a file, never from an argument: those are seen by others and kept in histories. No secret is shown. Running processes know a new secret within 5 minutes, or at the first delivery that needs it, at most once a minute.

With a local system and its stand-in for Stripe, the first step rolls it there too.`
}

// Run takes the step that the flags name.
func (c *secretRollCmd) Run(ctx context.Context, a *app) error {
	switch {
	case c.Status && c.Finish:
		return usage("--status and --finish are two steps: give one of them")
	case c.After < 0 || c.After > maxWindow:
		return usage("--after is up to %v", maxWindow)
	case c.Overlap < 0 || c.Overlap > 24*time.Hour:
		return usage("--overlap is up to 24h")
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
	return r.take(ctx)
}

// roll is a run of the verb on one endpoint.
type roll struct {
	*secretRollCmd
	site
	app    *app
	now    registration.Version
	stored registration.Stored
	list   []registration.Secret // the endpoint's, as they are tried
}

// roll reads what is stored. Stripe's side is there when there is a key for it: a roll
// needs none.
func (c *secretRollCmd) roll(ctx context.Context, a *app) (r roll, err error) {
	if err := registration.CheckName(c.Endpoint); err != nil {
		return r, usage("%v", err)
	}
	r = roll{secretRollCmd: c, app: a}
	if r.target, err = a.target(ctx); err != nil {
		return r, err
	}
	if r.vault, err = r.target.vault(); err != nil {
		return r, err
	}
	r.wanted = endpointFlags{Endpoint: c.Endpoint, URL: c.URL, Connect: c.Connect}.wanted(r.target)
	if r.wanted.URL != "" && !c.Status {
		if r.stripe, err = a.stripe(ctx, r.target); err != nil {
			r.stripe = nil
			fmt.Fprintf(a.err, "without a look at Stripe: %v\n", err)
		}
	}
	if r.now, err = r.vault.Current(ctx); err != nil {
		return r, err
	}
	if r.stored, err = registration.ReadStored(r.now.Value); err != nil {
		return r, err
	}
	r.list, err = r.stored.Of(c.Endpoint)
	return r, err
}

// rollView is what --status says, for machines.
type rollView struct {
	Endpoint  string             `json:"endpoint"`
	Secrets   int                `json:"secrets"`
	ChangedAt *string            `json:"changed_at"`
	Known     bool               `json:"known"` // whether the use of the secrets is known
	Uses      []registration.Use `json:"verified_by"`
	CanFinish bool               `json:"can_finish"`
	Why       string             `json:"why,omitempty"` // why not
}

func (r roll) status(ctx context.Context) error {
	v := rollView{Endpoint: r.Endpoint, Secrets: len(r.list), ChangedAt: stamp(r.now.At), Uses: []registration.Use{}}
	err := errors.New("no old secret is stored")
	if len(r.list) > 1 {
		var e registration.Evidence
		e, err = r.evidence(ctx, len(r.list), r.After)
		if v.Known = err == nil; v.Known {
			v.Uses = append(v.Uses, e.Uses...)
			err = e.RestIsUnused(r.After)
		}
	}
	if v.CanFinish = err == nil; !v.CanFinish {
		v.Why = err.Error()
	}
	if r.app.json {
		r.app.object(v)
		return nil
	}
	r.app.fields([][2]string{
		{"endpoint", v.Endpoint}, {"stored secrets", fmt.Sprint(v.Secrets)}, {"changed", longTime(r.now.At)},
	})
	for _, u := range v.Uses {
		fmt.Fprintf(r.app.out, "secret %d verified %d deliveries in the last %v, the last %s\n", u.Index, u.Count, r.After, longTime(u.Last))
	}
	if v.CanFinish {
		fmt.Fprintln(r.app.out, "The old ones can go: tollgate secret roll --finish")
	} else {
		fmt.Fprintln(r.app.out, "Not to be finished now: "+v.Why)
	}
	return nil
}
