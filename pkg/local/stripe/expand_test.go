package stripe

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	stripego "github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/refund"

	"tollgate/pkg/local/aws/jsonscan"
	"tollgate/pkg/local/stripe/stripemock"
	"tollgate/pkg/stripeapi"
)

// aRefund is a refund of a charge, created at a time.
func aRefund(id, charge string, created int) string {
	return fmt.Sprintf(`{"id":%q,"object":"refund","amount":%d,"charge":%q,"created":%d,"status":"succeeded"}`, id, created, charge, created)
}

// TestExpansions: an id is replaced by its object if that is known, with expand and only
// then, and Stripe's client reads both.
func TestExpansions(t *testing.T) {
	for _, c := range []struct{ name, object, path, member, want string }{
		{"dispute", `{"id":"dp_1","object":"dispute","charge":"ch_1"}`, "/v1/disputes/dp_1", "charge", "cus_1"},
		{"refund", `{"id":"re_9","object":"refund","charge":"ch_1"}`, "/v1/refunds/re_9", "charge", "cus_1"},
		{"early fraud warning", `{"id":"issfr_1","object":"radar.early_fraud_warning","charge":"ch_1"}`, "/v1/radar/early_fraud_warnings/issfr_1", "charge", "cus_1"},
		{"invoice", `{"id":"in_1","object":"invoice","payment_intent":"pi_1"}`, "/v1/invoices/in_1", "payment_intent", "cus_1"},
		{"unknown charge", `{"id":"dp_1","object":"dispute","charge":"ch_2"}`, "/v1/disputes/dp_1", "charge", ""},
		{"no charge", `{"id":"dp_1","object":"dispute","charge":null}`, "/v1/disputes/dp_1", "charge", ""},
		{"expanded as given", `{"id":"dp_1","object":"dispute","charge":{"id":"ch_3","object":"charge","customer":"cus_3"}}`, "/v1/disputes/dp_1", "charge", "cus_3"},
		{"a member that is no object", `{"id":"dp_1","object":"dispute","status":"ch_1"}`, "/v1/disputes/dp_1", "status", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, url := open(t, Options{})
			putObjects(t, url, `[{"id":"ch_1","object":"charge","customer":"cus_1"},{"id":"pi_1","object":"payment_intent","customer":"cus_1"},`+c.object+`]`)
			if status, _, raw := do(t, "GET", url+c.path, nil); status != 200 || string(raw) != c.object {
				t.Errorf("without expand: %d %s", status, raw)
			}
			_, _, raw := do(t, "GET", url+c.path+"?expand[]="+c.member, nil)
			if got := text(jsonscan.Get(jsonscan.Get(raw, c.member), "customer")); got != c.want {
				t.Errorf("customer %q, want %q: %s", got, c.want, raw)
			}
			if c.want == "" && string(raw) != c.object {
				t.Errorf("%s, want what was given", raw)
			}
			if _, _, raw := do(t, "GET", url+c.path+"?expand[]="+c.member, nil, "Stripe-Account", "acct_1"); text(jsonscan.Get(jsonscan.Get(raw, "error"), "code")) != "resource_missing" {
				t.Errorf("another account is shown %s", raw)
			}
		})
	}
}

// TestChargeShowsItsRefunds: none without expand, then the ten newest; the product's client
// reads all of them, and stripe-go pages through their list.
func TestChargeShowsItsRefunds(t *testing.T) {
	for _, n := range []int{0, 1, 10, 11, 120} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			_, url := open(t, Options{})
			objects := []string{`{"id":"ch_1","object":"charge","amount_refunded":5}`, aRefund("re_other", "ch_2", 5)}
			var want []string
			for i := range n {
				objects = append(objects, aRefund(fmt.Sprint("re_", i), "ch_1", 1000-i))
				want = append(want, fmt.Sprint("re_", i))
			}
			putObjects(t, url, "["+strings.Join(objects, ",")+"]")
			if _, _, raw := do(t, "GET", url+"/v1/charges/ch_1", nil); string(raw) != objects[0] {
				t.Errorf("without expand: %s", raw)
			}
			var shown stripego.Charge
			_, _, raw := do(t, "GET", url+"/v1/charges/ch_1?expand[]=refunds", nil)
			check(t, json.Unmarshal(raw, &shown))
			if diff := cmp.Diff(want[:min(n, 10)], refundIDs(shown.Refunds.Data)); diff != "" || shown.Refunds.HasMore != (n > 10) || shown.AmountRefunded != 5 {
				t.Errorf("shown, more %v: %s", shown.Refunds.HasMore, diff)
			}
			c, err := stripeapi.New(stripeapi.Options{URL: url, Key: func(context.Context) (string, error) { return "sk_test_1", nil }})
			check(t, err)
			raw, err = c.FetchObject(t.Context(), "", "charge", "ch_1")
			check(t, err)
			var whole stripego.Charge
			check(t, json.Unmarshal(raw, &whole))
			if diff := cmp.Diff(want, refundIDs(whole.Refunds.Data)); diff != "" || whole.Refunds.HasMore {
				t.Errorf("fetched, more %v: %s", whole.Refunds.HasMore, diff)
			}
			backend := stripego.GetBackendWithConfig(stripego.APIBackend, &stripego.BackendConfig{URL: stripego.String(url), LeveledLogger: &stripego.LeveledLogger{}})
			params := &stripego.RefundListParams{Charge: stripego.String("ch_1")}
			params.Limit = stripego.Int64(7)
			var listed []*stripego.Refund
			all := refund.Client{B: backend, Key: "sk_test_1"}.List(params)
			for all.Next() {
				listed = append(listed, all.Refund())
			}
			if diff := cmp.Diff(want, refundIDs(listed)); diff != "" || all.Err() != nil {
				t.Errorf("listed, %v: %s", all.Err(), diff)
			}
		})
	}
}

