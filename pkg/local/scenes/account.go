package scenes

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
)

// obj is a Stripe object, list one of its lists, as JSON has them.
type (
	obj  = map[string]any
	list = []any
)

const (
	minute = int64(60)
	hour   = 60 * minute
	day    = 24 * hour
)

// account is the state of one Stripe account while a scene is generated.
type account struct {
	o     Options
	rng   *rand.Rand // decides what happens
	names *rand.Rand // makes ids
	now   int64      // seconds

	customer     string
	person       obj
	reference    string // of the guest's checkouts
	guest        bool   // pays next, not the customer
	organisation string // the account's; its events then name the account by context
	currency     string
	prices       []obj
	invoices     int

	steps   []Step
	changed []obj // since the last step, in order
	gone    []string
	events  []json.RawMessage
	request obj // the request that caused the current step
}

// begin makes the customer, the products and the prices.
func (w *account) begin() {
	w.currency = w.pick("eur", "usd", "jpy")
	for range 4 {
		w.prices = append(w.prices, w.price())
	}
	w.byCaller()
	w.person = w.newCustomer()
	w.set(w.person)
	w.emit("customer.created", w.person)
	w.end()
}

// organise makes two accounts those of one organisation, with one customer id.
func (w *account) organise(second *account) *account {
	w.organisation = "org_" + w.random(14)
	second.organisation, second.customer = w.organisation, w.customer
	for _, each := range []*account{w, second} {
		each.o.Account = "acct_1" + each.random(15)
	}
	return second
}

// pass ends the step and advances the clock by seconds.
func (w *account) pass(seconds int64) {
	w.end()
	w.now += seconds
}

// end ends the step: it holds the changes since the last one.
func (w *account) end() {
	if len(w.changed)+len(w.gone)+len(w.events) == 0 {
		return
	}
	s := Step{Account: w.o.Account, Gone: w.gone, Events: w.events, At: w.now}
	for _, o := range w.changed {
		s.Objects = append(s.Objects, wire(o))
	}
	w.steps = append(w.steps, s)
	w.changed, w.gone, w.events = nil, nil, nil
	w.byStripe()
}

// byCaller attributes the following changes of this step to a request.
func (w *account) byCaller() {
	w.request = obj{"id": "req_" + w.random(14), "idempotency_key": w.uuid()}
}

// byStripe attributes the following changes to Stripe itself.
func (w *account) byStripe() { w.request = obj{"id": nil, "idempotency_key": nil} }

// set notes that an object is new or has changed.
func (w *account) set(o obj) {
	if !slices.ContainsFunc(w.changed, func(c obj) bool { return c["id"] == o["id"] }) {
		w.changed = append(w.changed, o)
	}
}

// remove deletes an object.
func (w *account) remove(o obj) {
	w.changed = slices.DeleteFunc(w.changed, func(c obj) bool { return c["id"] == o["id"] })
	w.gone = append(w.gone, o["id"].(string))
}

// change changes members of an object and returns their old values.
func (w *account) change(o, to obj) (previous obj) {
	previous = obj{}
	for name, v := range to {
		old, had := o[name]
		if had && reflect.DeepEqual(old, v) {
			continue
		}
		previous[name] = before(old, v)
		o[name] = v
	}
	w.set(o)
	return previous
}

// before is a member's value in previous_attributes: for a hash only the changed members, for
// a list its data.
func before(old, now any) any {
	o, isObject := old.(obj)
	n, nowObject := now.(obj)
	if !isObject || !nowObject {
		return old
	}
	if o["object"] == "list" {
		return obj{"data": o["data"]}
	}
	changed := obj{}
	for name := range n {
		if !reflect.DeepEqual(o[name], n[name]) {
			changed[name] = o[name]
		}
	}
	return changed
}

// update changes an object and emits the event of a type that ends in "updated".
func (w *account) update(typ string, o, to obj) { w.emitUpdate(typ, o, w.change(o, to)) }

func (w *account) emit(typ string, o obj) { w.emitUpdate(typ, o, nil) }

// twinPercent is the percentage of changes with a second event.
const twinPercent = 7

// emitUpdate makes the event of a change, and sometimes a second one.
func (w *account) emitUpdate(typ string, o, previous obj) {
	n := 1
	if w.chance(twinPercent) {
		n = 2
	}
	for range n {
		data := obj{"object": shown(o)}
		if previous != nil {
			data["previous_attributes"] = shown(previous)
		}
		e := obj{
			"id": w.id(eventPrefix(typ)), "object": "event", "api_version": w.o.APIVersion, "created": w.now,
			"data": data, "livemode": w.o.Livemode, "pending_webhooks": 1, "request": w.request, "type": typ,
		}
		w.address(e)
		w.events = append(w.events, wire(e))
	}
}

// address names the event's account. Events of an organisation have either form of a context.
func (w *account) address(event obj) {
	switch {
	case w.organisation == "" && w.o.Account != "":
		event["account"] = w.o.Account
	case w.organisation != "" && w.chance(50):
		event["context"] = w.o.Account
	case w.organisation != "":
		event["context"] = w.organisation + "/" + w.o.Account
	}
}

// eventPrefix: ids of events about payments begin with evt_3.
func eventPrefix(typ string) string {
	if strings.HasPrefix(typ, "payment_intent.") || strings.HasPrefix(typ, "charge.") && !strings.HasPrefix(typ, "charge.dispute.") {
		return "evt_3"
	}
	return "evt_1"
}

func (w *account) chance(percent int) bool { return w.rng.IntN(100) < percent }

func (w *account) between(from, to int64) int64 { return from + w.rng.Int64N(to-from+1) }

func (w *account) pick(words ...string) string { return words[w.rng.IntN(len(words))] }

const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

func (w *account) random(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = letters[w.names.IntN(len(letters))]
	}
	return string(b)
}

// id makes an object's id, such as sub_1…; the prefix has the digit.
func (w *account) id(prefix string) string { return prefix + w.random(23) }

func (w *account) uuid() string {
	a, b := w.names.Uint64(), w.names.Uint64()
	return fmt.Sprintf("%08x-%04x-4%03x-%x%03x-%012x", a>>32, a>>16&0xffff, a&0xfff, 8+b>>62, b>>48&0xfff, b&0xffffffffffff)
}
