package dynamostore

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"tollgate/pkg/delivery"
	"tollgate/pkg/delivery/deliverytest"
	"tollgate/pkg/local/localtest"
)

func newDeliveries(t testing.TB, c Client, table string) *Deliveries {
	t.Helper()
	d, err := NewDeliveries(c, table, Options{})
	check(t, err)
	return d
}

// TestDeliveryLaw runs the suite that every store of deliveries must pass.
func TestDeliveryLaw(t *testing.T) {
	s := serveEmbedded(t)
	deliverytest.Run(t, func(t *testing.T) deliverytest.Store {
		return newDeliveries(t, s.client(http.DefaultTransport, false), s.table(t))
	})
}

// TestDeliveryLawMoto runs the suite against moto, an independent implementation.
func TestDeliveryLawMoto(t *testing.T) {
	s := &server{url: localtest.Moto(t)}
	deliverytest.Run(t, func(t *testing.T) deliverytest.Store {
		return newDeliveries(t, s.client(http.DefaultTransport, false), s.table(t))
	}, "begin/race") // its writes are not isolated from each other
}

// TestDeliveryLawOverLossyWire runs the suite while requests and answers are lost, and sent again.
func TestDeliveryLawOverLossyWire(t *testing.T) {
	s := serveEmbedded(t)
	patient := retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts, o.RateLimiter = 50, ratelimit.None
		o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
	})
	deliverytest.Run(t, func(t *testing.T) deliverytest.Store {
		lossy := withRetryer{Client: s.client(&lossy{next: http.DefaultTransport}, false), retryer: patient}
		return newDeliveries(t, gapless{lossy, s.client(http.DefaultTransport, false)}, s.table(t))
	})
}

// gapless numbers without a loss, and reads as its clients do: a lost number is skipped, and the
// suite wants them in a row.
type gapless struct {
	withRetryer
	sound Client
}

func (g gapless) UpdateItem(ctx context.Context, in *dynamodb.UpdateItemInput, o ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error) {
	if *in.UpdateExpression == sequenceNext {
		return g.sound.UpdateItem(ctx, in, o...)
	}
	return g.withRetryer.UpdateItem(ctx, in, o...)
}

// TestNumberAfterALostAnswer: the number that was lost is skipped.
func TestNumberAfterALostAnswer(t *testing.T) {
	s := serveEmbedded(t)
	w := newWire(t, http.DefaultTransport, loseResponse)
	d := newDeliveries(t, s.client(w, false), s.table(t))
	now := time.Now()
	begun, err := d.Begin(t.Context(), delivery.BeginRequest{
		Job: delivery.Job{Message: "OUT#1", Destination: "crm"}, Object: "live#-#in_1", First: true, Owner: "a", Now: now, Lease: now.Add(time.Minute), Cutoff: now,
	})
	if err != nil || begun.Started == nil || begun.Started.Sequence != 2 {
		t.Errorf("begin = %+v, %v", begun, err)
	}
}

// TestDeliveryCost: three write units for a delivery that is done at its first attempt.
func TestDeliveryCost(t *testing.T) {
	s := serveEmbedded(t)
	for name, c := range map[string]struct {
		object string
		first  bool
		units  float64
	}{
		"numbered":                     {"live#-#in_1", true, 3},
		"without an object":            {"", true, 2},
		"numbered, at another receive": {"live#-#in_1", false, 3}, // and a refused begin, which costs 1
	} {
		t.Run(name, func(t *testing.T) {
			m := &metered{Client: s.client(http.DefaultTransport, false)}
			d, now := newDeliveries(t, m, s.table(t)), time.Now()
			attempt := func(status delivery.Status, units float64) {
				t.Helper()
				m.units = 0
				begun, err := d.Begin(t.Context(), delivery.BeginRequest{
					Job: wireJob(), Object: c.object, First: c.first, Owner: string(status), Now: now, Lease: now.Add(time.Minute), Cutoff: now,
				})
				check(t, err)
				recorded, err := d.End(t.Context(), *begun.Started, delivery.Result{Attempt: delivery.Attempt{At: now}, Status: status, Next: now})
				if check(t, err); !recorded || m.units != units {
					t.Errorf("%s: recorded %v, %v write units, want %v", status, recorded, m.units, units)
				}
			}
			attempt(delivery.Waiting, c.units)
			c.first = false
			attempt(delivery.Delivered, 2)
		})
	}
}
