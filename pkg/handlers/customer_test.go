package handlers_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/dispatch"
)

// A deleted customer is kept as deleted in its own list, also from an event of a version that
// handlers cannot read.
func TestCustomerDeleted(t *testing.T) {
	const key = "OBJ#test#-#" + customer
	for _, version := range []string{"2023-10-16", basil} {
		got, err := once(t, golden(t, "customer.deleted", "2023-10-16", version))
		if err != nil {
			t.Fatal(err)
		}
		want := dispatch.Effects{dispatch.Swap(key, 0, dispatch.Fields{
			"kind": "customer", "object": "customer", "object_id": customer, "mode": "test", "account": "", "customer": customer,
			"event_id": "evt_1TollgateCustomerGoneRv3hBpX", "deleted": true, "created": int64(1798070400), "lst": listed, "at": "2026-12-24T00:00:00Z",
			"fetched_at": int64(1798070400000),
		})}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", version, diff)
		}
	}
}

// A customer that Stripe still shows is waited for, and is not kept as deleted in the end.
func TestCustomerNotDeletedYet(t *testing.T) {
	for age, reason := range map[time.Duration]string{time.Minute: "", 10 * time.Minute: dispatch.ReasonHandler} {
		f := newFixture()
		f.objects[customer] = `{"id":"` + customer + `","object":"customer"}`
		f.age = age
		effects, err := f.run(t, golden(t, "customer.deleted"))
		if effects != nil || err == nil || permanent(err) != reason || errors.Is(err, dispatch.ErrNotShown) != (reason == "") {
			t.Errorf("after %v: %v, %v", age, effects, err)
		}
	}
}
