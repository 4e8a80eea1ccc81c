package main

import (
	"context"
	"errors"
	"fmt"

	"tollgate/pkg/registration"
)

// endpointPlanCmd says what apply would do.
type endpointPlanCmd struct {
	endpointFlags
}

// Help returns the text that --help prints with the flags.
func (endpointPlanCmd) Help() string {
	return `Compares Stripe's webhook endpoints with what this system wants: its URL, the types that have a handler, the API version that handlers read. It changes nothing; the URL gets one delivery without a signature, to see who answers.

  tollgate endpoint plan --stack tollgate-live`
}

// Run prints the plan.
func (c *endpointPlanCmd) Run(ctx context.Context, a *app) error {
	p, err := c.plan(ctx, a)
	if err != nil {
		return err
	}
	a.showPlan(p)
	if p.Action == registration.ActionRefuse {
		return errRefused
	}
	return nil
}

var errRefused = errors.New("what is wanted cannot be registered at Stripe, see the findings")

// endpointStatusCmd checks what is registered.
type endpointStatusCmd struct {
	endpointFlags
}

// Help returns the text that --help prints with the flags.
func (endpointStatusCmd) Help() string {
	return `Looks for what keeps deliveries from coming, or lets too many come: no endpoint, a disabled one, types that differ from the handlers', another API version, two endpoints for one URL, no stored secret, a URL that redirects or is another system's. Exit 1 when anything is to be done.

  tollgate endpoint status --stack tollgate-live`
}

// Run prints the findings and fails when one is trouble.
func (c *endpointStatusCmd) Run(ctx context.Context, a *app) error {
	p, err := c.plan(ctx, a)
	if err != nil {
		return err
	}
	a.showPlan(p)
	if !p.Trouble() {
		return nil
	}
	n := 0
	for _, f := range p.Findings {
		if f.Level == registration.Trouble {
			n++
		}
	}
	if n == 0 {
		return hint(errors.New("the endpoint is not as it should be: "+planWords(p)), "tollgate endpoint apply")
	}
	return fmt.Errorf("the endpoint is not as it should be: %d findings", n)
}
