package stripeapi_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"
	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/webhook"
)

var update = flag.Bool("update", false, "bring the golden events into Stripe's layout")

const goldenDir = "../handlers/golden"

// structs names the Go struct of every object that a golden event carries.
var structs = map[string]reflect.Type{
	"checkout.session": reflect.TypeFor[stripe.CheckoutSession](),
	"customer":         reflect.TypeFor[stripe.Customer](),
	"dispute":          reflect.TypeFor[stripe.Dispute](),
	"invoice":          reflect.TypeFor[stripe.Invoice](),
	"payment_intent":   reflect.TypeFor[stripe.PaymentIntent](),
	"subscription":     reflect.TypeFor[stripe.Subscription](),
}

func TestGoldenEventsAreWhatStripeSends(t *testing.T) {
	files, err := filepath.Glob(goldenDir + "/*.json")
	if err != nil || len(files) < 10 {
		t.Fatalf("found %d golden events in %s, want at least 10 (%v)", len(files), goldenDir, err)
	}
	ids := map[string]string{}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		t.Run(name, func(t *testing.T) {
			raw := readFile(t, file)
			checkLayout(t, file, raw)
			var e stripe.Event
			if err := json.Unmarshal(raw, &e); err != nil {
				t.Fatal(err)
			}
			if string(e.Type) != name || e.Object != "event" || e.APIVersion != stripe.APIVersion || e.Livemode || !strings.HasPrefix(e.ID, "evt_") || e.Created == 0 {
				t.Errorf("event is type %q object %q version %q livemode %v id %q created %d", e.Type, e.Object, e.APIVersion, e.Livemode, e.ID, e.Created)
			}
			if other, used := ids[e.ID]; used {
				t.Errorf("id %s is that of %s too", e.ID, other)
			}
			ids[e.ID] = name
			checkObject(t, e.Data.Raw)
		})
	}
}

// checkObject decodes data.object into its struct and requires that every top-level
// member has a field there and that every number, text and truth value survives.
func checkObject(t *testing.T, raw []byte) {
	t.Helper()
	wire := decodeMap(t, raw)
	object, _ := wire["object"].(string)
	typ := structs[object]
	if typ == nil {
		t.Fatalf("no struct is known for object %q", object)
	}
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
	if err := json.Unmarshal(readFile(t, goldenDir+"/invoice.paid.json"), &e); err != nil {
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

// The AWS samples all carry the golden payment_intent.succeeded, byte for byte, signed with this secret.
const sampleSecret = "whsec_testdata_not_a_secret"

func TestAWSSamples(t *testing.T) {
	golden := readFile(t, goldenDir+"/payment_intent.succeeded.json")
	for _, name := range []string{"apigateway-http-2.0", "apigateway-http-2.0-base64"} {
		t.Run(name, func(t *testing.T) {
			var r events.APIGatewayV2HTTPRequest
			decodeStrict(t, "../../testdata/aws/"+name+".json", &r)
			if r.Version != "2.0" {
				t.Errorf("version is %q", r.Version)
			}
			checkWebhook(t, golden, r.Body, r.IsBase64Encoded, r.Headers["stripe-signature"])
		})
	}
	for _, name := range []string{"apigateway-rest-1.0", "apigateway-rest-1.0-base64"} {
		t.Run(name, func(t *testing.T) {
			var r events.APIGatewayProxyRequest
			decodeStrict(t, "../../testdata/aws/"+name+".json", &r)
			checkWebhook(t, golden, r.Body, r.IsBase64Encoded, r.MultiValueHeaders["Stripe-Signature"][0])
		})
	}
	var q events.SQSEvent
	decodeStrict(t, "../../testdata/aws/sqs.json", &q)
	if len(q.Records) != 1 || q.Records[0].EventSource != "aws:sqs" || q.Records[0].Attributes["ApproximateReceiveCount"] != "1" {
		t.Errorf("sqs.json: %d records", len(q.Records))
	}
	var s events.EventBridgeEvent
	decodeStrict(t, "../../testdata/aws/schedule.json", &s)
	if s.Source != "aws.events" || s.DetailType != "Scheduled Event" {
		t.Errorf("schedule.json: source %q, detail-type %q", s.Source, s.DetailType)
	}
}

func checkWebhook(t *testing.T, golden []byte, body string, base64Encoded bool, signature string) {
	t.Helper()
	got := []byte(body)
	if base64Encoded {
		var err error
		if got, err = base64.StdEncoding.DecodeString(body); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(got, golden) {
		t.Error("the body is not the golden event, byte for byte")
	}
	if err := webhook.ValidatePayloadIgnoringTolerance(got, signature, sampleSecret); err != nil {
		t.Errorf("signature: %v", err)
	}
}

func decodeStrict(t *testing.T, file string, into any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(readFile(t, file)))
	if strings.Contains(file, "http-2.0") {
		d.DisallowUnknownFields()
	}
	if err := d.Decode(into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
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

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
