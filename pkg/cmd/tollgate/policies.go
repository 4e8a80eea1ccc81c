package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"tollgate/pkg/config"
	"tollgate/pkg/doctor"
	"tollgate/pkg/event"
	"tollgate/pkg/handlers"
	"tollgate/pkg/ingest"
	"tollgate/pkg/policy"
)

// variables reads the environment of one of the target's deployed functions.
func (t target) variables(ctx context.Context, function string) (map[string]string, error) {
	name := prefixOf(t) + "-" + function
	raw, err := awsCall(ctx, t.aws, "lambda", http.MethodGet, "/2015-03-31/functions/"+url.PathEscape(name)+"/configuration", "")
	if err != nil {
		return nil, fmt.Errorf("read environment of function %s: %w", name, err)
	}
	var is struct {
		FunctionName string
		Environment  struct {
			Variables map[string]string
			Error     *struct{ Message string }
		}
	}
	if err := json.Unmarshal(raw, &is); err != nil || is.FunctionName == "" {
		return nil, fmt.Errorf("read environment of function %s: the answer is not the JSON of Lambda", name)
	}
	if is.Environment.Error != nil {
		return nil, fmt.Errorf("read environment of function %s: %s", name, is.Environment.Error.Message)
	}
	return is.Environment.Variables, nil
}

// policies are those of the target's endpoints, as its consumer has them.
func (t target) policies(ctx context.Context) (map[string]policy.Policy, error) {
	if t.local {
		return config.ParseEndpoints(t.endpoints)
	}
	variables, err := t.variables(ctx, "consumer")
	if err != nil {
		return nil, err
	}
	policies, err := config.ParseEndpoints(variables["TOLLGATE_ENDPOINTS"])
	if err != nil {
		return nil, fmt.Errorf("%w: of the consumer: %w", doctor.ErrConfiguration, err)
	}
	return policies, nil
}

// configured reads the accounts and policies of the target's functions for doctor.
type configured struct{ target target }

// Accounts reads them; accounts that are not configured are the key's own alone.
func (c configured) Accounts(ctx context.Context) (a doctor.Accounts, err error) {
	if a.Consumer, err = c.target.policies(ctx); err != nil {
		return a, err
	}
	listed, endpoints := c.target.reconciled, c.target.endpoints
	if !c.target.local {
		variables, err := c.target.variables(ctx, "reconcile")
		if err != nil {
			return a, err
		}
		listed, endpoints = variables["TOLLGATE_RECONCILE"], variables["TOLLGATE_ENDPOINTS"]
	}
	if a.Reconcile, err = config.ParseEndpoints(endpoints); err == nil {
		a.Reconciled, err = config.ParseAccounts(listed)
	}
	if err != nil {
		return a, fmt.Errorf("%w: of reconcile: %w", doctor.ErrConfiguration, err)
	}
	if a.Reconciled == nil {
		a.Reconciled = map[string]string{"": ingest.DefaultEndpoint}
	}
	return a, nil
}

// excludes returns a function that reports whether the policy of an event's endpoint excludes
// it, by the consumer's rule: only types with a handler are checked. Nil when the policies
// are unknown.
func (t target) excludes(ctx context.Context) (func(event.Envelope) bool, error) {
	policies, err := t.policies(ctx)
	if err != nil {
		return nil, err
	}
	handled := handlers.Types()
	return func(e event.Envelope) bool {
		return slices.Contains(handled, e.Type) && policies[e.Endpoint].Judge(e).Action != policy.Accept
	}, nil
}
