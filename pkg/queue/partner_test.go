package queue_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tollgate/pkg/event"
	"tollgate/pkg/queue"
)

// partner returns a sample of an event as EventBridge writes it.
func partner(t testing.TB, name string) string {
	t.Helper()
	raw, err := os.ReadFile("../../testdata/aws/eventbridge-" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(raw))
}

func TestDecodePartnerEvents(t *testing.T) {
	received := time.Date(2026, 11, 21, 12, 0, 1, 0, time.UTC)
	tests := []struct {
		name string
		want event.Envelope
	}{
		{"snapshot", event.Envelope{Object: event.ObjectSnapshot, Type: "invoice.paid", APIVersion: "2023-10-16"}},
		{"organisation", event.Envelope{Object: event.ObjectSnapshot, Type: "invoice.paid", APIVersion: "2023-10-16", Account: "acct_1TollgateWire", AccountFrom: event.FromContext}},
		{"thin", event.Envelope{
			ID: "evt_test_65TollgateWire", Object: event.ObjectThin, Type: "v1.billing.meter.error_report_triggered",
			Created: 1795262400, CreatedRaw: "2026-11-21T12:00:00.123Z", ObjectID: "mtr_test_61TollgateWire",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var sample struct{ Detail json.RawMessage }
			if err := json.Unmarshal([]byte(partner(t, tt.name)), &sample); err != nil {
				t.Fatal(err)
			}
			got, err := queue.Decode(partner(t, tt.name))
			if err != nil {
				t.Fatal(err)
			}
			if tt.want.ID == "" { // of a golden event
				inside, _ := event.Parse(sample.Detail)
				tt.want.ID, tt.want.Created, tt.want.ObjectID, tt.want.Livemode = inside.ID, inside.Created, inside.ObjectID, inside.Livemode
			}
			tt.want.Endpoint, tt.want.Source, tt.want.ReceivedAt = queue.PartnerEndpoint, event.EventBridge, received
			if diff := cmp.Diff(tt.want, got, cmpopts.IgnoreFields(event.Envelope{}, "Body")); diff != "" {
				t.Errorf("envelope (-want +got):\n%s", diff)
			}
			if !bytes.Equal(got.Body, sample.Detail) {
				t.Errorf("body is %s, want the detail's bytes", got.Body)
			}
			if again := decode(t, encode(t, got)); !cmp.Equal(again, got) {
				t.Errorf("it is replayed as another envelope: %s", cmp.Diff(got, again))
			}
		})
	}
}

func TestDecodeRefusesPartnerEvents(t *testing.T) {
	sample := partner(t, "thin")
	change := func(old, new string) string {
		t.Helper()
		if !strings.Contains(sample, old) {
			t.Fatalf("the sample has no %s", old)
		}
		return strings.Replace(sample, old, new, 1)
	}
	tests := []struct {
		name, msg, why string
		newer          bool
	}{
		{"another partner", change("aws.partner/stripe.com/", "aws.partner/stripe.example/"), "not from Stripe", false},
		{"a source that contains Stripe's", change(`"source":"aws.`, `"source":"x.aws.`), "not from Stripe", false},
		{"no source", change(`"source"`, `"origin"`), "not from Stripe", false},
		{"source no text", change(`"source":"aws.partner/stripe.com/ed_test_61TollgateWire"`, `"source":["aws.partner/stripe.com/"]`), "source is not a string", false},
		{"no time", change(`"time"`, `"when"`), "has no time", false},
		{"a time of another form", change("2026-11-21T12:00:01Z", "yesterday"), "has no time", false},
		{"no event", change(`"v2.core.event"`, `"customer"`), "object is not a kind of event", false},
		{"no version", change(`"version":"0",`, ""), `version ""`, true},
		{"next version", change(`"version":"0"`, `"version":"1"`), `version "1"`, true},
		{"two details", change(`"detail":{`, `"detail":{},"detail":{`), "message version 0", false},
		{"cut off", sample[:len(sample)-2], "not the JSON", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e, err := queue.Decode(tt.msg)
			if errors.Is(err, queue.ErrNewer) != tt.newer || errors.Is(err, queue.ErrUndecodable) == tt.newer {
				t.Fatalf("error is %v, newer: want %v", err, tt.newer)
			}
			if !strings.Contains(err.Error(), tt.why) || e.Body != nil {
				t.Errorf("error is %q with %+v, want …%s…", err, e, tt.why)
			}
		})
	}
}
