package verb

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"

	"tollgate/pkg/limits"
)

// stackTarget reads a deployed system's names from the outputs of its stack.
func (a *App) stackTarget(ctx context.Context) (Target, error) {
	c, err := a.awsConfig(ctx)
	if err != nil {
		return Target{}, err
	}
	outputs, err := stackOutputs(ctx, c, a.Stack)
	if err != nil && a.reach.hint() != "" {
		return Target{}, fmt.Errorf("read stack %s: %w", a.Stack, err)
	}
	if err != nil {
		return Target{}, Hint(fmt.Errorf("read stack %s: %w", a.Stack, err),
			"is it deployed in %s with these credentials (AWS_REGION and AWS_PROFILE name others), and may they call cloudformation:DescribeStacks?", c.Region)
	}
	var missing []string
	for _, name := range []string{limits.OutputWebhookURL, limits.OutputQueueURL, limits.OutputDLQURL, limits.OutputTable} {
		if outputs[name] == "" {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return Target{}, Hint(fmt.Errorf("stack %s has no output %s", a.Stack, strings.Join(missing, ", ")),
			"is it one of Tollgate's? They are called tollgate-<stage>")
	}
	return Target{
		Name: "stack " + a.Stack + " in " + c.Region, AWS: c, TimeScale: 1,
		Table: outputs[limits.OutputTable], QueueURL: outputs[limits.OutputQueueURL], DLQURL: outputs[limits.OutputDLQURL],
		URL: outputs[limits.OutputWebhookURL], WebhookSecretID: outputs[limits.OutputWebhookSecret], APIKeySecretID: outputs[limits.OutputAPIKeySecret],
	}, nil
}

const stackTimeout = 20 * time.Second

func stackOutputs(ctx context.Context, c aws.Config, stack string) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, stackTimeout)
	defer cancel()
	got, err := cloudformation.NewFromConfig(c).DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: &stack})
	if err != nil {
		return nil, err
	}
	if len(got.Stacks) != 1 {
		return nil, fmt.Errorf("%d stacks have this name", len(got.Stacks))
	}
	outputs := map[string]string{}
	for _, o := range got.Stacks[0].Outputs {
		outputs[aws.ToString(o.OutputKey)] = aws.ToString(o.OutputValue)
	}
	return outputs, nil
}
