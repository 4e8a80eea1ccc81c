package main

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"tollgate/pkg/limits"
)

// stackTarget reads a deployed system's names from its stack's outputs.
func (a *app) stackTarget(ctx context.Context) (target, error) {
	stack := a.stack
	c, err := a.awsConfig(ctx)
	if err != nil {
		return target{}, err
	}
	outputs, err := stackOutputs(ctx, c, stack)
	if err != nil && a.reach.hint() != "" {
		return target{}, fmt.Errorf("read stack %s: %w", stack, err)
	}
	if err != nil {
		return target{}, hint(fmt.Errorf("read stack %s: %w", stack, err),
			"is it deployed in %s with these credentials (AWS_REGION and AWS_PROFILE name others), and may they call cloudformation:DescribeStacks?", c.Region)
	}
	var missing []string
	for _, name := range []string{limits.OutputWebhookURL, limits.OutputQueueURL, limits.OutputDLQURL, limits.OutputTable} {
		if outputs[name] == "" {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return target{}, hint(fmt.Errorf("stack %s has no output %s", stack, strings.Join(missing, ", ")),
			"is it one of Tollgate's? They are called tollgate-<stage>")
	}
	return target{
		name: "stack " + stack + " in " + c.Region, aws: c, timeScale: 1,
		table: outputs[limits.OutputTable], queueURL: outputs[limits.OutputQueueURL], dlqURL: outputs[limits.OutputDLQURL],
		url: outputs[limits.OutputWebhookURL], webhookSecretID: outputs[limits.OutputWebhookSecret], apiKeySecretID: outputs[limits.OutputAPIKeySecret],
	}, nil
}

const stackTimeout = 20 * time.Second

// stackAnswer is what DescribeStacks answers, as far as it is read here.
type stackAnswer struct {
	Stacks []struct {
		Outputs []struct {
			Key   string `xml:"OutputKey"`
			Value string `xml:"OutputValue"`
		} `xml:"Outputs>member"`
	} `xml:"DescribeStacksResult>Stacks>member"`
}

// stackOutputs makes the one call of CloudFormation that is needed.
func stackOutputs(ctx context.Context, c aws.Config, stack string) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, stackTimeout)
	defer cancel()
	form := url.Values{"Action": {"DescribeStacks"}, "Version": {"2010-05-15"}, "StackName": {stack}}
	var answer stackAnswer
	if err := awsQuery(ctx, c, "cloudformation", form, &answer); err != nil {
		return nil, err
	}
	if len(answer.Stacks) != 1 {
		return nil, fmt.Errorf("%d stacks have this name", len(answer.Stacks))
	}
	outputs := map[string]string{}
	for _, o := range answer.Stacks[0].Outputs {
		outputs[o.Key] = o.Value
	}
	return outputs, nil
}
