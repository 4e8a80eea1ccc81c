package verb

import (
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"tollgate/pkg/config"
	"tollgate/pkg/doctor"
	"tollgate/pkg/event"
	"tollgate/pkg/handlers"
	"tollgate/pkg/policy"
)

// Variables reads the environment of one of the target's deployed functions.
func (t Target) Variables(ctx context.Context, function string) (map[string]string, error) {
	name := t.Prefix() + "-" + function
	got, err := lambda.NewFromConfig(t.AWS).GetFunctionConfiguration(ctx, &lambda.GetFunctionConfigurationInput{FunctionName: &name})
	if err != nil {
		return nil, fmt.Errorf("read environment of function %s: %w", name, err)
	}
	if got.Environment == nil {
		return nil, nil
	}
	if got.Environment.Error != nil {
		return nil, fmt.Errorf("read environment of function %s: %s", name, aws.ToString(got.Environment.Error.Message))
	}
	return got.Environment.Variables, nil
}

// Policies returns those of the target's endpoints, as its consumer has them.
func (t Target) Policies(ctx context.Context) (map[string]policy.Policy, error) {
	if t.Local {
		return config.ParseEndpoints(t.Endpoints)
	}
	variables, err := t.Variables(ctx, "consumer")
	if err != nil {
		return nil, err
	}
	policies, err := config.ParseEndpoints(variables["TOLLGATE_ENDPOINTS"])
	if err != nil {
		return nil, fmt.Errorf("%w: of the consumer: %w", doctor.ErrConfiguration, err)
	}
	return policies, nil
}

// Excludes returns a function that reports whether the policy of an event's endpoint excludes
// it, by the consumer's rule: only types with a handler are checked. Nil when the policies
// are unknown.
func (t Target) Excludes(ctx context.Context) (func(event.Envelope) bool, error) {
	policies, err := t.Policies(ctx)
	if err != nil {
		return nil, err
	}
	handled := handlers.Types()
	return func(e event.Envelope) bool {
		return slices.Contains(handled, e.Type) && policies[e.Endpoint].Judge(e).Action != policy.Accept
	}, nil
}
