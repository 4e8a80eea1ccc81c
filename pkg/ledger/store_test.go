package ledger_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/google/go-cmp/cmp"
	"github.com/stripe/stripe-go/v76"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/dynamostore"
	"tollgate/pkg/event"
	"tollgate/pkg/handlers"
	"tollgate/pkg/handlers/golden"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/ledger"
	"tollgate/pkg/local/localtest"
)

// requests counts what a reader asks of DynamoDB.
type requests struct {
	*dynamodb.Client
	queries, gets int
}

func (r *requests) Query(ctx context.Context, in *dynamodb.QueryInput, o ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error) {
	r.queries++
	return r.Client.Query(ctx, in, o...)
}

func (r *requests) GetItem(ctx context.Context, in *dynamodb.GetItemInput, o ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error) {
	r.gets++
	return r.Client.GetItem(ctx, in, o...)
}

// store is a DynamoDB with the items that the handlers write for golden events, and a reader
// as an application has it.
func store(t *testing.T, types ...string) (*dynamostore.Reader, *requests) {
	t.Helper()
	db := localtest.Start(t, localtest.Options{})
	db.Table(t, dynamostore.TableSchema("tollgate"))
	s, err := dynamostore.New(db.Dynamo, "tollgate", dynamostore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	client := &requests{Client: db.Dynamo}
	reader, err := dynamostore.NewReader(client, "tollgate")
	if err != nil {
		t.Fatal(err)
	}
	for _, typ := range types {
		handle(t, s, reader, typ)
	}
	client.queries, client.gets = 0, 0
	return reader, client
}

// handle takes the golden event of a type through claim, handler and completion.
func handle(t *testing.T, s *dynamostore.Store, reader *dynamostore.Reader, typ string) {
	t.Helper()
	body, err := golden.Load(typ)
	if err != nil {
		t.Fatal(err)
	}
	env, err := event.Parse(body)
	if err != nil {
		t.Fatal(err)
	}
	env.Body = body
	at := time.Unix(env.Created, 0)
	claimed, err := s.Claim(t.Context(), idempotency.ClaimRequest{Event: env, Owner: idempotency.NewOwner(), Now: at, Lease: at.Add(time.Minute), LeaseExpiredBefore: at})
	if err != nil || claimed.Verdict != idempotency.Claimed {
		t.Fatalf("claim %s: %s, %v", typ, claimed.Verdict, err)
	}
	mux := dispatch.NewMux(dispatch.Config{APIVersion: stripe.APIVersion, Objects: snapshot(body), Rows: reader})
	handlers.Register(mux)
	effects, err := mux.Dispatch(t.Context(), dispatch.Input{Envelope: env, Attempt: 1, Generation: 1, FirstAt: at, Now: at, Settle: -1})
	if err != nil {
		t.Fatal(err)
	}
	if done, err := s.Complete(t.Context(), claimed.Claim, idempotency.Applied, effects, at); err != nil || done.Verdict != idempotency.Completed {
		t.Fatalf("complete %s: %+v, %v", typ, done, err)
	}
}

// TestEntitledOnATable: what handlers store is what an application reads, at the cost that
// Entitled documents: one query for 250 listed items and one read for each entitlement.
func TestEntitledOnATable(t *testing.T) {
	const (
		customer, product = "cus_TollgateolKvYZ", "prod_TollgateLZjFSb"
		updated, deleted  = "customer.subscription.updated", "customer.subscription.deleted"
		periodEnd         = 1797638460
	)
	who := ledger.Who{Mode: "test", Customer: customer}
	for name, c := range map[string]struct {
		types   []string
		who     ledger.Who
		product string
		at      int64
		granted bool
		gets    int
	}{
		"active":              {[]string{updated}, who, product, periodEnd - 1, true, 1},
		"its renewal is late": {[]string{updated}, who, product, periodEnd + 3600, true, 1},
		"and does not come":   {[]string{updated}, who, product, periodEnd + 72*3600, false, 0},
		"deleted":             {[]string{updated, deleted}, who, product, 1798243260, false, 0},
		"never paid":          {[]string{"customer.subscription.created"}, who, product, periodEnd - 1, false, 0},
		"paused trial":        {[]string{"customer.subscription.trial_will_end", "customer.subscription.paused"}, who, product, 1797638462, false, 0},
		"trial":               {[]string{"customer.subscription.trial_will_end"}, who, product, periodEnd - 1, true, 1},
		"live mode":           {[]string{updated}, ledger.Who{Mode: "live", Customer: customer}, product, periodEnd - 1, false, 0},
		"another account":     {[]string{updated}, ledger.Who{Mode: "test", Account: "acct_1", Customer: customer}, product, periodEnd - 1, false, 0},
		"another product":     {[]string{updated}, who, "prod_other", periodEnd - 1, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			reader, client := store(t, c.types...)
			ok, by, err := ledger.Entitled(t.Context(), reader, c.who, c.product, time.Unix(c.at, 0))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]any{c.granted, len(by) > 0, 1, c.gets}, []any{ok, len(by) > 0, client.queries, client.gets}); diff != "" {
				t.Errorf("granted, queries and reads (-want +got):\n%s", diff)
			}
		})
	}
}

// TestEntitledReadSize: the sizes behind the documented cost.
func TestEntitledReadSize(t *testing.T) {
	reader, _ := store(t, "customer.subscription.updated", "invoice.paid", "payment_intent.succeeded")
	items, next, err := reader.Page(t.Context(), "CUS#test#-#cus_TollgateolKvYZ", "")
	if err != nil || next != "" || len(items) != 3 {
		t.Fatalf("%d items, next %q, error %v", len(items), next, err)
	}
	total := 0
	for _, item := range items {
		n := size(item)
		if total += n; n > 4096 {
			t.Errorf("%s has %d bytes: one consistent read costs over a unit", item["pk"], n)
		}
	}
	if mean := total / len(items); mean > 4096/8 {
		t.Errorf("%d items of %d bytes on average; Entitled documents some eight in 4 KB", len(items), mean)
	} else {
		t.Logf("%d items of %d bytes on average", len(items), mean)
	}
}

// size estimates the size of a value by DynamoDB's rule.
func size(v any) int {
	n := 0
	switch v := v.(type) {
	case string:
		return len(v)
	case map[string]any:
		for name, member := range v {
			n += len(name) + 1 + size(member)
		}
		return n + 3
	case []any:
		for _, element := range v {
			n += 1 + size(element)
		}
		return n + 3
	default:
		return len(fmt.Sprint(v))/2 + 1
	}
}
