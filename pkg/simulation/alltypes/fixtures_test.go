package alltypes

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stripe/stripe-go/v76"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/handlers/golden"
	"tollgate/pkg/local/stripe/stripemock"
)

// object is one of Stripe's objects as JSON; numbers keep their digits.
type object = map[string]any

func decode[T any](t testing.TB, raw []byte) (v T) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

func encode(t testing.TB, v any) []byte {
	t.Helper()
	raw, err := json.MarshalIndent(v, "", "  ") // formatted as Stripe's events
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// resources returns Stripe's fixtures of its objects, at the pinned version.
func resources(t testing.TB) map[string]object {
	t.Helper()
	return decode[struct{ Resources map[string]object }](t, stripemock.File(t, "fixtures3.json")).Resources
}

// kind is an event type with its kind of object.
type kind struct{ typ, object string }

func (k kind) String() string { return k.typ + " " + k.object }

// kinds reads the list of event types; a type with several kinds of object is listed once for each.
func kinds(t testing.TB) (list []kind) {
	t.Helper()
	raw, err := os.ReadFile("../../../testdata/stripe/event_types.tsv")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(strings.TrimSpace(string(raw)), "\n") {
		typ, names, ok := strings.Cut(line, "\t")
		if !ok || typ == "event_type" {
			continue
		}
		for _, name := range strings.Split(names, "|") {
			list = append(list, kind{typ, name})
		}
	}
	return list
}

// pinnedTypes returns the types that an endpoint of the pinned version can subscribe to.
func pinnedTypes(t testing.TB) []string {
	t.Helper()
	var spec struct {
		Paths struct {
			Endpoints struct {
				Post struct {
					RequestBody struct {
						Content struct {
							Form struct {
								Schema struct {
									Properties struct {
										EnabledEvents struct{ Items struct{ Enum []string } } `json:"enabled_events"`
									}
								}
							} `json:"application/x-www-form-urlencoded"`
						}
					}
				}
			} `json:"/v1/webhook_endpoints"`
		}
	}
	if err := json.Unmarshal(stripemock.File(t, "spec3.json"), &spec); err != nil {
		t.Fatal(err)
	}
	types := spec.Paths.Endpoints.Post.RequestBody.Content.Form.Schema.Properties.EnabledEvents.Items.Enum
	types = slices.DeleteFunc(types, func(typ string) bool { return typ == "*" })
	slices.Sort(types)
	return types
}

// sample is an event: its object at the pinned version, and as in the event.
type sample struct {
	kind
	event          string // its id
	pinned, inside object
}

// samples makes one event of every kind, each about a different object: that of the type's
// golden event, else Stripe's fixture.
func samples(t testing.TB) (list []sample) {
	t.Helper()
	all := resources(t)
	for i, k := range kinds(t) {
		body := all[k.object]
		switch {
		case k.object == "application":
			body = object{"id": "ca_1", "object": "application", "name": "A platform"} // Stripe has no fixture
		case body == nil:
			body = object{"id": "new_1", "object": k.object} // newer than the pinned version
		}
		body = decode[object](t, encode(t, body)) // a copy
		if g := goldenObject(t, k.typ); g["object"] == k.object {
			body = g
		}
		if id, ok := body["id"].(string); ok && k.typ != "invoice.upcoming" {
			body["id"] = fmt.Sprintf("%s_%d", id, i)
		} else {
			delete(body, "id")
		}
		list = append(list, sample{kind: k, event: fmt.Sprintf("evt_%d", i), pinned: body, inside: body})
	}
	return list
}

// goldenObject returns the object of a type's golden event, nil without one. Members that a
// later version moved get a value other than zero.
func goldenObject(t testing.TB, typ string) object {
	t.Helper()
	raw, err := golden.Load(typ)
	if err != nil {
		return nil
	}
	data := decode[struct{ Data struct{ Object object } }](t, raw).Data.Object
	switch data["object"] {
	case "payment_intent":
		data["invoice"] = "in_1"
	case "invoice":
		data["paid_out_of_band"] = typ != "invoice.paid" // what was paid outside of Stripe has no payment
	}
	return data
}

// body renders the event in an API version.
func (s sample) body(t testing.TB, version string) []byte {
	t.Helper()
	return encode(t, s.envelope(version))
}

func (s sample) envelope(version string) object {
	return object{
		"id": s.event, "object": "event", "api_version": cmp.Or[any](version, nil), "created": today.Unix() - 40,
		"type": s.typ, "livemode": false, "pending_webhooks": 1, "request": object{"id": nil, "idempotency_key": nil},
		"data": object{"object": s.inside},
	}
}

// gone returns the members that a later version removed, by kind of object.
func gone(version string) map[string][]string {
	basil := map[string][]string{
		"product":      {"features"},
		"subscription": {"current_period_start", "current_period_end", "discount"},
		"invoice": {"charge", "payment_intent", "paid", "paid_out_of_band", "subscription", "subscription_details",
			"subscription_proration_date", "quote", "discount", "tax", "total_tax_amounts", "transfer_data", "application_fee_amount"},
		"charge":         {"invoice"},
		"payment_intent": {"invoice"},
		"line_item": {"price", "proration", "proration_details", "type", "invoice_item", "subscription_item",
			"tax_amounts", "tax_rates", "amount_excluding_tax", "unit_amount_excluding_tax"},
		"invoiceitem":      {"price", "subscription", "subscription_item", "unit_amount", "unit_amount_decimal"},
		"checkout.session": {"shipping_details"},
		"credit_note":      {"refund", "tax_amounts"},
		"plan":             {"aggregate_usage"},
	}
	if version >= "2025-09-30.clover" {
		basil["discount"], basil["promotion_code"] = []string{"coupon"}, []string{"coupon"}
	}
	return basil
}

// at returns a copy of the sample with its snapshot in a later version; Stripe still serves the
// object at the pinned version.
func (s sample) at(t testing.TB, version string) sample {
	t.Helper()
	s.inside = decode[object](t, encode(t, s.pinned))
	reshape(s.inside, gone(version))
	return s
}

// reshape removes members in every object at any depth, and moves a subscription's period as basil
// does.
func reshape(v any, gone map[string][]string) {
	switch v := v.(type) {
	case []any:
		for _, one := range v {
			reshape(one, gone)
		}
	case object:
		name, _ := v["object"].(string)
		if name == "subscription" {
			movePeriod(v)
		}
		for _, member := range gone[name] {
			delete(v, member)
		}
		for _, member := range v {
			reshape(member, gone)
		}
	}
}

func movePeriod(subscription object) {
	items, _ := subscription["items"].(object)
	list, _ := items["data"].([]any)
	for _, item := range list {
		item.(object)["current_period_start"] = subscription["current_period_start"]
		item.(object)["current_period_end"] = subscription["current_period_end"]
	}
}

// objects is Stripe: objects by id, and the number of fetches of each.
type objects struct {
	t    testing.TB
	by   map[string]object
	seen *sync.Map
}

func stripeWith(t testing.TB, list []sample) objects {
	o := objects{t: t, by: map[string]object{}, seen: &sync.Map{}}
	for _, s := range list {
		if id, ok := s.pinned["id"].(string); ok {
			o.by[id] = s.pinned
			if s.typ == "customer.deleted" {
				o.by[id] = object{"id": id, "object": "customer", "deleted": true}
			}
		}
	}
	return o
}

func (o objects) FetchObject(_ context.Context, account, name, id string) ([]byte, error) {
	body, ok := o.by[id]
	if !ok || account != "" || body["object"] != name {
		return nil, dispatch.Park(dispatch.ReasonObjectGone, errors.New("no such object"))
	}
	o.seen.Store(id, true)
	return encode(o.t, body), nil
}

// pinned is the version that handlers read.
const pinned = stripe.APIVersion

// laterVersions are the one that moved most of what handlers read, and the latest.
func laterVersions() []string { return []string{"2025-03-31.basil", "2026-08-26.dahlia"} }
