package sqsqueue_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"tollgate/pkg/queue"
	"tollgate/pkg/sqsqueue"
)

// FuzzLambdaEvent: the handler reads the messages that encoding/json reads, and refuses the same
// events.
func FuzzLambdaEvent(f *testing.F) {
	for _, s := range []string{
		`{"Records":[{"messageId":"m1","receiptHandle":"r1","body":"a\"\\","attributes":{"SentTimestamp":"1700000000123","MessageGroupId":null}}]}`,
		`{"Records":[{"messageId":"m1","receiptHandle":"r1"} , {"messageID":"\u006d","receiptHandle":"r2","body":null,"attributes":null,"x":[{},1]}]}`,
		`{"Records":null}`, `{"records":[]}`, `{"Records":{}}`, `{"Records":[null]}`, `{"Records":[1]}`, `{"Records":[{"messageId":"m1","receiptHandle":1}]}`,
		`{"Records":[{"messageId":"m1","receiptHandle":"r1","attributes":[]}]}`, `{"Records":[{"messageId":"m1","receiptHandle":"r1","attributes":{"a":1}}]}`, `null`, `{}`, `[]`, ``,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(readsAsEncodingJSON)
}

// TestSampleAsEncodingJSON: it is too large for the fuzzer.
func TestSampleAsEncodingJSON(t *testing.T) {
	sample, err := os.ReadFile("../../testdata/aws/sqs.json")
	if err != nil {
		t.Fatal(err)
	}
	readsAsEncodingJSON(t, sample)
}

func readsAsEncodingJSON(t *testing.T, payload []byte) {
	t.Helper()
	if string(bytes.TrimSpace(payload)) == "null" || json.Valid(payload) && twice(json.NewDecoder(bytes.NewReader(payload))) {
		return
	}
	var want struct {
		Records []struct {
			MessageID     string `json:"messageId"`
			ReceiptHandle string `json:"receiptHandle"`
			Body          string
			Attributes    map[string]string
		}
	}
	wantErr := json.Unmarshal(payload, &want)
	for _, r := range want.Records {
		if wantErr == nil && (r.MessageID == "" || r.ReceiptHandle == "") {
			wantErr = context.Canceled // any
		}
	}
	h := &batchHandler{}
	_, err := sqsqueue.NewLambdaHandler(h).Invoke(t.Context(), payload)
	if (err == nil) != (wantErr == nil) || err == nil && len(h.got) != len(want.Records) {
		t.Fatalf("%q: %v and %d messages, encoding/json says %v and %d", payload, err, len(h.got), wantErr, len(want.Records))
	}
	if err != nil {
		return
	}
	for i, r := range want.Records {
		got := h.got[i]
		got.Receives, got.SentAt, got.FirstReceivedAt = 0, time.Time{}, time.Time{}
		if w := (queue.Message{ID: r.MessageID, Receipt: r.ReceiptHandle, Body: r.Body, Group: r.Attributes["MessageGroupId"], Trace: r.Attributes["AWSTraceHeader"]}); got != w {
			t.Fatalf("%q: %+v, want %+v", payload, got, w)
		}
	}
}

// twice reports whether an object in valid JSON has two keys that differ in case at most: there
// encoding/json mixes the values. It reads one value.
func twice(dec *json.Decoder) (is bool) {
	open, _ := dec.Token()
	if _, ok := open.(json.Delim); !ok {
		return false
	}
	seen := map[string]bool{}
	for dec.More() {
		if open == json.Delim('{') {
			key, _ := dec.Token()
			name := strings.ToLower(strings.ToUpper(key.(string)))
			is = is || seen[name]
			seen[name] = true
		}
		is = twice(dec) || is
	}
	_, _ = dec.Token()
	return is
}
