//go:build unix

package e2e_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"tollgate/pkg/limits"
	"tollgate/pkg/queue"
	"tollgate/pkg/verify"
)

// fastScale is a time scale that turns hours of back-off into seconds, and still leaves enough
// time for a write on a busy machine.
const fastScale = 12

func failureArgs(more ...string) []string {
	return append(append(trials(), "--time-scale", strconv.Itoa(fastScale)), more...)
}

func skipSlow(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("skipped in short mode: it takes half a minute of back-off")
	}
}

func TestAHandlerThatFailsTwiceThenWorks(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), failureArgs()...)
	s.enqueue(trial("twice", "fails_twice"))
	record := s.becomesDone("twice")
	st := s.story("twice")
	// A claim whose answer a busy machine gives too late counts as an attempt in which no handler ran.
	late := len(s.log.lines("event_id=evt_twice", "outcome=store_down"))
	if st.Attempt < 3 || st.Attempt > 3+late || st.Fails < 2-late || st.Fails > 2 || len(st.Effects) != 1 {
		t.Errorf("story %+v, want done at attempt 3 after 2 failures, one effect (%d late claims)", st, late)
	}
	if want := fmt.Sprintf("attempt %d is too early", st.Fails); late == 0 && st.Error != want {
		t.Errorf("the record's error is %q, want the last failure's, %q", st.Error, want)
	}
	if facts := s.items("FACT#test#-#in_twice#trial#"); len(facts) != 1 {
		t.Errorf("facts %v, want one", facts)
	}

	// The back-off is visible in the log, and it was kept.
	l := limits.Scaled(fastScale)
	least := int64(0)
	for n, line := range s.log.lines("event_id=evt_twice", "outcome=failed") {
		_, after, _ := strings.Cut(line, "retry_in_ms=")
		ms, _, _ := strings.Cut(after, " ")
		wait, err := strconv.ParseInt(ms, 10, 64)
		most := l.Backoff(n + 1).Milliseconds()
		if err != nil || wait > most || wait < most*9/10-1 {
			t.Errorf("failure %d is logged as %q, want a wait of 0.9 to 1 of %d ms", n+1, line, most)
		}
		least += wait
	}
	first, _ := strconv.ParseInt(record["first_at"], 10, 64)
	done, _ := strconv.ParseInt(record["done_at"], 10, 64)
	if least == 0 || done-first < least {
		t.Errorf("done %d ms after the first attempt, before its back-off of %d ms was over", done-first, least)
	}
}

// TestWhatNeverWorksEndsInTheDLQ: an error, a panic and a handler that does not return exhaust
// their retries, a permanent error is not retried; other events are done.
func TestWhatNeverWorksEndsInTheDLQ(t *testing.T) {
	skipSlow(t)
	t.Parallel()
	s := start(t, t.TempDir(), failureArgs("--max-receives", "4")...)
	bad := []string{"fails", "panics", "refuses", "hangs"}
	for n, handler := range bad {
		s.enqueue(trial(handler, handler))
		s.enqueue(trial(fmt.Sprint("other", n), "works"))
	}
	s.inDLQ(len(bad))
	for n := range bad {
		if st := s.story(fmt.Sprint("other", n)); st.Status != "done" {
			t.Errorf("event in a batch with failures: %+v, want it done", st)
		}
	}
	for id, want := range map[string]string{"fails": "the ledger says no", "panics": "handler panicked: out of cheese", "refuses": "this invoice is in no currency"} {
		if st := s.story(id); st.Status != "dead" || !strings.Contains(st.Error, want) || len(st.Effects) != 0 {
			t.Errorf("%s: %+v, want it dead of %q without effects", id, st, want)
		}
	}

	groups := s.groups()
	for typ, want := range map[string]struct {
		reason, err string
		most        int
	}{
		"trial.fails":   {"max_receives", "the ledger says no", 4},
		"trial.panics":  {"max_receives", "handler panicked: out of cheese", 4},
		"trial.hangs":   {"max_receives", "", 4},
		"trial.refuses": {"handler", "this invoice is in no currency", 1},
	} {
		g := groups[typ]
		if g.Count != 1 || g.Reason != want.reason || !strings.Contains(g.Error, want.err) || g.Attempts < 1 || g.Attempts > want.most {
			t.Errorf("dead letters of %s: %+v, want one with %+v", typ, g, want)
		}
	}
	if facts := s.items("FACT#"); len(facts) != len(bad) {
		t.Errorf("%d facts, want those of the %d good neighbours", len(facts), len(bad))
	}
}

// TestKillerMessageLeavesItsBatchAlone: one message of a batch ends the process; the nine
// others are done, and only it goes to the dead-letter queue.
func TestKillerMessageLeavesItsBatchAlone(t *testing.T) {
	skipSlow(t)
	t.Parallel()
	s := start(t, t.TempDir(), append(trials(), "--time-scale", "30", "--max-receives", "5", "--consumers", "1")...)
	batch := []types.SendMessageBatchRequestEntry{s.entry(trial("killer", "exits"))}
	for n := range 9 {
		batch = append(batch, s.entry(trial(fmt.Sprint("neighbour", n), "works")))
	}
	out, err := s.queues().SendMessageBatch(t.Context(), &sqs.SendMessageBatchInput{QueueUrl: &s.info.QueueURL, Entries: batch})
	if err != nil || len(out.Successful) != len(batch) {
		t.Fatalf("send batch: %v, %+v", err, out)
	}
	s.inDLQ(1)
	if g := s.groups()["trial.exits"]; g.Count != 1 || g.EventID != "evt_killer" || g.Attempts < 4 {
		t.Errorf("dead letters of the killer: %+v, want one of 5 attempts or 4", g)
	}
	for n := range 9 {
		if st := s.story(fmt.Sprint("neighbour", n)); st.Status != "done" || len(st.Effects) != 1 {
			t.Errorf("neighbour %+v, want it done with one effect", st)
		}
	}
	if facts := s.items("FACT#"); len(facts) != 9 {
		t.Errorf("%d facts, want 9", len(facts))
	}
}

// entry is an event's message as ingest sends it.
func (s *system) entry(body []byte) types.SendMessageBatchRequestEntry {
	s.t.Helper()
	text, id := message(s, body)
	return types.SendMessageBatchRequestEntry{Id: aws.String(id), MessageBody: &text}
}

func message(s *system, body []byte) (text, eventID string) {
	s.t.Helper()
	got, err := verify.Delivery(body, deliveryHeaders(body, s.info.Secret)["Stripe-Signature"], verify.Options{
		Endpoint: "default", Secrets: []string{s.info.Secret}, Tolerance: limits.AWS().Tolerance,
	})
	must(s.t, err)
	if text, err = queue.Encode(got.Envelope); err != nil {
		s.t.Fatal(err)
	}
	return text, got.Envelope.ID
}