func refundIDs(refunds []*stripego.Refund) (ids []string) {
	for _, r := range refunds {
		ids = append(ids, r.ID)
	}
	return ids
}

// TestRefundsAreListed: those of an account, of one charge or of all, expanded or not.
func TestRefundsAreListed(t *testing.T) {
	s, url := open(t, Options{})
	expanded := strings.Replace(aRefund("re_2", "ch_1", 7), `"ch_1"`, `{"id":"ch_1","object":"charge"}`, 1)
	putObjects(t, url, `[{"id":"ch_1","object":"charge"},{"id":"ch_2","object":"charge"},`+aRefund("re_1", "ch_1", 5)+","+expanded+","+aRefund("re_4", "ch_4", 6)+"]")
	putObjects(t, url, `[`+aRefund("re_3", "ch_1", 5)+`]`, "Stripe-Account", "acct_1")
	remember(t, s, says("evt_1", "refund.created", 9, aRefund("re_5", "ch_1", 9)))
	for query, want := range map[string]string{
		"":                                    "re_5 re_2 re_4 re_1",
		"?charge=ch_1":                        "re_5 re_2 re_1",
		"?charge=ch_1&starting_after=re_2":    "re_1",
		"?charge=ch_1&ending_before=re_2":     "re_5",
		"?charge=ch_1&limit=1":                "re_5",
		"?charge=ch_2":                        "",
		"?charge=ch_9":                        "error charge",
		"?charge=ch_1&starting_after=re_9":    "error starting_after",
		"?charge=ch_1&limit=0":                "error limit",
		"?payment_intent=pi_1":                "error payment_intent",
		"?charge=ch_1&expand[]=data.x&limit=": "error limit",
	} {
		_, _, raw := do(t, "GET", url+"/v1/refunds"+query, nil)
		var got struct {
			Object, URL string
			Data        []*stripego.Refund
			Error       *apiError
		}
		check(t, json.Unmarshal(raw, &got))
		is := strings.Join(refundIDs(got.Data), " ")
		if got.Error != nil {
			is = "error " + got.Error.Param
		}
		if is != want || got.Error == nil && (got.Object != "list" || got.URL != "/v1/refunds") {
			t.Errorf("%s: %q, want %q: %s", query, is, want, raw)
		}
	}
}

// TestExpandedObjectsHaveTheFormOfStripeMock compares the types of what is expanded.
func TestExpandedObjectsHaveTheFormOfStripeMock(t *testing.T) {
	theirs := stripemock.Start(t, false)
	_, ours := open(t, Options{})
	putObjects(t, ours, `[{"id":"ch_1","object":"charge"},{"id":"pi_1","object":"payment_intent"},{"id":"dp_1","object":"dispute","charge":"ch_1"},
		{"id":"re_1","object":"refund","charge":"ch_1"},{"id":"issfr_1","object":"radar.early_fraud_warning","charge":"ch_1"},{"id":"in_1","object":"invoice","payment_intent":"pi_1"}]`)
	for path, member := range map[string]string{
		"/v1/disputes/dp_1": "charge", "/v1/refunds/re_1": "charge", "/v1/radar/early_fraud_warnings/issfr_1": "charge",
		"/v1/invoices/in_1": "payment_intent", "/v1/charges/ch_1": "refunds",
	} {
		q := question{name: path, method: "GET", path: path + "?expand[]=" + member}
		for whose, url := range map[string]string{"the fake Stripe": ours, "stripe-mock": theirs} {
			_, raw := q.ask(t, url, "")
			if is := shapes(t, raw)[member]; is != "object" {
				t.Errorf("%s: %s of %s is %q, want an object", path, member, whose, is)
			}
		}
	}
}
