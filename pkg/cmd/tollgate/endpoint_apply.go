package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"time"

	"tollgate/pkg/registration"
)

// endpointApplyCmd brings Stripe to what is wanted.
type endpointApplyCmd struct {
	endpointFlags
	Retire string `help:"Then disable this other endpoint for the same URL, if the one that stays is older than 24 hours." placeholder:"we_…"`
	Force  bool   `help:"With --retire: do not wait for the 24 hours."`
	Why    string `name:"reason" aliases:"note" help:"Why, for the audit trail." placeholder:"TEXT"`
	Yes    bool   `help:"Do not ask."`
}

// Help returns the text that --help prints with the flags.
func (endpointApplyCmd) Help() string {
	return `Carries out what endpoint plan says; when there is nothing to do it does nothing and ends well. The secret of a new endpoint is stored, in front of the others, before anything counts as done: if it cannot be stored the endpoint is deleted again, and if that fails too the last line names it. The secret is never shown.

API version and Connect cannot be changed at Stripe: another endpoint is created, and the old one delivers on. Events then come twice and are handled once. 24 hours after the new one was created, --retire disables the old one.

  tollgate endpoint apply --stack tollgate-live
  tollgate endpoint apply --stack tollgate-live --retire we_1Old`
}

// applyView is what was done, for machines.
type applyView struct {
	Action registration.Action `json:"action"`
	registration.Done
	Retired string `json:"retired,omitempty"`
}

// Run applies the plan, then retires.
func (c *endpointApplyCmd) Run(ctx context.Context, a *app) error {
	s, err := c.site(ctx, a)
	if err != nil {
		return err
	}
	p, all, stored, err := s.look(ctx)
	if err != nil {
		return err
	}
	if err := c.possible(a, s, p); err != nil {
		return err
	}
	if p.Idle() && c.Retire == "" {
		a.line(applyView{Action: p.Action}, "Nothing to do: "+p.Endpoint+" is as it should be.")
		return nil
	}
	what := planWords(p)
	if c.Retire != "" {
		if err := c.retirable(s, p, all, stored); err != nil {
			return err
		}
		what = strings.TrimPrefix(what+"; disable "+c.Retire, "nothing; ")
	}
	if err := a.confirm(ctx, s.target, what, c.Yes); err != nil {
		return err
	}
	view := applyView{Action: p.Action}
	err = a.audited(ctx, s.target, auditOf{verb: "endpoint apply", why: c.Why, detail: what}, func(ctx context.Context) (string, error) {
		return c.work(ctx, a, s, p, &view)
	})
	if err == nil || a.json {
		a.line(view, view.words())
	}
	return stripeHint(err)
}

func (v applyView) words() string {
	if v.Retired == "" {
		return "Done: " + v.Words()
	}
	return "Done: " + strings.TrimPrefix(v.Words()+"; disabled "+v.Retired, "nothing was changed; ")
}

// possible refuses what cannot be carried out, with the findings on stderr.
func (c *endpointApplyCmd) possible(a *app, s site, p registration.Plan) error {
	for _, f := range p.Findings {
		fmt.Fprintln(a.err, findingText(f))
	}
	switch {
	case p.Action == registration.ActionRefuse:
		return errRefused
	case c.Retire == "":
		return nil
	case p.Action == registration.ActionCreate:
		return hint(usage("there is no endpoint yet that could serve in place of %s", c.Retire), "run endpoint apply first, and retire a day later")
	case !slices.Contains(p.Replaces, c.Retire):
		return hint(usage("%s is not an enabled endpoint for %s beside %s", c.Retire, s.wanted.URL, p.Endpoint), "tollgate endpoint plan lists them")
	}
	return nil
}

// retirable returns an error unless the secret of the endpoint that stays is stored, and the
// endpoint has existed long enough for Stripe to show failed deliveries.
func (c *endpointApplyCmd) retirable(s site, p registration.Plan, all []registration.Endpoint, stored registration.Stored) error {
	if c.Force {
		return nil
	}
	list, err := stored.Of(s.wanted.Name)
	if err != nil {
		return err
	}
	var serving registration.Endpoint
	for _, e := range all {
		if e.ID == p.Endpoint {
			serving = e
		}
	}
	mark := serving.Metadata[registration.MetaSecret]
	if !slices.ContainsFunc(list, func(s registration.Secret) bool { return s.Fingerprint() == mark }) {
		return hint(fmt.Errorf("%s stays: no stored secret is known to be that of %s", c.Retire, p.Endpoint), "--force retires it all the same")
	}
	if end := serving.Created.Add(overlap); time.Now().Before(end) {
		return hint(fmt.Errorf("%s stays until %s: %s is newer than 24 hours", c.Retire, longTime(end), p.Endpoint), "--force retires it now; look at the deliveries of %s at Stripe first", p.Endpoint)
	}
	return nil
}

// work runs within the audit.
func (c *endpointApplyCmd) work(ctx context.Context, a *app, s site, p registration.Plan, view *applyView) (string, error) {
	applier := s.applier(a)
	var err error
	if view.Done, err = applier.Apply(ctx, p); err != nil {
		return view.Words(), err
	}
	if c.Retire != "" {
		if err := applier.Retire(ctx, c.Retire); err != nil {
			return view.Words(), err
		}
		view.Retired = c.Retire
	}
	return strings.TrimPrefix(view.words(), "Done: "), nil
}

func (s site) applier(a *app) registration.Applier {
	return registration.Applier{
		Registrar: s.stripe, Lister: s.stripe, Vault: s.vault, Run: strings.ToLower(rand.Text()),
		Say: func(format string, args ...any) { fmt.Fprintf(a.err, format+"\n", args...) },
	}
}
