package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"

	"tollgate/pkg/limits"
)

// stackTarget reads a deployed system's names from its stack's outputs.
func stackTarget(ctx context.Context, stack string) (target, error) {
	c, err := awsConfig(ctx)
	if err != nil {
		return target{}, err
	}
	out, err := cloudformation.NewFromConfig(c).DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: &stack})
	if err != nil {
		return target{}, hint(fmt.Errorf("read stack %s: %w", stack, err),
			"is it deployed in %s with these credentials, and may they call cloudformation:DescribeStacks?", c.Region)
	}
	if len(out.Stacks) != 1 {
		return target{}, fmt.Errorf("read stack %s: %d stacks have this name", stack, len(out.Stacks))
	}
	values := map[string]string{}
	for _, o := range out.Stacks[0].Outputs {
		values[aws.ToString(o.OutputKey)] = aws.ToString(o.OutputValue)
	}
	var missing []string
	for _, name := range []string{limits.OutputWebhookURL, limits.OutputQueueURL, limits.OutputDLQURL, limits.OutputTable} {
		if values[name] == "" {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return target{}, hint(fmt.Errorf("stack %s has no output %s", stack, strings.Join(missing, ", ")),
			"is it one of Tollgate's? They are called tollgate-<stage>")
	}
	return target{
		name: "stack " + stack + " in " + c.Region, aws: c, timeScale: 1,
		table: values[limits.OutputTable], queueURL: values[limits.OutputQueueURL], dlqURL: values[limits.OutputDLQURL],
		url: values[limits.OutputWebhookURL],
	}, nil
}
