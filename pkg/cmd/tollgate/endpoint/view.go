package endpoint

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/registration"
)

// View is an endpoint from both sides: at Stripe, and the secrets that are stored for it. What
// cannot be read has an error instead.
type View struct {
	Wanted registration.Wanted

	Plan      *registration.Plan     // nil with PlanErr
	Serving   *registration.Endpoint // nil for none
	Remaining string                 // what apply would do
	PlanErr   error

	Endpoints []string // with stored secrets
	Secrets   []SecretUse
	Changed   time.Time
	SecretErr error

	Use    Use
	UseErr error
}

// SecretUse is a stored secret, in the order in which ingest tries them.
type SecretUse struct {
	Place       int // the first is 1
	Fingerprint string
	AtStripe    bool // apply stored it for the endpoint that serves
	Deliveries  int  // that it verified, of those read
	Last        time.Time
}

// Load reads both sides of an endpoint. It posts nothing to the endpoint's URL.
func Load(ctx context.Context, a *verb.App, f verb.EndpointFlags) (v View, err error) {
	s, noStripe, err := f.Site(ctx, a)
	if err != nil {
		return v, err
	}
	v.Wanted = s.Wanted
	v.loadPlan(ctx, s, noStripe)
	v.loadSecrets(ctx, s)
	since := time.Now().Add(-useFor)
	if v.Changed.After(since) {
		since = v.Changed // before, a place may have had another secret
	}
	v.Use, v.UseErr = UseOf(ctx, s.Target, f.Endpoint, since)
	for i := range v.Secrets {
		one := &v.Secrets[i]
		one.Deliveries, one.Last = v.Use.Deliveries[i], v.Use.Last[i]
		one.AtStripe = v.Serving != nil && v.Serving.Metadata[registration.MetaSecret] == one.Fingerprint
	}
	return v, nil
}

func (v *View) loadPlan(ctx context.Context, s verb.Site, noStripe error) {
	if v.PlanErr = noStripe; noStripe != nil {
		return
	}
	p, err := s.Plan(ctx, false)
	if v.PlanErr = err; err != nil {
		return
	}
	v.Plan, v.Remaining = &p.Plan, remaining(p.Plan)
	for _, e := range p.All {
		if e.ID == p.Endpoint {
			v.Serving = &e
		}
	}
}

func (v *View) loadSecrets(ctx context.Context, s verb.Site) {
	now, err := s.Secrets.Current(ctx)
	var stored registration.Stored
	if err == nil {
		stored, err = registration.ReadStored(now.Value)
	}
	var list []registration.Secret
	if err == nil {
		v.Endpoints, v.Changed = stored.Endpoints(), now.At
		list, err = stored.Of(s.Wanted.Name)
	}
	if err == nil && len(list) == 0 {
		err = verb.Hint(fmt.Errorf("no secret is stored for endpoint %s: ingest refuses all its deliveries", s.Wanted.Name),
			"%s", cmp.Or(map[bool]string{true: "tollgate endpoint apply creates the endpoint and stores its secret"}[v.Plan != nil], "tollgate secret roll stores one"))
	}
	v.SecretErr = err
	for i, secret := range list {
		v.Secrets = append(v.Secrets, SecretUse{Place: i + 1, Fingerprint: secret.Fingerprint()})
	}
}
