package effect_test

import (
	"cmp"
	"encoding/json"
	"strings"
	"testing"

	"tollgate/pkg/effect"
)

// FuzzCustomerOf: the customer is the one that encoding/json reads.
func FuzzCustomerOf(f *testing.F) {
	for _, s := range []string{
		`{"customer":"cus_1"}`, `{"CUSTOMER":"\ncus_1","customer_account":"acct_1"}`, `{"customer":{"id":"cus_2"},"lines":{"id":"x"}}`,
		`{"customer":{"ID":"cus_2"}}`, `{"customer":{"id":7},"customer_account":{"id":"acct_2"}}`, `{"customer":[{"id":"cus_3"}]}`,
		` {"customer":null,"customer_account":""} `, `{"customer":true}`, `null`, `[]`, `"cus_1"`, `{"customer":"cus_1"}x`, ``,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var object struct {
			Customer        json.RawMessage `json:"customer"`
			CustomerAccount json.RawMessage `json:"customer_account"`
		}
		want := ""
		if json.Unmarshal(raw, &object) == nil {
			want = cmp.Or(idOf(object.Customer), idOf(object.CustomerAccount))
		}
		// Of two ids in a customer encoding/json keeps the first that is a string.
		if strings.Count(strings.ToLower(string(raw)), `id"`) > 1 || strings.Contains(string(raw), `\u`) {
			return
		}
		if got := effect.CustomerOf(raw); got != want {
			t.Errorf("%q: customer %q, encoding/json has %q", raw, got, want)
		}
	})
}

func idOf(reference json.RawMessage) string {
	var id string
	var expanded struct{ ID string }
	if json.Unmarshal(reference, &id) != nil {
		_ = json.Unmarshal(reference, &expanded)
	}
	return cmp.Or(id, expanded.ID)
}
