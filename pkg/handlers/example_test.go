package handlers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/stripe/stripe-go/v76"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/effect"
	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/idempotency/idempotencytest"
)

// payoutPaid is a whole handler: it writes the fact that a payout arrived at the bank, and asks
// for one message about it.
func payoutPaid(_ context.Context, e dispatch.Event[stripe.Payout]) (dispatch.Effects, error) {
	p := &e.Object
	fact := effect.Fact{
		Kind: "payout", Object: "payout", ID: p.ID, Name: "paid",
		Amount: p.Amount, Currency: string(p.Currency), Occurred: p.ArrivalDate,
		Extra: dispatch.Fields{"bank": effect.ID(p.Destination)},
	}
	return fact.Effects(e.Input, fact.Message(e.Input, "payout_paid"))
}

// Duplicate deliveries and second events for one change write nothing twice.
func Example_fact() {
	mux := dispatch.NewMux(dispatch.Config{APIVersion: stripe.APIVersion})
	dispatch.On(mux, stripe.EventTypePayoutPaid, payoutPaid)

	const payout = `{"id": "po_1", "object": "payout", "amount": 4900, "currency": "eur", "arrival_date": 1795161600, "destination": "ba_1"}`
	table := idempotencytest.NewMemory(nil)
	finish(table, mux, sample("evt_1", "payout.paid", payout))
	finish(table, mux, sample("evt_1", "payout.paid", payout)) // delivered again
	finish(table, mux, sample("evt_2", "payout.paid", payout)) // a second event for the same payout
	for _, key := range table.Keys() {
		item, _, _ := table.Item(context.Background(), key)
		fmt.Println(key, item["kind"], item["amount"], item["currency"])
	}
	// Output:
	// evt_1: applied
	// evt_1: duplicate
	// evt_2: stale
	// FACT#test#-#po_1#paid payout 4900 eur
	// OUT#FACT#test#-#po_1#paid#payout_paid outbox 4900 eur
}

// An external call takes an idempotency key that is the same in every attempt, so that a
// repeated request has no second effect.
func Example_callWithIdempotencyKey() {
	done := map[string]bool{}
	bank := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key := r.Header.Get("Idempotency-Key")
		fmt.Println("request with key", key, "- done before:", done[key])
		done[key] = true
		if len(done) == 1 && r.Header.Get("Attempt") == "1" {
			w.WriteHeader(http.StatusGatewayTimeout) // done, but the response is lost
		}
	}))
	defer bank.Close()

	mux := dispatch.NewMux(dispatch.Config{APIVersion: stripe.APIVersion})
	dispatch.On(mux, stripe.EventTypePayoutPaid, func(ctx context.Context, e dispatch.Event[stripe.Payout]) (dispatch.Effects, error) {
		key, err := e.IdempotencyKey("book")
		if err != nil {
			return nil, err // too old for keys: look the booking up instead
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, bank.URL, nil)
		if err != nil {
			return nil, err
		}
		req.Header.Set("Idempotency-Key", key)
		req.Header.Set("Attempt", fmt.Sprint(e.Attempt))
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return nil, err
		}
		defer res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("book payout: %s", res.Status)
		}
		return dispatch.Effects{dispatch.Insert("FACT#test#-#"+e.Object.ID+"#booked", nil)}, nil
	})

	table := idempotencytest.NewMemory(nil)
	body := sample("evt_1", "payout.paid", `{"id": "po_1", "object": "payout"}`)
	finish(table, mux, body)
	finish(table, mux, body)
	fmt.Println(len(done), "booking,", table.Keys())
	// Output:
	// request with key evt_1:book - done before: false
	// evt_1: failed: book payout: 504 Gateway Timeout
	// request with key evt_1:book - done before: true
	// evt_1: applied
	// 1 booking, [FACT#test#-#po_1#booked]
}

// A handler with the Go struct of another object would decode zeros. It is refused, as the
// snapshot has the kind of its object.
func Example_wrongPair() {
	mux := dispatch.NewMux(dispatch.Config{APIVersion: stripe.APIVersion})
	dispatch.On(mux, stripe.EventTypeChargeRefunded, func(context.Context, dispatch.Event[stripe.Refund]) (dispatch.Effects, error) {
		fmt.Println("never runs")
		return nil, nil
	})
	_, err := mux.Dispatch(context.Background(), input(sample("evt_1", "charge.refunded", `{"id": "ch_1", "object": "charge"}`)))
	p, _ := errors.AsType[*dispatch.PermanentError](err)
	fmt.Println(p.Reason+":", err)
	// Output:
	// wrong_object: data.object is a "charge", the handler takes a "refund"
}

