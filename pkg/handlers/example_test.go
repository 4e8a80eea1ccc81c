package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/stripe/stripe-go/v76"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/idempotency/idempotencytest"
)

// A handler of one's own. Every refund of a charge is a fact, which is written once
// however often Stripe tells of it, and its customer is told once. The snapshot has no
// list of refunds, so the sum refunded so far tells one refund from the next.
func Example_ownHandler() {
	mux := dispatch.NewMux(dispatch.Config{APIVersion: stripe.APIVersion})
	dispatch.On(mux, stripe.EventTypeChargeRefunded, func(_ context.Context, e dispatch.Event[stripe.Charge]) (dispatch.Effects, error) {
		var before struct {
			Refunded int64 `json:"amount_refunded"`
		}
		if err := json.Unmarshal(e.Previous, &before); err != nil {
			return nil, dispatch.Permanent(errors.New("the event does not say what was refunded before"))
		}
		c := &e.Object
		f := fact{
			kind: "refund", object: "charge", id: c.ID, name: fmt.Sprintf("refunded#%d", c.AmountRefunded),
			amount: c.AmountRefunded - before.Refunded, currency: c.Currency, customer: customerID(c.Customer), occurred: e.Created,
		}
		ms := toCustomer(f.message(e.Input, "refunded"))
		item, err := f.insert(e.Input, ms)
		if err != nil {
			return nil, err
		}
		return ms.with(e.Input, item), nil
	})

	const golden = `{"id": "evt_1", "object": "event", "type": "charge.refunded", "api_version": "2023-10-16", "created": 1795161600, "livemode": false,
		"data": {"object": {"id": "ch_1", "object": "charge", "amount": 4900, "amount_refunded": 1500, "currency": "eur", "customer": "cus_1"},
		"previous_attributes": {"amount_refunded": 500}}}`
	table := idempotencytest.NewMemory(nil)
	finish(table, mux, golden)
	finish(table, mux, golden)                                             // delivered again
	finish(table, mux, strings.Replace(golden, "evt_1", "evt_another", 1)) // a second event for the same refund
	for _, key := range table.Keys() {
		item, _, _ := table.Item(context.Background(), key)
		fmt.Println(key, item["kind"], item["amount"], item["currency"])
	}
	// Output:
	// evt_1: applied
	// evt_1: duplicate
	// evt_another: stale
	// FACT#test#-#ch_1#refunded#1500 refund 1000 eur
	// OUT#FACT#test#-#ch_1#refunded#1500#refunded outbox 1000 eur
}

// A call to the outside takes a key that is the same in every attempt, so that the other
// side does once what it is asked for twice.
func Example_callWithIdempotencyKey() {
	done := map[string]bool{}
	bank := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key := r.Header.Get("Idempotency-Key")
		fmt.Println("asked with", key, "- done before:", done[key])
		done[key] = true
		if len(done) == 1 && r.Header.Get("Attempt") == "1" {
			w.WriteHeader(http.StatusGatewayTimeout) // done, but the answer is lost
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
	// asked with evt_1:book - done before: false
	// evt_1: failed: book payout: 504 Gateway Timeout
	// asked with evt_1:book - done before: true
	// evt_1: applied
	// 1 booking, [FACT#test#-#po_1#booked]
}

// A wrong pair of type and Go struct decodes into zeros, so it is refused: the snapshot
// says what it is.
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

// A handler's time is in its context. A call that takes the context ends with it, and
// the attempt has failed like any other.
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

// A check writes nothing. If its condition does not hold, the attempt ends with the
// error that the handler gave with it, and none of its other effects is applied.
func Example_checkEqual() {
	mux := dispatch.NewMux(dispatch.Config{APIVersion: stripe.APIVersion})
	dispatch.On(mux, stripe.EventTypeTransferCreated, func(_ context.Context, e dispatch.Event[stripe.Transfer]) (dispatch.Effects, error) {
		seller := "SELLER#" + e.Object.Destination.ID
		closed := dispatch.Permanent(errors.New("money was sent to a seller who is not open for it"))
		return dispatch.Effects{
			dispatch.CheckEqual(seller, dispatch.Fields{"open_for_money": true}, closed),
			dispatch.Insert("FACT#test#-#"+e.Object.ID+"#sent", dispatch.Fields{"amount": e.Object.Amount}),
		}, nil
	})
	dispatch.On(mux, stripe.EventTypeAccountUpdated, func(_ context.Context, e dispatch.Event[stripe.Account]) (dispatch.Effects, error) {
		return dispatch.Effects{dispatch.Insert("SELLER#"+e.Object.ID, dispatch.Fields{"open_for_money": e.Object.PayoutsEnabled})}, nil
	})

	table := idempotencytest.NewMemory(nil)
	transfer := sample("evt_1", "transfer.created", `{"id": "tr_1", "object": "transfer", "amount": 700, "destination": "acct_1"}`)
	finish(table, mux, transfer)
	finish(table, mux, sample("evt_2", "account.updated", `{"id": "acct_1", "object": "account", "payouts_enabled": true}`))
	finish(table, mux, transfer) // sent again from the dead-letter queue
	fmt.Println(table.Keys())
	// Output:
	// evt_1: failed: money was sent to a seller who is not open for it
	// evt_2: applied
	// evt_1: applied
	// [FACT#test#-#tr_1#sent SELLER#acct_1]
}

// sample makes a small event.
func sample(id, typ, object string) string {
	return fmt.Sprintf(`{"id": %q, "object": "event", "type": %q, "api_version": %q, "created": 1795161600, "livemode": false, "data": {"object": %s}}`,
		id, typ, stripe.APIVersion, object)
}

// input is a first attempt, for tests that need no table.
func input(body string) dispatch.Input {
	env, err := event.Parse([]byte(body))
	if err != nil {
		panic(err)
	}
	env.Body = []byte(body)
	now := time.Unix(env.Created, 0)
	return dispatch.Input{Envelope: env, Attempt: 1, Generation: 1, FirstAt: now, Now: now}
}

// finish brings an event through claim, handler and completion, as the consumer does,
// and prints what became of it.
func finish(table *idempotencytest.Memory, mux *dispatch.Mux, body string) {
	ctx, in := context.Background(), input(body)
	claimed, err := table.Claim(ctx, idempotency.ClaimRequest{
		Event: in.Envelope, Own: idempotency.NewOwner(), Now: in.Now, Lease: in.Now.Add(time.Minute), Cutoff: in.Now,
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
