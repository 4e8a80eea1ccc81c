package dynamostore

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"tollgate/pkg/idempotency/idempotencytest"
)

// lossy loses every seventh request and the response of every third.
type lossy struct {
	next http.RoundTripper
	n    atomic.Int64
}

func (l *lossy) RoundTrip(r *http.Request) (*http.Response, error) {
	switch n := l.n.Add(1); {
	case n%7 == 0:
		return loseRequest(r, l.next)
	case n%3 == 0:
		return loseResponse(r, l.next)
	default:
		return l.next.RoundTrip(r)
	}
}

// TestLawOverLossyWire runs the suite while the SDK sends again what gets no answer:
// the law must not show it.
func TestLawOverLossyWire(t *testing.T) {
	s := serveEmbedded(t)
	transport := &http.Transport{MaxIdleConnsPerHost: 32}
	t.Cleanup(transport.CloseIdleConnections)
	patient := retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = 50
		o.RateLimiter = ratelimit.None
		o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
	})
	idempotencytest.Run(t, func(t *testing.T) idempotencytest.Harness {
		f := s.fixture(t, transport)
		client := s.client(&lossy{next: transport}, false)
		f.Store = newStore(t, withRetryer{Client: client, retryer: patient}, f.table)
		return f.harness()
	})
}

// withRetryer gives every call of a client a retryer.
type withRetryer struct {
	Client
	retryer aws.Retryer
}

func (w withRetryer) option(o *dynamodb.Options) { o.Retryer = w.retryer }

func (w withRetryer) UpdateItem(ctx context.Context, in *dynamodb.UpdateItemInput, o ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error) {
	return w.Client.UpdateItem(ctx, in, append(o, w.option)...)
}

func (w withRetryer) TransactWriteItems(ctx context.Context, in *dynamodb.TransactWriteItemsInput, o ...func(*dynamodb.Options)) (*dynamodb.TransactWriteItemsOutput, error) {
	return w.Client.TransactWriteItems(ctx, in, append(o, w.option)...)
}
