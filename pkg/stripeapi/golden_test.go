package stripeapi_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/stripe/stripe-go/v76/webhook"
)

const goldenDir = "../handlers/golden"

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

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
