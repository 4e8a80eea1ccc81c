package golden_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stripe/stripe-go/v76"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/handlers"
	"tollgate/pkg/handlers/golden"
)

var update = flag.Bool("update", false, "rewrite the golden events in Stripe's layout")

// unhandled is the type of the only golden event without a handler.
const unhandled = "customer.created"

// newMux returns a mux with every handler, which no event may be dispatched to.
func newMux() *dispatch.Mux {
	none := struct {
		dispatch.Objects
		dispatch.Rows
	}{}
	mux := dispatch.NewMux(dispatch.Config{APIVersion: stripe.APIVersion, Objects: none, Rows: none})
	handlers.Register(mux)
	return mux
}

// TestOneEventPerHandler: every handled type has a golden event, and no other type but one.
func TestOneEventPerHandler(t *testing.T) {
	handled, have := handlers.Types(), golden.Types()
	for _, typ := range handled {
		if !slices.Contains(have, typ) {
			t.Errorf("%s has a handler and no golden event: put one, as Stripe sends it, into pkg/handlers/golden/%s.json", typ, typ)
		}
	}
	for _, typ := range have {
		if !slices.Contains(handled, typ) && typ != unhandled {
			t.Errorf("%s has a golden event and no handler: register one in pkg/handlers/handlers.go", typ)
		}
	}
}

func TestEventsAreWhatStripeSends(t *testing.T) {
	mux, ids := newMux(), map[string]string{}
	for _, name := range golden.Types() {
		t.Run(name, func(t *testing.T) {
			raw := load(t, name)
			checkLayout(t, name+".json", raw)
			var e stripe.Event
			if err := json.Unmarshal(raw, &e); err != nil {
				t.Fatal(err)
			}
			if string(e.Type) != name || e.Object != "event" || e.APIVersion != stripe.APIVersion || e.Livemode || !strings.HasPrefix(e.ID, "evt_") || e.Created == 0 {
				t.Errorf("event is type %q object %q version %q livemode %v id %q created %d", e.Type, e.Object, e.APIVersion, e.Livemode, e.ID, e.Created)
			}
			if other, used := ids[e.ID]; used {
				t.Errorf("%s has the same event id %s", other, e.ID)
			}
			ids[e.ID] = name
			typ := mux.ObjectType(name)
			if name == unhandled {
				typ = reflect.TypeFor[stripe.Customer]()
			}
			checkObject(t, e.Data.Raw, typ)
		})
	}
}

// checkObject requires that data.object and its Go type have the same version: every
// top-level member has a field, and every number, string and boolean survives a round trip.
func checkObject(t *testing.T, raw []byte, typ reflect.Type) {
	t.Helper()
	wire := decodeMap(t, raw)
	object, _ := wire["object"].(string)
	for _, d := range lostFields(wire, typ) {
		t.Errorf("%s: %s", typ, d)
	}
	value := reflect.New(typ)
	if err := json.Unmarshal(raw, value.Interface()); err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(value.Interface())
	if err != nil {
		t.Fatal(err)
	}
	back := decodeMap(t, again)
	for key, want := range wire {
		switch want.(type) {
		case json.Number, string, bool:
			if got := scalar(back[key]); got != want {
				t.Errorf("%s.%s: decoded and encoded again it is %v, want %v", object, key, got, want)
			}
		}
	}
}

// scalar is the id of an expandable object, which the wire carries as text, else v itself.
func scalar(v any) any {
	if m, ok := v.(map[string]any); ok {
		return m["id"]
	}
	return v
}

func lostFields(wire map[string]any, typ reflect.Type) (lost []string) {
	known := map[string]bool{}
	for f := range typ.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		known[name] = true
	}
	for key := range wire {
		if !known[key] {
			lost = append(lost, fmt.Sprintf("member %q has no field", key))
		}
	}
	return lost
}

// The check above must be able to fail: a member of another API version has no field.
func TestLostFieldsAreSeen(t *testing.T) {
	wire := map[string]any{"id": "in_1", "confirmation_secret": "x"}
	got := lostFields(wire, reflect.TypeFor[stripe.Invoice]())
	if diff := cmp.Diff([]string{`member "confirmation_secret" has no field`}, got); diff != "" {
		t.Error(diff)
	}
}

func TestInvoicePaidAddsUp(t *testing.T) {
	var e stripe.Event
	if err := json.Unmarshal(load(t, "invoice.paid"), &e); err != nil {
		t.Fatal(err)
	}
	var in stripe.Invoice
	if err := json.Unmarshal(e.Data.Raw, &in); err != nil {
		t.Fatal(err)
	}
	var lines, tax int64
	for _, l := range in.Lines.Data {
		lines += l.Amount
		for _, a := range l.TaxAmounts {
			tax += a.Amount
		}
	}
	if lines != in.Subtotal || tax != in.Tax || in.Subtotal+in.Tax != in.Total || in.AmountPaid != in.Total || in.AmountRemaining != 0 {
		t.Errorf("lines %d, subtotal %d, tax %d of %d, total %d, paid %d, remaining %d", lines, in.Subtotal, tax, in.Tax, in.Total, in.AmountPaid, in.AmountRemaining)
	}
	if in.Charge == nil || in.PaymentIntent == nil || in.Subscription == nil || in.Customer == nil {
		t.Error("charge, payment intent, subscription or customer is missing")
	}
}

func load(t *testing.T, typ string) []byte {
	t.Helper()
	raw, err := golden.Load(typ)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func checkLayout(t *testing.T, file string, raw []byte) {
	t.Helper()
	want := stripeLayout(t, raw)
	if *update && !bytes.Equal(raw, want) {
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(want), string(raw)); diff != "" {
		t.Errorf("not in Stripe's layout (run with -update):\n%s", diff)
	}
}

// stripeLayout prints JSON as Stripe sends it: two spaces a level, an empty object as
// "{", newline, indent, "}" and an empty list with one blank line between its brackets.
func stripeLayout(t *testing.T, raw []byte) []byte {
	t.Helper()
	var plain bytes.Buffer
	if err := json.Indent(&plain, bytes.TrimSpace(raw), "", "  "); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for line := range strings.Lines(plain.String()) {
		line = strings.TrimSuffix(line, "\n")
		indent := line[:len(line)-len(strings.TrimLeft(line, " "))]
		body, comma := strings.CutSuffix(line, ",")
		switch {
		case strings.HasSuffix(body, "{}"):
			body = strings.TrimSuffix(body, "}") + "\n" + indent + "}"
		case strings.HasSuffix(body, "[]"):
			body = strings.TrimSuffix(body, "]") + "\n\n" + indent + "]"
		}
		out.WriteString(body)
		if comma {
			out.WriteByte(',')
		}
		out.WriteByte('\n')
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}

func decodeMap(t *testing.T, raw []byte) map[string]any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var m map[string]any
	if err := d.Decode(&m); err != nil {
		t.Fatal(err)
	}
	return m
}
