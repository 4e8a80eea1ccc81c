package verb

import (
	"context"
	"net/http"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

// reach records whether the last request to AWS was signed and answered. If not, missing
// credentials or an unreachable host is the cause to fix first.
type reach struct {
	unanswered    atomic.Pointer[string] // the host of the last request that had no answer
	noCredentials atomic.Bool
}

type recordingClient struct {
	aws.HTTPClient
	reach *reach
}

type recordingCredentials struct {
	aws.CredentialsProvider
	reach *reach
}

func (c recordingCredentials) Retrieve(ctx context.Context) (aws.Credentials, error) {
	found, err := c.CredentialsProvider.Retrieve(ctx)
	c.reach.noCredentials.Store(err != nil && ctx.Err() == nil)
	return found, err
}

// watch returns a configuration whose requests are recorded. It is safe for concurrent use,
// also during requests.
func (r *reach) watch(c aws.Config) aws.Config {
	if r == nil {
		return c
	}
	if c.HTTPClient == nil {
		c.HTTPClient = awshttp.NewBuildableClient()
	}
	c.HTTPClient, c.Credentials = recordingClient{c.HTTPClient, r}, recordingCredentials{c.Credentials, r}
	return c
}

// Do makes a request. A canceled request is not recorded.
func (c recordingClient) Do(q *http.Request) (*http.Response, error) {
	res, err := c.HTTPClient.Do(q)
	switch {
	case err == nil:
		c.reach.unanswered.Store(nil)
	case q.Context().Err() == nil:
		host := q.URL.Host
		c.reach.unanswered.Store(&host)
	}
	return res, err
}

// hint returns what to do about missing credentials or a host that does not answer, "" if
// the last request was answered.
func (r *reach) hint() string {
	switch {
	case r == nil:
		return ""
	case r.noCredentials.Load():
		return "no AWS credentials are found: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or sign in again (aws sso login)"
	case r.unanswered.Load() == nil:
		return ""
	}
	return *r.unanswered.Load() + " does not answer: check the network, AWS_REGION and AWS_ENDPOINT_URL"
}
