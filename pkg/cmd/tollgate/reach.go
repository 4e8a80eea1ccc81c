package main

import (
	"context"
	"net/http"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

// reach notes whether the last request to AWS could be signed, and got an answer: whatever
// an error says then, this is what is to be mended first.
type reach struct {
	silent    atomic.Pointer[string] // the host that did not answer
	strangers atomic.Bool            // no credentials are found
}

// requests notes which are answered.
type requests struct {
	aws.HTTPClient
	noted *reach
}

// credentials notes whether there are any.
type credentials struct {
	aws.CredentialsProvider
	noted *reach
}

// Retrieve finds them.
func (c credentials) Retrieve(ctx context.Context) (aws.Credentials, error) {
	found, err := c.CredentialsProvider.Retrieve(ctx)
	c.noted.strangers.Store(err != nil && ctx.Err() == nil)
	return found, err
}

// watch returns a configuration whose requests are noted. It is safe for concurrent use,
// also while requests of others are under way.
func (r *reach) watch(c aws.Config) aws.Config {
	if r == nil {
		return c
	}
	if c.HTTPClient == nil {
		c.HTTPClient = awshttp.NewBuildableClient()
	}
	c.HTTPClient, c.Credentials = requests{c.HTTPClient, r}, credentials{c.Credentials, r}
	return c
}

// Do makes a request. One that was called off says nothing about its host.
func (r requests) Do(q *http.Request) (*http.Response, error) {
	res, err := r.HTTPClient.Do(q)
	switch {
	case err == nil:
		r.noted.silent.Store(nil)
	case q.Context().Err() == nil:
		host := q.URL.Host
		r.noted.silent.Store(&host)
	}
	return res, err
}

// hint says what to do when nothing could be asked, or nobody answers; "" when somebody did.
func (r *reach) hint() string {
	switch {
	case r == nil:
		return ""
	case r.strangers.Load():
		return "no AWS credentials are found: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or sign in again (aws sso login)"
	case r.silent.Load() == nil:
		return ""
	}
	return *r.silent.Load() + " does not answer: look at the network, at AWS_REGION and at AWS_ENDPOINT_URL"
}
