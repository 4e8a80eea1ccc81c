package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"tollgate/pkg/limits"
)

// stackTarget reads a deployed system's names from its stack's outputs.
func stackTarget(ctx context.Context, stack string) (target, error) {
	c, err := awsConfig(ctx)
	if err != nil {
		return target{}, err
	}
	outputs, err := stackOutputs(ctx, c, stack)
	if err != nil {
		return target{}, hint(fmt.Errorf("read stack %s: %w", stack, err),
			"is it deployed in %s with these credentials, and may they call cloudformation:DescribeStacks?", c.Region)
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

// Bounds of the one call.
const (
	stackTimeout   = 20 * time.Second
	maxStackAnswer = 4 << 20
)

// stackAnswer is what DescribeStacks answers, as far as it is read here.
type stackAnswer struct {
	Stacks []struct {
		Outputs []struct {
			Key   string `xml:"OutputKey"`
			Value string `xml:"OutputValue"`
		} `xml:"Outputs>member"`
	} `xml:"DescribeStacksResult>Stacks>member"`
	Code    string `xml:"Error>Code"`
	Message string `xml:"Error>Message"`
}

// stackOutputs makes the one call of CloudFormation that is needed, with the SDK's
// signer: the SDK's client takes a fifth of the command's whole first build.
func stackOutputs(ctx context.Context, c aws.Config, stack string) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, stackTimeout)
	defer cancel()
	req, err := describeStack(ctx, c, stack)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	var answer stackAnswer
	if err := xml.NewDecoder(io.LimitReader(res.Body, maxStackAnswer)).Decode(&answer); err != nil {
		return nil, fmt.Errorf("read answer (%s): %w", res.Status, err)
	}
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", answer.Code, answer.Message)
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

// describeStack makes a signed request of the Query protocol.
func describeStack(ctx context.Context, c aws.Config, stack string) (*http.Request, error) {
	form := url.Values{"Action": {"DescribeStacks"}, "Version": {"2010-05-15"}, "StackName": {stack}}.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, cloudFormation(c), strings.NewReader(form))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	credentials, err := c.Credentials.Retrieve(ctx)
	if err != nil {
		return nil, fmt.Errorf("find credentials: %w", err)
	}
	digest := sha256.Sum256([]byte(form))
	err = v4.NewSigner().SignHTTP(ctx, credentials, req, hex.EncodeToString(digest[:]), "cloudformation", c.Region, time.Now())
	return req, err
}

// cloudFormation is the service's address: the one that AWS_ENDPOINT_URL names for every
// service, else AWS's own.
func cloudFormation(c aws.Config) string {
	if c.BaseEndpoint != nil {
		return *c.BaseEndpoint
	}
	domain := "amazonaws.com"
	if strings.HasPrefix(c.Region, "cn-") {
		domain += ".cn"
	}
	return "https://cloudformation." + c.Region + "." + domain + "/"
}
