package stripeapi_test

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/stripeapi"
)

func TestFetchObjectOnTheWire(t *testing.T) {
	type seen struct{ Path, Version, Account string }
	var got seen
	c := newClient(t, stripeapi.Options{Key: key, URL: serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = seen{r.URL.EscapedPath(), r.Header.Get("Stripe-Version"), r.Header.Get("Stripe-Account")}
		fmt.Fprint(w, `{"object":"x"}`)
	}))})
	for _, tt := range []struct{ object, id, account, path string }{
		{"invoice", "in_1", "", "/v1/invoices/in_1"},
		{"checkout.session", "cs_test_a1", "acct_1", "/v1/checkout/sessions/cs_test_a1"},
		{"issuing.dispute", "idp_1", "", "/v1/issuing/disputes/idp_1"},
		{"coupon", "ten off/é?x=1", "", "/v1/coupons/ten%20off%2F%C3%A9%3Fx=1"},
	} {
		if _, err := c.FetchObject(t.Context(), tt.account, tt.object, tt.id); err != nil {
			t.Errorf("%s: %v", tt.object, err)
		}
		if diff := cmp.Diff(seen{tt.path, "2023-10-16", tt.account}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.object, diff)
		}
	}
}

func TestFetchObjectRefusals(t *testing.T) {
	gone := answering(t, http.StatusNotFound, "")
	for _, tt := range []struct{ name, object, id, account, reason string }{
		{"unknown at Stripe", "invoice", "in_1", "", dispatch.ReasonObjectGone},
		{"a kind without a path", "balance", "x", "", dispatch.ReasonNoFetch},
		{"a kind under another object", "bank_account", "ba_1", "", dispatch.ReasonNoFetch},
		{"no id", "invoice", "", "", dispatch.ReasonObjectGone},
		{"a step up", "invoice", "..", "", dispatch.ReasonObjectGone},
		{"an account that is none", "invoice", "in_1", "a\r\nb", dispatch.ReasonObjectGone},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := newClient(t, stripeapi.Options{Key: key, URL: gone}).FetchObject(t.Context(), tt.account, tt.object, tt.id)
			if p, _ := errors.AsType[*dispatch.PermanentError](err); p == nil || p.Reason != tt.reason {
				t.Errorf("error %v, want a permanent one for %s", err, tt.reason)
			}
		})
	}
}

// TestRates: a burst goes at once, the rest as fast as the rates allow; resources do not
// wait for each other but for what they share.
func TestRates(t *testing.T) {
	for _, tt := range []struct {
		name    string
		objects []string
		want    time.Duration
	}{
		{"one resource: five at once, five more in a second", []string{"invoice"}, time.Second},
		{"two resources share ten a second", []string{"invoice", "charge"}, 1 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newClient(t, stripeapi.Options{
					Key: key, Rate: 10, ResourceRate: 5,
					Transport: roundTrip(func(*http.Request) (*http.Response, error) { return reply(200, "", `{}`), nil }),
				})
				start := time.Now()
				for range 10 {
					for _, object := range tt.objects {
						if _, err := c.FetchObject(t.Context(), "", object, "x_1"); err != nil {
							t.Fatal(err)
						}
					}
				}
				if took := time.Since(start).Round(10 * time.Millisecond); took != tt.want {
					t.Errorf("took %v, want %v", took, tt.want)
				}
			})
		})
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
