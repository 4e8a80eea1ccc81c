package handlers

import (
	"context"
	"fmt"

	"github.com/stripe/stripe-go/v76"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/idempotency/idempotencytest"
)

// A panic fails its attempt only: nothing is written, and the event is retried, for example
// after a deploy with a fix. The error names the line in this module.
func Example_panic() {
	mux := dispatch.NewMux(dispatch.Config{APIVersion: stripe.APIVersion})
	dispatch.On(mux, stripe.EventTypeChargeSucceeded, func(_ context.Context, e dispatch.Event[stripe.Charge]) (dispatch.Effects, error) {
		if e.Attempt == 1 {
			fmt.Println(e.Object.Customer.ID) // null in this event
		}
		return dispatch.Effects{dispatch.Insert("FACT#test#-#"+e.Object.ID+"#charged", nil)}, nil
	})
	table := idempotencytest.NewMemory(nil)
	body := sample("evt_1", "charge.succeeded", `{"id": "ch_1", "object": "charge", "customer": null}`)
	finish(table, mux, body)
	fmt.Println(table.Keys())
	finish(table, mux, body)
	fmt.Println(table.Keys())
	// Output:
	// evt_1: failed: handler panicked: runtime error: invalid memory address or nil pointer dereference at pkg/handlers/example_panic_test.go:19 (handlers.Example_panic.func1)
	// []
	// evt_1: applied
	// [FACT#test#-#ch_1#charged]
}
