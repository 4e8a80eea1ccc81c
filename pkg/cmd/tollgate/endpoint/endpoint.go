// Package endpoint has the verbs for Stripe's webhook endpoint and its signing secret.
package endpoint

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/event"
	"tollgate/pkg/registration"
)

// Commands are the verbs for the endpoint.
type Commands struct {
	Plan   Plan   `cmd:"" help:"Print what apply would do at Stripe."`
	Apply  Apply  `cmd:"" help:"Create or update the endpoint at Stripe, and store its secret."`
	Status Status `cmd:"" help:"Check the endpoint at Stripe; exit 1 if something is wrong."`
}

type flags struct {
	verb.EndpointFlags
	NoProbe bool `help:"Do not send a test request to the URL, for example if this machine cannot reach it."`
}

func (f flags) plan(ctx context.Context, a *verb.App) (s verb.Site, p verb.Planned, err error) {
	s, noStripe, err := f.Site(ctx, a)
	if err = cmp.Or(err, noStripe); err != nil {
		return s, p, err
	}
	p, err = s.Plan(ctx, !f.NoProbe)
	return s, p, err
}

// Plan prints what apply would do.
type Plan struct {
	flags
}

func (Plan) Help() string {
	return `Compares Stripe's webhook endpoints with what this system wants: its URL, the types that have a handler, and the API version that handlers read. It changes nothing. The URL gets one delivery without a signature, to check what responds there.

  tollgate endpoint plan --stack tollgate-live`
}

func (c *Plan) Run(ctx context.Context, a *verb.App) error {
	_, p, err := c.plan(ctx, a)
	if err != nil {
		return err
	}
	show(a, p.Plan)
	if p.Action == registration.ActionRefuse {
		return errRefused
	}
	return nil
}

var errRefused = errors.New("this endpoint cannot be registered at Stripe, see the findings")

// Status checks what is registered.
type Status struct {
	flags
}

func (Status) Help() string {
	return `Checks for what stops deliveries or adds useless ones: no endpoint, a disabled one, types that differ from the handlers', another API version, two endpoints for one URL, no stored secret, or a URL that redirects or belongs to another system. Exit 1 when something is wrong.

  tollgate endpoint status --stack tollgate-live`
}

// Run prints the findings and fails when one is a problem.
func (c *Status) Run(ctx context.Context, a *verb.App) error {
	_, p, err := c.plan(ctx, a)
	if err != nil {
		return err
	}
	show(a, p.Plan)
	if !p.HasProblems() {
		return nil
	}
	n := 0
	for _, f := range p.Findings {
		if f.Level == registration.Problem {
			n++
		}
	}
	if n == 0 {
		return verb.Hint(errors.New("the endpoint is not up to date: "+remaining(p.Plan)), "tollgate endpoint apply")
	}
	return fmt.Errorf("the endpoint has problems: %d findings", n)
}

func show(a *verb.App, p registration.Plan) {
	if a.JSON {
		a.Object(p)
		return
	}
	w := p.Wanted
	a.Fields([][2]string{
		{"endpoint", fmt.Sprintf("%s (%s mode)", w.Name, event.Mode(w.Livemode))},
		{"url", w.URL},
		{"api version", w.APIVersion},
		{"connect", fmt.Sprint(w.Connect)},
		{"events", strings.Join(w.Events, ", ")},
		{"at Stripe", cmp.Or(p.Endpoint, "none")},
		{"to do", remaining(p)},
	})
	for _, f := range p.Findings {
		fmt.Fprintln(a.Out, findingText(f))
		if f.Fix != "" {
			fmt.Fprintf(a.Out, "  %s\n", f.Fix)
		}
	}
}

func findingText(f registration.Finding) string {
	return fmt.Sprintf("%s: %s%s", f.Level, strings.TrimPrefix(f.Endpoint+" ", " "), f.What)
}

func remaining(p registration.Plan) string {
	var parts []string
	if len(p.Delete) > 0 {
		parts = append(parts, "delete "+strings.Join(p.Delete, ", "))
	}
	switch p.Action {
	case registration.ActionRefuse:
		return "nothing can be done, see below"
	case registration.ActionCreate:
		parts = append(parts, fmt.Sprintf("create an endpoint for %d types at %s and store its secret", len(p.Wanted.Events), p.Wanted.URL))
	case registration.ActionUpdate:
		update := "update " + p.Endpoint
		if p.Enable {
			update += ", enable it"
		}
		if len(p.Add) > 0 {
			update += ", add " + strings.Join(p.Add, " ")
		}
		if len(p.Remove) > 0 {
			update += ", remove " + strings.Join(p.Remove, " ")
		}
		parts = append(parts, update)
	}
	return cmp.Or(strings.Join(parts, "; "), "nothing")
}

// Apply carries out the plan at Stripe.
type Apply struct {
	flags
	Retire string `help:"Then disable this other endpoint for the same URL, if the one that stays is older than 24 hours." placeholder:"we_…"`
	Force  bool   `help:"With --retire: do not wait for the 24 hours."`
	Note   string `help:"Reason, for the audit trail." placeholder:"TEXT"`
	Yes    bool   `help:"Do not ask for confirmation."`
}

