package stripeapi_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stripe/stripe-go/v76"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/stripeapi"
)

// Each kind is fetched with what its handler reads of other objects.
func TestObjectsAreFetchedExpanded(t *testing.T) {
	for object, want := range map[string][]string{
		"dispute":                   {"charge"},
		"refund":                    {"charge", "failure_balance_transaction"},
		"radar.early_fraud_warning": {"charge"},
		"charge":                    {"refunds", "refunds.data.failure_balance_transaction"},
		"invoice":                   {"payment_intent"},
		"subscription":              nil,
		"customer":                  nil,
	} {
		var got []string
		c := offline(t, func(r *http.Request) string {
			got = r.URL.Query()["expand[]"]
			if len(r.URL.Query()) > 1 {
				t.Errorf("%s is asked for with %s", object, r.URL.RawQuery)
			}
			return `{}`
		})
		if _, err := c.FetchObject(t.Context(), "", object, "x_1"); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", object, diff)
		}
	}
}

func refundsFrom(from, to int) string {
	var refunds []string
	for n := from; n <= to; n++ {
		refunds = append(refunds, fmt.Sprintf(`{"id":"re_%d","object":"refund","amount":%d,"charge":"ch_1"}`, n, n))
	}
	return strings.Join(refunds, ",")
}

// A charge has all its refunds: they are listed where Stripe shows only the first ones, and
// a list that cannot be read fails the fetch.
func TestChargeComesWithAllRefunds(t *testing.T) {
	const first = "charge=ch_1&expand%5B%5D=data.failure_balance_transaction&limit=100"
	page := func(from, to int, more bool) string {
		return fmt.Sprintf(`{"object":"list","data":[%s],"has_more":%t}`, refundsFrom(from, to), more)
	}
	for _, c := range []struct {
		name    string
		shown   string // the charge's list of refunds
		pages   []string
		refunds int
		asked   []string
		err     string
	}{
		{"none", page(1, 0, false), nil, 0, nil, ""},
		{"shown", page(1, 10, false), nil, 10, nil, ""},
		{"eleven", page(1, 10, true), []string{page(1, 11, false)}, 11, []string{first}, ""},
		{"two pages", page(1, 10, true), []string{page(1, 100, true), page(101, 120, false)}, 120, []string{first, first + "&starting_after=re_100"}, ""},
		{"not expanded", `null`, nil, 0, nil, ""},
		{"the list is refused", page(1, 10, true), []string{`{"error":{}}`}, 0, []string{first}, "list its refunds"},
		{"of another charge", page(1, 10, true), []string{`{"data":[{"id":"re_1","charge":"ch_2"}],"has_more":false}`}, 0, []string{first}, "of another charge"},
		{"none listed", page(1, 10, true), []string{page(1, 0, false)}, 0, []string{first}, "first page is empty"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var asked []string
			client := offline(t, func(r *http.Request) string {
				if r.URL.Path == "/v1/charges/ch_1" {
					return fmt.Sprintf(`{"id":"ch_1","object":"charge","amount":9007199254740993,"refunds":%s}`, c.shown)
				}
				if r.URL.Path != "/v1/refunds" {
					t.Errorf("asks for %s", r.URL)
				}
				asked = append(asked, r.URL.Query().Encode())
				return c.pages[min(len(asked), len(c.pages))-1]
			})
			body, err := client.FetchObject(t.Context(), "", "charge", "ch_1")
			if diff := cmp.Diff(c.asked, asked); diff != "" {
				t.Error(diff)
			}
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) || body != nil {
					t.Errorf("%q, error %v", body, err)
				}
				return
			}
			var got stripe.Charge
			if err := errors.Join(err, json.Unmarshal(body, &got)); err != nil || got.Amount != 9007199254740993 {
				t.Fatalf("%+v, %v", got, err)
			}
			if got.Refunds == nil && c.refunds == 0 {
				return
			}
			if len(got.Refunds.Data) != c.refunds || got.Refunds.HasMore {
				t.Errorf("%d refunds, more %v", len(got.Refunds.Data), got.Refunds.HasMore)
			}
		})
	}
}

// A key without the right to an expanded object is refused as a whole: the attempt fails as
// with any refused key, and is retried until the right is given.
func TestKeyWithoutTheRightToExpand(t *testing.T) {
	const refusal = `{"error":{"type":"invalid_request_error","message":"The provided key 'rk_test_…' does not have the required permissions for this endpoint on account 'acct_1'. Having the 'rak_charge_read' permission would allow this request to continue."}}`
	for _, account := range []string{"", "acct_1"} {
		for _, object := range []string{"dispute", "refund", "charge", "radar.early_fraud_warning", "invoice"} {
			address := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Query().Has("expand[]") {
					w.WriteHeader(http.StatusForbidden)
					io.WriteString(w, refusal)
					return
				}
				io.WriteString(w, `{}`)
			}))
			body, err := newClient(t, stripeapi.Options{URL: address}).FetchObject(t.Context(), account, object, "x_1")
			if !errors.Is(err, stripeapi.ErrUnauthorized) || !strings.Contains(err.Error(), "missing right rak_charge_read") || body != nil {
				t.Errorf("%s as %q: %q, error %v", object, account, body, err)
			}
			if p, ok := errors.AsType[*dispatch.PermanentError](err); ok {
				t.Errorf("%s as %q fails for good: %s", object, account, p.Reason)
			}
		}
	}
}
