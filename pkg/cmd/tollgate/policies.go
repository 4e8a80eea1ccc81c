package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"tollgate/pkg/config"
	"tollgate/pkg/event"
	"tollgate/pkg/handlers"
	"tollgate/pkg/policy"
)

// consumerVariable reads a variable of the deployed consumer function, "" when it has none.
func (t target) consumerVariable(ctx context.Context, name string) (string, error) {
	function := prefixOf(t) + "-consumer"
	raw, err := awsCall(ctx, t.aws, "lambda", http.MethodGet, "/2015-03-31/functions/"+url.PathEscape(function)+"/configuration", "")
	if err != nil {
		return "", fmt.Errorf("read environment of function %s: %w", function, err)
	}
	var is struct {
		FunctionName string
		Environment  struct {
			Variables map[string]string
			Error     *struct{ Message string }
		}
	}
	if err := json.Unmarshal(raw, &is); err != nil || is.FunctionName == "" {
		return "", fmt.Errorf("read environment of function %s: the answer is not the JSON of Lambda", function)
	}
	if is.Environment.Error != nil {
		return "", fmt.Errorf("read environment of function %s: %s", function, is.Environment.Error.Message)
	}
	return is.Environment.Variables[name], nil
}

// policies are those of the target's endpoints, as its consumer has them.
func (t target) policies(ctx context.Context) (map[string]policy.Policy, error) {
	text, err := t.endpoints, error(nil)
	if !t.local {
		text, err = t.consumerVariable(ctx, "TOLLGATE_ENDPOINTS")
	}
	if err != nil {
		return nil, err
	}
	return config.ParseEndpoints(text)
}

// excludes reports whether the policy of an event's endpoint excludes it, as the consumer
// would: it asks for types that have a handler.
func excludes(policies map[string]policy.Policy) func(event.Envelope) bool {
	handled := handlers.Types()
	return func(e event.Envelope) bool {
		return slices.Contains(handled, e.Type) && policies[e.Endpoint].Judge(e).Action != policy.Accept
	}
}
