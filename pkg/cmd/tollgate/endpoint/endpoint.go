// Package endpoint has the verbs for Stripe's webhook endpoint and its signing secret.
package endpoint

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

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

// Run prints the plan.
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
		return verb.Hint(errors.New("the endpoint is not up to date: "+toDo(p.Plan)), "tollgate endpoint apply")
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
		{"to do", toDo(p)},
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

func toDo(p registration.Plan) string {
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
