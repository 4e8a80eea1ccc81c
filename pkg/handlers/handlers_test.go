package handlers_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stripe/stripe-go/v76"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/effect"
	"tollgate/pkg/handlers"
)

// Every handler takes the golden event of its type and no other object, which finds a wrong
// pair of event type and Go struct.
func TestEveryHandlerTakesItsGoldenEvent(t *testing.T) {
	for _, typ := range handlers.Types() {
		t.Run(typ, func(t *testing.T) {
			effects, err := once(t, golden(t, typ))
			if err != nil || len(effects) == 0 {
				t.Errorf("golden event: %d effects, %v", len(effects), err)
			}
			if _, err = once(t, wrongObject(typ)); permanent(err) != dispatch.ReasonWrongObject {
				t.Errorf("another object under this type: %v, want a permanent failure with reason %s", err, dispatch.ReasonWrongObject)
			}
		})
	}
}

// wrongObject returns an event with an object of an unknown kind.
func wrongObject(typ string) []byte {
	return fmt.Appendf(nil, `{"id":"evt_1","object":"event","api_version":%q,"created":1795046464,"livemode":false,"type":%q,"data":{"object":{"id":"x_1","object":"no_such_object"}}}`,
		stripe.APIVersion, typ)
}

// Every key and list name has mode and account, so that no event touches items of another mode
// or account.
func TestKeysCarryModeAndAccount(t *testing.T) {
	const live = "  \"livemode\": false,\n  \"pending_webhooks\""
	variants := []struct{ part, old, new string }{
		{"#test#-#", "", ""},
		{"#test#acct_1#", `"object": "event",`, `"object": "event", "account": "acct_1",`},
		{"#live#-#", live, strings.Replace(live, "false", "true", 1)},
	}
	for _, typ := range handlers.Types() {
		t.Run(typ, func(t *testing.T) {
			for _, v := range variants {
				effects, err := once(t, golden(t, typ, v.old, v.new))
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range effects {
					if !strings.Contains(e.Key, v.part) {
						t.Errorf("key %s lacks %s", e.Key, v.part)
					}
					if lst := e.Fields["lst"]; lst != nil && e.Fields["kind"] != "outbox" && !strings.Contains(lst.(string), v.part) {
						t.Errorf("%s is listed under %s, which lacks %s", e.Key, lst, v.part)
					}
				}
			}
		})
	}
}

// Two events for one change, as Stripe sometimes sends, write the same items.
func TestTwoEventsForOneChangeWriteOnce(t *testing.T) {
	for _, typ := range handlers.Types() {
		t.Run(typ, func(t *testing.T) {
			first := golden(t, typ)
			id, created := parse(t, first).ID, parse(t, first).Created
			second := golden(t, typ, id, "evt_another", fmt.Sprintf(`"created": %d`, created), fmt.Sprintf(`"created": %d`, created+30))
			f := newFixture()
			f.shows(t, first)
			f.handle(t, first)
			keys := f.Keys()
			before := inserted(t, f)
			f.handle(t, second)
			if diff := cmp.Diff(keys, f.Keys()); diff != "" {
				t.Errorf("a second event made other items:\n%s", diff)
			}
			if diff := cmp.Diff(before, inserted(t, f)); diff != "" {
				t.Errorf("a second event changed what is written once:\n%s", diff)
			}
		})
	}
}

// inserted returns a table's facts and messages, and the messages that its rows name.
func inserted(t *testing.T, f *fixture) map[string]any {
	t.Helper()
	out := map[string]any{}
	for _, key := range f.Keys() {
		if strings.HasPrefix(key, "OBJ#") {
			out[key] = f.item(t, key)["outbox"]
		}
		if strings.HasPrefix(key, "FACT#") || strings.HasPrefix(key, "OUT#") {
			out[key] = f.item(t, key)
		}
	}
	return out
}

// No item has metadata, addresses, names or e-mail.
func TestPersonalDataIsNotStored(t *testing.T) {
	metadata := map[string]any{"secret_key": "secret_value"}
	for i := range 49 {
		metadata[fmt.Sprintf("key%02d", i)] = strings.Repeat("🧾", 500)
	}
	for _, typ := range handlers.Types() {
		t.Run(typ, func(t *testing.T) {
			body := golden(t, typ)
			if !strings.HasPrefix(typ, "radar.") { // a warning has no metadata
				body = with(t, body, map[string]any{"metadata": metadata})
			}
			effects, err := once(t, body)
			if err != nil {
				t.Fatal(err)
			}
			text := fmt.Sprintf("%v", effects)
			for _, word := range []string{"secret_", "🧾", "ada.brandt", "Ada Brandt", "Domstraße", "50668", "203.0.113"} {
				if strings.Contains(text, word) {
					t.Errorf("effects hold %q", word)
				}
			}
		})
	}
}

// Facts and rows name exactly the messages that are written with them, and each message is in
// one of the eight outbox lists.
func TestMessagesAreNamedAndListed(t *testing.T) {
	for _, typ := range handlers.Types() {
		effects, err := once(t, golden(t, typ))
		if err != nil {
			t.Fatal(err)
		}
		var written, named []any
		for _, e := range effects {
			if e.Fields["kind"] == "outbox" {
				written = append(written, e.Key)
				lst, _ := e.Fields["lst"].(string)
				if len(lst) != 5 || lst[:4] != "OUT#" || lst[4] < '0' || lst[4] > '7' {
					t.Errorf("%s is listed under %q", e.Key, lst)
				}
				continue
			}
			keys, _ := effect.Named(e.Fields)
			for _, key := range keys {
				if !slices.Contains(named, key) {
					named = append(named, key)
				}
			}
		}
		if diff := cmp.Diff(written, named); diff != "" {
			t.Errorf("%s: its facts and rows name other messages than it writes (-written +named); make them with the same messages:\n%s", typ, diff)
		}
	}
}

func TestPermanentFailures(t *testing.T) {
	invoiceID := parse(t, golden(t, "invoice.paid")).ObjectID
	without := []string{`      "id": "` + invoiceID + `",` + "\n      \"object\": \"invoice\"", `      "object": "invoice"`}
	tests := []struct {
		name, typ string
		oldnew    []string
		want      string
	}{
		{"invoice without id", "invoice.paid", without, "object has no id"},
		{"payment intent with an empty id", "payment_intent.succeeded", []string{`"pi_3TollgatefEZrEHFEikFfLQt"`, `""`}, "payment_intent has no id"},
		{"no currency", "payment_intent.succeeded", []string{`"currency": "eur"`, `"currency": null`}, "has no currency"},
		{"failure without currency", "payment_intent.payment_failed", []string{`"currency": "eur"`, `"currency": null`}, "has no currency"},
		{"paid invoice without currency", "invoice.paid", []string{"\"created\": 1795046460,\n      \"currency\": \"eur\"", "\"created\": 1795046460,\n      \"currency\": null"}, "has no currency"},
		{"payment intent still processing", "payment_intent.succeeded", []string{`"status": "succeeded"`, `"status": "processing"`}, "has status processing"},
		{"failed payment that succeeded", "payment_intent.payment_failed", []string{`"status": "requires_payment_method"`, `"status": "succeeded"`}, "has status succeeded"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			effects, err := once(t, golden(t, tt.typ, tt.oldnew...))
			if permanent(err) != dispatch.ReasonHandler || !strings.Contains(err.Error(), tt.want) || effects != nil {
				t.Errorf("%d effects, error %v; want a permanent failure: %s", len(effects), err, tt.want)
			}
		})
	}
}
