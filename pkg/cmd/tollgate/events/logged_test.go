package events

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/awsclient"
	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/local/localtest"
)

// cloudWatch is CloudWatch Logs at a socket: it answers the pages of a log group in turn.
type cloudWatch struct {
	t        *testing.T
	pages    map[string][]string // by the function's name: the members of answers, "" for an error
	requests []string
}

func (c *cloudWatch) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var in struct {
		LogGroupName, FilterPattern, NextToken string
		StartTime, EndTime                     int64
	}
	if err := json.Unmarshal(body, &in); err != nil || r.Header.Get("X-Amz-Target") != "Logs_20140328.FilterLogEvents" {
		c.t.Errorf("request %s %s: %v", r.Header.Get("X-Amz-Target"), body, err)
	}
	function := strings.TrimPrefix(in.LogGroupName, "/aws/lambda/tollgate-live-")
	c.requests = append(c.requests, fmt.Sprintf("%s %s %s %d-%d", function, in.FilterPattern, in.NextToken, in.StartTime, in.EndTime))
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	pages := c.pages[function]
	if len(pages) == 0 || pages[0] == "" {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"__type":"AccessDeniedException","message":"no"}`)
		return
	}
	fmt.Fprint(w, pages[0])
	if len(pages) > 1 {
		c.pages[function] = pages[1:]
	}
}

func (c *cloudWatch) target() verb.Target {
	server := httptest.NewServer(c)
	c.t.Cleanup(server.Close)
	return verb.Target{AWS: localtest.Config(server.URL, awsclient.Options{}), QueueURL: "https://sqs/1/tollgate-live-events"}
}

// entry is a line in an answer.
func entry(ms int, text string) string {
	raw, _ := json.Marshal(text)
	return fmt.Sprintf(`{"timestamp":%d,"message":%s}`, ms, raw)
}

// TestSearch follows tokens over empty pages, and reads no line of another form or event.
func TestSearch(t *testing.T) {
	c := &cloudWatch{t: t, pages: map[string][]string{
		"ingest": {
			`{"events":[],"nextToken":"a"}`,
			`{"events":[` + entry(2000, `{"message":"delivery","event_id":"evt_1","outcome":"enqueued","endpoint":"connect","verified_by":"1","message_id":"m-1","request_id":"r-1"}`) + `],"nextToken":"b"}`,
			`{"events":[` + entry(1000, `{"message":"delivery","event_id":"evt_1","outcome":"failed","endpoint":"connect","error":"SQS is down","request_id":"r-0"}`) + `,` +
				entry(1, `not JSON evt_1`) + `,` + entry(2, `{"message":"delivery","event_id":"evt_10"}`) + `,` + entry(3, `{"message":"other","event_id":"evt_1"}`) + `,` +
				entry(4, `{"message":"delivery","event_id":["evt_1"]}`) + `]}`,
		},
		"consumer": {`{"events":[` + entry(3000, `{"message":"event","event_id":"evt_1","outcome":"failed","attempt":1,"receives":1,"handler_ms":40,"retry_in_ms":30000,"error":"no row","message_id":"m-1"}`) + `]}`},
	}}
	at := func(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
	took, wait := int64(40), int64(30000)
	want := Logged{
		From: at(500), Until: at(9000),
		Deliveries: []Delivery{
			{At: at(1000), Endpoint: "connect", Outcome: "failed", Error: "SQS is down", RequestID: "r-0"},
			{At: at(2000), Endpoint: "connect", Outcome: "enqueued", VerifiedBy: "1", MessageID: "m-1", RequestID: "r-1"},
		},
		Receives: []Receive{{At: at(3000), Outcome: "failed", Error: "no row", Attempt: 1, Receives: 1, Millis: &took, RetryIn: &wait, MessageID: "m-1"}},
	}
	got, err := Search(t.Context(), c.target(), "evt_1", at(500), at(9000))
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if diff := cmp.Diff([]string{
		`ingest { $.event_id = "evt_1" }  500-9000`, `ingest { $.event_id = "evt_1" } a 500-9000`, `ingest { $.event_id = "evt_1" } b 500-9000`,
		`consumer { $.event_id = "evt_1" }  500-9000`,
	}, c.requests); diff != "" {
		t.Error(diff)
	}
}

// TestSearchIsBounded: a log that never ends is not read to the end, a refusal says what to do, and
// an id that is no event's never becomes a part of a pattern.
func TestSearchIsBounded(t *testing.T) {
	c := &cloudWatch{t: t, pages: map[string][]string{"ingest": {`{"events":[],"nextToken":"again"}`}, "consumer": {`{"events":[]}`}}}
	target := c.target()
	got, err := Search(t.Context(), target, "evt_1", time.Now(), time.Now())
	if err != nil || !got.More || len(c.requests) != maxLogPages+1 {
		t.Errorf("%+v, %v after %d requests", got, err, len(c.requests))
	}
	c.requests = nil
	for _, id := range []string{`evt_1" || $.x = "`, "", "evt_é", "evt 1", "evt_" + strings.Repeat("1", 300)} {
		if got, err := Search(t.Context(), target, id, time.Now(), time.Now()); err != nil || got.More || len(c.requests) > 0 {
			t.Errorf("%q: %+v, %v, %v", id, got, err, c.requests)
		}
	}
	c.pages["ingest"] = []string{""}
	if _, err := Search(t.Context(), target, "evt_1", time.Now(), time.Now()); err == nil || !strings.Contains(err.Error(), "/aws/lambda/tollgate-live-ingest") {
		t.Errorf("a refusal is %v", err)
	}
}

// TestAttempts joins the log's attempts with the record's last one, and counts those without trace.
func TestAttempts(t *testing.T) {
	at := time.UnixMilli(1_700_000_000_000).UTC()
	took := int64(250)
	logged := Logged{Receives: []Receive{
		{At: at, Outcome: "failed", Error: "no row 7", Attempt: 1, Millis: &took},
		{At: at.Add(time.Minute), Outcome: "busy", Attempt: 3},
		{At: at.Add(2 * time.Minute), Outcome: "duplicate"},
	}}
	for name, c := range map[string]struct {
		record   idempotency.Record
		want     string
		untraced int64
	}{
		"failed":  {idempotency.Record{State: idempotency.Failed, Attempt: 4, Err: "no plan", Reason: "handler", Updated: at.Add(time.Hour)}, "1 failed 250ms no row 7; 4 failed -1ns no plan; ", 2},
		"done":    {idempotency.Record{State: idempotency.Done, Attempt: 2, Outcome: idempotency.AlreadyApplied}, "1 failed 250ms no row 7; 2 stale -1ns ; ", 0},
		"running": {idempotency.Record{State: idempotency.Running, Attempt: 2, Updated: at, Err: "no row 7"}, "1 failed 250ms no row 7; 2 running -1ns ; ", 0},
		"history": {idempotency.Record{State: idempotency.Failed, Attempt: 3, Err: "no plan", History: []idempotency.Attempt{
			{Number: 1, Start: at, Took: time.Second, Fingerprint: "f1", Frame: "handlers.paid invoice.go:4"}, {Number: 3, Start: at, Took: 2 * time.Second, Fingerprint: "f3", Frame: "x"},
		}}, "1 failed 1s no row 7; 3 failed 2s no plan; ", 1},
		"logged": {idempotency.Record{State: idempotency.Failed, Attempt: 1, Err: "no row 7"}, "1 failed 250ms no row 7; ", 0},
		"none":   {idempotency.Record{}, "1 failed 250ms no row 7; ", 0},
	} {
		text := ""
		all, untraced := attemptsOf(c.record, logged)
		for _, a := range all {
			text += fmt.Sprintf("%d %s %v %s; ", a.Number, a.Outcome, a.Took, a.Error)
			if (a.Fingerprint == "") != (a.Error == "") || (a.Frame == "") != (name != "history") {
				t.Errorf("%s: fingerprint %q, frame %q of %q", name, a.Fingerprint, a.Frame, a.Error)
			}
		}
		if text != c.want || untraced != c.untraced {
			t.Errorf("%s: %q and %d without trace, want %q and %d", name, text, untraced, c.want, c.untraced)
		}
	}
}

// FuzzLine: a line of any form adds at most one delivery or receive, of the event that is searched.
func FuzzLine(f *testing.F) {
	f.Add(`{"message":"delivery","event_id":"evt_1","outcome":"enqueued"}`)
	f.Add(`{"message":"event","event_id":"evt_1","attempt":-1,"handler_ms":9223372036854775807}`)
	f.Add(`{"message":"event","event_id":"evt_1","attempt":"1"}`)
	f.Fuzz(func(t *testing.T, text string) {
		var l Logged
		l.add(time.UnixMilli(1), []byte(text), "evt_1")
		if n := len(l.Deliveries) + len(l.Receives); n > 1 || n == 1 && !strings.Contains(text, "evt_1") && json.Valid([]byte(text)) && !strings.Contains(text, `\`) {
			t.Errorf("%q added %+v", text, l)
		}
		s := Story{Log: l}
		s.Attempts, s.Untraced = attemptsOf(idempotency.Record{Attempt: 2}, l)
		s.moments(time.UnixMilli(2))
	})
}