// A handler's context has its deadline. A call that takes the context ends with it, and the
// attempt fails like any other.
func Example_slowCall() {
	release := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer slow.Close()
	defer close(release)

	mux := dispatch.NewMux(dispatch.Config{APIVersion: stripe.APIVersion})
	dispatch.On(mux, stripe.EventTypePayoutPaid, func(ctx context.Context, _ dispatch.Event[stripe.Payout]) (dispatch.Effects, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, slow.URL, nil)
		if err != nil {
			return nil, err
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return nil, fmt.Errorf("ask the bank: %w", err)
		}
		defer res.Body.Close()
		_, err = io.ReadAll(res.Body)
		return nil, err
	})

	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond) // 8 s on AWS
	defer cancel()
	_, err := mux.Dispatch(ctx, input(sample("evt_1", "payout.paid", `{"id": "po_1", "object": "payout"}`)))
	fmt.Println(errors.Is(err, context.DeadlineExceeded))
	// Output:
	// true
}

// A check writes nothing. If its condition does not hold, the attempt fails with the error
// that the handler gave with it, and none of its effects is applied.
func Example_checkEqual() {
	mux := dispatch.NewMux(dispatch.Config{APIVersion: stripe.APIVersion})
	dispatch.On(mux, stripe.EventTypeTransferCreated, func(_ context.Context, e dispatch.Event[stripe.Transfer]) (dispatch.Effects, error) {
		seller := "SELLER#" + e.Object.Destination.ID
		disabled := dispatch.Permanent(errors.New("money was sent to a seller whose payouts are disabled"))
		return dispatch.Effects{
			dispatch.CheckEqual(seller, dispatch.Fields{"payouts_enabled": true}, disabled),
			dispatch.Insert("FACT#test#-#"+e.Object.ID+"#sent", dispatch.Fields{"amount": e.Object.Amount}),
		}, nil
	})
	dispatch.On(mux, stripe.EventTypeAccountUpdated, func(_ context.Context, e dispatch.Event[stripe.Account]) (dispatch.Effects, error) {
		return dispatch.Effects{dispatch.Insert("SELLER#"+e.Object.ID, dispatch.Fields{"payouts_enabled": e.Object.PayoutsEnabled})}, nil
	})

	table := idempotencytest.NewMemory(nil)
	transfer := sample("evt_1", "transfer.created", `{"id": "tr_1", "object": "transfer", "amount": 700, "destination": "acct_1"}`)
	finish(table, mux, transfer)
	finish(table, mux, sample("evt_2", "account.updated", `{"id": "acct_1", "object": "account", "payouts_enabled": true}`))
	finish(table, mux, transfer) // redriven from the dead-letter queue
	fmt.Println(table.Keys())
	// Output:
	// evt_1: failed: money was sent to a seller whose payouts are disabled
	// evt_2: applied
	// evt_1: applied
	// [FACT#test#-#tr_1#sent SELLER#acct_1]
}

// sample makes a small event.
func sample(id, typ, object string) string {
	return fmt.Sprintf(`{"id": %q, "object": "event", "type": %q, "api_version": %q, "created": 1795161600, "livemode": false, "data": {"object": %s}}`,
		id, typ, stripe.APIVersion, object)
}

// input is the first attempt at an event.
func input(body string) dispatch.Input {
	env, err := event.Parse([]byte(body))
	if err != nil {
		panic(err)
	}
	env.Body = []byte(body)
	now := time.Unix(env.Created, 0)
	return dispatch.Input{Envelope: env, Attempt: 1, Generation: 1, FirstAt: now, Now: now}
}

// finish takes an event through claim, handler and completion, as the consumer does, and
// prints its outcome.
func finish(table *idempotencytest.Memory, mux *dispatch.Mux, body string) {
	ctx, in := context.Background(), input(body)
	claimed, err := table.Claim(ctx, idempotency.ClaimRequest{
		Event: in.Envelope, Owner: idempotency.NewOwner(), Now: in.Now, Lease: in.Now.Add(time.Minute), LeaseExpiredBefore: in.Now,
	})
	if err != nil {
		panic(err)
	}
	if claimed.Verdict != idempotency.Claimed {
		fmt.Printf("%s: %s\n", in.ID, claimed.Verdict)
		return
	}
	in.Attempt, in.FirstAt = claimed.Claim.Attempt, claimed.Claim.FirstAt
	effects, failed := mux.Dispatch(ctx, in)
	if failed == nil {
		done, err := table.Complete(ctx, claimed.Claim, idempotency.Applied, effects, in.Now)
		if err != nil {
			panic(err)
		}
		if done.Verdict == idempotency.Completed {
			fmt.Printf("%s: %s\n", in.ID, done.Outcome)
			return
		}
		failed = done.Err
	}
	fmt.Printf("%s: failed: %v\n", in.ID, failed)
	if _, err := table.Fail(ctx, claimed.Claim, idempotency.Failure{Now: in.Now, Err: failed.Error()}); err != nil {
		panic(err)
	}
}
