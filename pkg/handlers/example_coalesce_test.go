package handlers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stripe/stripe-go/v76"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/effect"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/idempotency/idempotencytest"
)

// keepQuote keeps a quote and reports once that it was accepted. It is the handler of every type
// of event of quotes, so a quote that any of them shows as accepted is reported.
func keepQuote(_ context.Context, e dispatch.Current[stripe.Quote]) (dispatch.Effects, error) {
	q := &e.Object
	var ms []effect.Message
	if q.Status == stripe.QuoteStatusAccepted {
		ms = effect.ToCustomer(effect.Message{
			Subject: dispatch.ObjectKey(e.Envelope), Name: "quote_accepted", To: effect.ID(q.Customer), Object: "quote", ID: q.ID, Since: q.Created,
		})
	}
	ms = effect.Unnamed(e.Row, ms)
	row := effect.KeepRow(e, effect.Row{Kind: "quote", Customer: effect.ID(q.Customer), Created: q.Created, Extra: dispatch.Fields{"status": string(q.Status)}}, ms...)
	return effect.WithMessages(e.Input, ms, row), nil
}

// oneQuote is a Stripe with one object.
type oneQuote string

func (q oneQuote) FetchObject(context.Context, string, string, string) ([]byte, error) {
	return []byte(q), nil
}

// With Coalesce an event whose change a later fetch shows already needs no fetch. Its message
// is not lost, as the handler of the event with the fetch requested it.
func Example_coalesce() {
	const accepted = `{"id": "qt_1", "object": "quote", "status": "accepted", "customer": "cus_1", "created": 1795161600}`
	table := idempotencytest.NewMemory(nil)
	mux := dispatch.NewMux(dispatch.Config{APIVersion: stripe.APIVersion, Objects: oneQuote(accepted), Rows: table})
	dispatch.OnCurrent(mux, stripe.EventTypeQuoteFinalized, keepQuote)
	dispatch.OnCurrent(mux, stripe.EventTypeQuoteAccepted, keepQuote, dispatch.Coalesce)

	sent := time.Unix(1795161600, 0)
	handleSent(table, mux, sample("evt_1", "quote.finalized", accepted), sent.Add(time.Minute)) // arrives late
	handleSent(table, mux, sample("evt_2", "quote.accepted", accepted), sent)
	fmt.Println(table.Keys())
	// Output:
	// evt_1: 2 effects
	// evt_2: the event needs no fetch
	// [OBJ#test#-#qt_1 OUT#OBJ#test#-#qt_1#quote_accepted]
}

// handleSent handles an event whose message was sent at a time of the queue's clock.
func handleSent(table *idempotencytest.Memory, mux *dispatch.Mux, body string, sent time.Time) {
	ctx, in := context.Background(), input(body)
	in.SentAt = sent
	claimed, err := table.Claim(ctx, idempotency.ClaimRequest{Event: in.Envelope, Owner: idempotency.NewOwner(), Now: in.Now, Lease: in.Now.Add(time.Minute), LeaseExpiredBefore: in.Now})
	if err != nil {
		panic(err)
	}
	effects, err := mux.Dispatch(ctx, in)
	if errors.Is(err, dispatch.ErrCoalesced) {
		fmt.Printf("%s: %v\n", in.ID, err)
		return
	}
	if err != nil {
		panic(err)
	}
	fmt.Printf("%s: %d effects\n", in.ID, len(effects))
	if _, err := table.Complete(ctx, claimed.Claim, idempotency.Applied, effects, in.Now); err != nil {
		panic(err)
	}
}