func (Apply) Help() string {
	return `Carries out what endpoint plan prints. The secret of a new endpoint is stored in front of the others before the endpoint counts as created: if it cannot be stored the endpoint is deleted again, and if that fails too the last line names it. The secret is never shown.

API version and Connect cannot be changed at Stripe: another endpoint is created, and the old one keeps delivering. Events are then delivered twice and handled once. 24 hours after the new one was created, --retire disables the old one.

  tollgate endpoint apply --stack tollgate-live
  tollgate endpoint apply --stack tollgate-live --retire we_1Old`
}

// Applied is what was done, as JSON.
type Applied struct {
	Action registration.Action `json:"action"`
	registration.Done
	Retired string `json:"retired,omitempty"`
}

func (c *Apply) Run(ctx context.Context, a *verb.App) error {
	s, p, err := c.plan(ctx, a)
	if err != nil {
		return err
	}
	if err := c.check(a, s, p.Plan); err != nil {
		return err
	}
	if p.UpToDate() && c.Retire == "" {
		a.Line(Applied{Action: p.Action}, "Nothing to do: "+p.Endpoint+" is up to date.")
		return nil
	}
	what := remaining(p.Plan)
	if c.Retire != "" {
		if err := c.retirable(s, p); err != nil {
			return err
		}
		what = strings.TrimPrefix(what+"; disable "+c.Retire, "nothing; ")
	}
	return a.Change(ctx, s.Target, verb.Audit{Verb: "endpoint apply", Note: c.Note, Detail: what}, c.Yes, func(ctx context.Context) (string, error) {
		done := Applied{Action: p.Action}
		err := c.apply(ctx, a, s, p.Plan, &done)
		if err == nil || a.JSON {
			a.Line(done, "Done: "+done.text())
		}
		return done.text(), verb.StripeHint(err)
	})
}

func (d Applied) text() string {
	if d.Retired == "" {
		return d.Words()
	}
	return strings.TrimPrefix(d.Words()+"; disabled "+d.Retired, "nothing was changed; ")
}

// check prints the findings on stderr and refuses what cannot be carried out.
func (c *Apply) check(a *verb.App, s verb.Site, p registration.Plan) error {
	for _, f := range p.Findings {
		fmt.Fprintln(a.Err, findingText(f))
	}
	switch {
	case p.Action == registration.ActionRefuse:
		return errRefused
	case c.Retire == "":
		return nil
	case p.Action == registration.ActionCreate:
		return verb.Hint(verb.Usage("there is no endpoint yet that could replace %s", c.Retire), "run endpoint apply first, and retire a day later")
	case !slices.Contains(p.Replaces, c.Retire):
		return verb.Hint(verb.Usage("%s is not an enabled endpoint for %s next to %s", c.Retire, s.Wanted.URL, p.Endpoint), "tollgate endpoint plan lists them")
	}
	return nil
}

// retirable returns an error unless the secret of the endpoint that stays is stored, and the
// endpoint has existed long enough for Stripe to show failed deliveries.
func (c *Apply) retirable(s verb.Site, p verb.Planned) error {
	if c.Force {
		return nil
	}
	list, err := p.Stored.Of(s.Wanted.Name)
	if err != nil {
		return err
	}
	var serving registration.Endpoint
	for _, e := range p.All {
		if e.ID == p.Endpoint {
			serving = e
		}
	}
	mark := serving.Metadata[registration.MetaSecret]
	if !slices.ContainsFunc(list, func(s registration.Secret) bool { return s.Fingerprint() == mark }) {
		return verb.Hint(fmt.Errorf("%s stays: no stored secret is known to be that of %s", c.Retire, p.Endpoint), "--force retires it anyway")
	}
	if end := serving.Created.Add(overlap); time.Now().Before(end) {
		return verb.Hint(fmt.Errorf("%s stays until %s: %s is newer than 24 hours", c.Retire, verb.LongTime(end), p.Endpoint),
			"--force retires it now; look at the deliveries of %s at Stripe first", p.Endpoint)
	}
	return nil
}

func (c *Apply) apply(ctx context.Context, a *verb.App, s verb.Site, p registration.Plan, done *Applied) (err error) {
	applier := applier(a, s)
	if done.Done, err = applier.Apply(ctx, p); err != nil || c.Retire == "" {
		return err
	}
	if err := applier.Retire(ctx, c.Retire); err != nil {
		return err
	}
	done.Retired = c.Retire
	return nil
}

func applier(a *verb.App, s verb.Site) registration.Applier {
	return registration.Applier{
		Registrar: s.Stripe, Lister: s.Stripe, Secrets: s.Secrets, Run: strings.ToLower(rand.Text()),
		Log: func(format string, args ...any) { fmt.Fprintf(a.Err, format+"\n", args...) },
	}
}
