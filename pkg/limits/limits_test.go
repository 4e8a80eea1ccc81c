package limits_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"tollgate/pkg/limits"
)

func TestValidateHolds(t *testing.T) {
	if err := limits.AWS().Validate(); err != nil {
		t.Errorf("AWS: %v", err)
	}
	for n := 2; n <= limits.MaxTimeScale; n++ {
		if err := limits.Scaled(n).Validate(); err != nil {
			t.Errorf("scaled by %d: %v", n, err)
		}
	}
}

// TestValidateNames breaks each relation alone: the report names it and nothing else.
func TestValidateNames(t *testing.T) {
	tests := []struct {
		name   string
		change func(*limits.Limits)
		want   string
	}{
		{"no time scale", func(l *limits.Limits) { l.TimeScale = 0 }, "time scale 0 "},
		{"no tolerance", func(l *limits.Limits) { l.Tolerance = 0 }, "tolerance 0s is not over 0"},
		{"no ingest timeout", func(l *limits.Limits) { l.IngestTimeout = 0 }, "ingest timeout 0s is not over 0\n2.4s for sending does not fit ingest's timeout 0s with a first fetch of secrets and another of 500ms\ntwo tries"},
		{"no time for a try", func(l *limits.Limits) { l.SendTry = 0 }, "send try 0s"},
		{"no time to send", func(l *limits.Limits) { l.SendBudget = 0 }, "send budget 0s is not over 0\ntwo tries"},
		{"no pause before a send", func(l *limits.Limits) { l.SendPause = 0 }, "send pause 0s"},
		{"no time to fetch secrets", func(l *limits.Limits) { l.SecretTry = 0 }, "secret try 0s"},
		{"no time for a call", func(l *limits.Limits) { l.CallTry = 0 }, "call try 0s"},
		{"no time for Stripe", func(l *limits.Limits) { l.StripeTry = 0 }, "Stripe try 0s"},
		{"no secret TTL", func(l *limits.Limits) { l.SecretTTL = 0 }, "secret TTL 0s"},
		{"no secret refetch", func(l *limits.Limits) { l.SecretRefetch = -1 }, "secret refetch -1ns"},
		{"no secret deadline", func(l *limits.Limits) { l.SecretDeadline = 0 }, "secret deadline 0s"},
		{"no handler budget", func(l *limits.Limits) { l.HandlerBudget = 0 }, "handler budget 0s is not over 0\na request to Stripe"},
		{"no record budget", func(l *limits.Limits) { l.RecordBudget = 0 }, "record budget 0s is not over 0\n3 tries"},
		{"no grace", func(l *limits.Limits) { l.HandlerGrace = 0 }, "handler grace 0s"},
		{"no back-off", func(l *limits.Limits) { l.BackoffBase = 0 }, "back-off base 0s"},
		{"no shortest wait", func(l *limits.Limits) { l.MinDelay = 0 }, "min delay 0s"},
		{"no slack", func(l *limits.Limits) { l.LeaseSlack = 0 }, "lease slack 0s"},
		{"no margin", func(l *limits.Limits) { l.TakeOverMargin = 0 }, "take-over margin 0s"},
		{"no reconcile slice", func(l *limits.Limits) { l.Reconcile.Slice = 0 }, "a time of reconcile"},
		{"one reconcile at once", func(l *limits.Limits) { l.Reconcile.Reserved = 1 }, "reserved reconcile concurrency 1"},
		{"a long outbox", func(l *limits.Limits) { l.Reconcile.OutboxTime = time.Minute }, "a run of the outbox sends for 1m0s"},
		{"a pass cut by its timeout", func(l *limits.Limits) { l.Reconcile.StopAfter = l.Reconcile.Timeout }, "reconcile stops after 15m0s"},
		{"windows that abut", func(l *limits.Limits) { l.Reconcile.Nightly.Span = 24 * time.Hour }, "nightly reconcile looks back 24h"},
		{"a lag over the overlap", func(l *limits.Limits) { l.Reconcile.SettleLag = 3 * time.Hour }, "frequent reconcile looks back 3h"},
		{"stuck while it waits", func(l *limits.Limits) { l.Reconcile.StuckAge = time.Hour }, "a record counts as stuck after 1h"},
		{"no sends", func(l *limits.Limits) { l.Reconcile.MaxSends = 0 }, "reconcile sends nothing"},
		{"no try to send", func(l *limits.Limits) { l.SendTries = 0 }, "send tries 0"},
		{"no handler run", func(l *limits.Limits) { l.HandlerRuns = 0 }, "handler runs 0"},
		{"no ingest concurrency", func(l *limits.Limits) { l.ReservedIngest = 0 }, "reserved ingest concurrency 0"},
		{"sending over the ingest timeout", func(l *limits.Limits) { l.SendBudget = 4 * time.Second }, "4s for sending does not fit ingest's timeout 5s with a first fetch of secrets and another of 500ms\ntwo tries"},
		{"no time for a second send", func(l *limits.Limits) { l.SendTry = 1200 * time.Millisecond }, "two tries of 1.2s and a pause"},
		{"no time for the first fetch of secrets", func(l *limits.Limits) { l.SecretDeadline = 1300 * time.Millisecond }, "2.4s for sending does not fit ingest's timeout 5s with a first fetch of secrets and another of 1.3s\ntwo tries"},
		{"no time for a second fetch of secrets", func(l *limits.Limits) { l.SecretTry = 800 * time.Millisecond }, "two tries of 800ms exceed the first fetch's"},
		{"no time for a second call", func(l *limits.Limits) { l.CallTry = time.Second }, "3 tries of 1s and their pauses exceed"},
		{"Stripe over the handler's budget", func(l *limits.Limits) { l.StripeTry = 7500 * time.Millisecond }, "a request to Stripe of 7.5s leaves"},
		{"a call over reconcile's rest", func(l *limits.Limits) { l.Reconcile.StopAfter = l.Reconcile.Timeout - 30*time.Second }, "a call of 3 tries exceeds"},
		{"consumer budgets over its timeout", func(l *limits.Limits) { l.HandlerBudget = 27 * time.Second }, "handler budget 27s + grace"},
		{"a negative rate at Stripe", func(l *limits.Limits) { l.StripeRate = -1 }, "the rate of requests to Stripe -1"},
		{"no rate of lists", func(l *limits.Limits) { l.Reconcile.ListRate = 0 }, "a pass makes 0 requests"},
		{"no batch", func(l *limits.Limits) { l.BatchSize, l.BatchConcurrency = 0, 0 }, "batch size 0 is not 1 to 10\nbatch concurrency 0"},
		{"batch over SQS's bound", func(l *limits.Limits) { l.BatchSize = 11 }, "batch size 11"},
		{"no batch concurrency", func(l *limits.Limits) { l.BatchConcurrency = 0 }, "batch concurrency 0"},
		{"batch concurrency over the batch", func(l *limits.Limits) { l.BatchConcurrency = 11 }, "batch concurrency 11"},
		{"missed later than a message can wait", func(l *limits.Limits) { l.MissedAfter = l.MaxVisibility + 1 }, "missed after 15m0.000000001s"},
		{"suspect at once", func(l *limits.Limits) { l.SuspectReceives = 1 }, "suspect from receive 1"},
		{"mapping over the reservation", func(l *limits.Limits) { l.MaxConcurrency = 51 }, "mapping concurrency 51"},
		{"mapping under SQS's least", func(l *limits.Limits) { l.MaxConcurrency = 1 }, "mapping concurrency 1 "},
		{"record gone before a copy", func(l *limits.Limits) { l.RecordTTL = 62 * 24 * time.Hour }, "record TTL 1488h"},
		{"visibility under six timeouts", func(l *limits.Limits) { l.Visibility = 179 * time.Second }, "visibility 2m59s is under 6"},
		{"visibility with a batch window", func(l *limits.Limits) { l.BatchWindow = time.Second }, "visibility 3m0s is under 6"},
		{"visibility under a lease", func(l *limits.Limits) { l.TakeOverMargin = 148 * time.Second }, "visibility 3m0s ends before a lease"},
		{"wait for a lease under the lease", func(l *limits.Limits) { l.MaxVisibility, l.MissedAfter = 37*time.Second, 37*time.Second }, "max visibility 37s"},
		{"wait for a lease over SQS's bound", func(l *limits.Limits) { l.MaxVisibility = 12*time.Hour + 1 }, "max visibility 12h"},
		{"cap under its base", func(l *limits.Limits) { l.BackoffCap = 29 * time.Second }, "back-off cap 29s"},
		{"cap over SQS's bound", func(l *limits.Limits) {
			l.BackoffCap, l.MaxReceives, l.Reconcile.StuckAge = 12*time.Hour+1, 3, 24*time.Hour
		}, "back-off cap 12h"},
		{"one receive", func(l *limits.Limits) { l.MaxReceives = 1 }, "max receives 1 "},
		{"receives over SQS's bound", func(l *limits.Limits) { l.MaxReceives, l.BackoffCap = 1001, 30*time.Second }, "max receives 1001"},
		{"back-off over the retention", func(l *limits.Limits) { l.MaxReceives = 110 }, "110 receives take"},
		{"DLQ retention as the source's", func(l *limits.Limits) { l.DLQRetention = l.SourceRetention }, "DLQ retention 96h"},
		{"a hold queue that forgets as early as the source", func(l *limits.Limits) { l.HoldRetention = l.SourceRetention }, "the hold queue keeps a message for 96h"},
		{"pauses that are never read again", func(l *limits.Limits) { l.PauseAge = l.PauseStale + 1 }, "pauses are read again after 1m0.000000001s"},
		{"an outbox that overtakes the consumer", func(l *limits.Limits) { l.Reconcile.OutboxMinAge = l.ConsumerTimeout }, "messages are sent again after 30s"},
		{"no slack of a delivery's lease", func(l *limits.Limits) { l.Sender.Slack = 0 }, "lease slack of a delivery 0s"},
		{"no back-off of a delivery", func(l *limits.Limits) { l.Sender.BackoffBase = 0 }, "back-off base of a delivery 0s"},
		{"a breaker that never opens", func(l *limits.Limits) { l.Sender.BreakerOpen = 0 }, "breaker's open time 0s"},
		{"a destination's state that is always read", func(l *limits.Limits) { l.Sender.StateTTL = 0 }, "time to live of a destination's state 0s"},
		{"no attempt fits", func(l *limits.Limits) { l.Sender.Timeout = 34 * time.Second }, "an attempt of 20s with three records of 3s"},
		{"a delivery's back-off over SQS's bound", func(l *limits.Limits) { l.Sender.BackoffCap = 12*time.Hour - 59*time.Second }, "the back-off of deliveries 5s to 11h59m1s"},
		{"receives that end before a destination is disabled", func(l *limits.Limits) { l.Sender.WaitCap = 11 * time.Minute }, "1000 receives every 11m0s"},
		{"failures that never count together", func(l *limits.Limits) { l.Sender.FailureGap = 11 * time.Hour }, "a destination is disabled after 120h0m0s"},
		{"deliveries that are lost before their retries end", func(l *limits.Limits) { l.Sender.MaxAge = 5 * 24 * time.Hour }, "deliveries are kept for 240h0m0s"},
		{"a delivery's row gone before its job", func(l *limits.Limits) { l.Sender.RowTTL = 24 * 24 * time.Hour }, "a delivery's row lives for 576h0m0s"},
		{"DLQ retention over SQS's bound", func(l *limits.Limits) { l.DLQRetention++ }, "DLQ retention 336h"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := limits.AWS()
			tt.change(&l)
			err := l.Validate()
			if err == nil {
				t.Fatal("no error")
			}
			if !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("%q, want %q…", err, tt.want)
			}
			if got, want := strings.Count(err.Error(), "\n"), strings.Count(tt.want, "\n"); got != want {
				t.Errorf("reports more than the broken relation: %q", err)
			}
		})
	}
}

// TestValidateReportsAll breaks all relations at once.
func TestValidateReportsAll(t *testing.T) {
	err := limits.Limits{}.Validate()
	if err == nil || strings.Count(err.Error(), "\n") < 25 {
		t.Errorf("the zero Limits: %v", err)
	}
}

func TestScaled(t *testing.T) {
	for _, n := range []int{-3, 0, 1} {
		if limits.Scaled(n) != limits.AWS() {
			t.Errorf("scaled by %d is not AWS", n)
		}
	}
	l := limits.Scaled(60)
	if l.TimeScale != 60 || l.Visibility != 3*time.Second || l.Backoff(16) != time.Minute || l.DLQRetention != 336*time.Minute {
		t.Errorf("scaled by 60: %+v", l)
	}
	if a := limits.AWS(); l.Tolerance != a.Tolerance || l.IngestTimeout != a.IngestTimeout || l.SendTry != a.SendTry ||
		l.SecretTTL != a.SecretTTL || l.RecordTTL != a.RecordTTL || l.MaxReceives != a.MaxReceives {
		t.Errorf("scaled by 60 divides other times than the queue's: %+v", l)
	}
}

// TestBackground: reconcile's rates follow the time scale, within the account's rate.
func TestBackground(t *testing.T) {
	for _, c := range []struct{ scale, rate, perSecond, want int }{
		{1, 25, 5, 5}, {1, 3, 5, 3}, {1, 0, 5, 5}, {10, 25, 2, 20}, {10, 25, 5, 25}, {10, 0, 5, 50},
	} {
		l := limits.Scaled(c.scale)
		l.StripeRate = c.rate
		if got := l.Background(c.perSecond); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
}

// TestMapping: the processes of a group make about as many attempts at once as it allows, and
// each batch runs whole.
func TestMapping(t *testing.T) {
	for concurrency, want := range map[int][2]int{1: {2, 1}, 2: {2, 1}, 3: {2, 1}, 5: {2, 2}, 20: {2, 10}, 21: {3, 7}, 25: {3, 8}, 100: {10, 10}} {
		if processes, batch := limits.AWS().Sender.Mapping(concurrency); processes != want[0] || batch != want[1] {
			t.Errorf("%d at once: %d processes with batches of %d, want %v", concurrency, processes, batch, want)
		}
	}
}

func TestBackoff(t *testing.T) {
	l := limits.AWS()
	for n, want := range map[int]time.Duration{
		math.MinInt: 30 * time.Second, -1: 30 * time.Second, 0: 30 * time.Second, 1: 30 * time.Second,
		2: time.Minute, 3: 2 * time.Minute, 7: 32 * time.Minute, 8: time.Hour, 9: time.Hour, math.MaxInt: time.Hour,
	} {
		if got := l.Backoff(n); got != want {
			t.Errorf("after %d receives: %v, want %v", n, got, want)
		}
	}
	l.BackoffBase = 2 * time.Hour
	if got := l.Backoff(1); got != time.Hour {
		t.Errorf("a base over the cap: %v", got)
	}
	l.BackoffBase, l.BackoffCap = 0, 0
	if got := l.Backoff(math.MaxInt); got != 0 {
		t.Errorf("no back-off: %v", got)
	}
}

// TestLastReceive: an outage of 8 h dead-letters no event. With waits of 0.9 to 1 times
// Backoff the last receive is 8.15 to 9.06 h after the first.
func TestLastReceive(t *testing.T) {
	l := limits.AWS()
	if l.MaxReceives != 16 {
		t.Fatalf("max receives is %d", l.MaxReceives)
	}
	var sum time.Duration
	for n := 1; n < l.MaxReceives; n++ {
		sum += l.Backoff(n)
	}
	least, most := (sum * 9 / 10).Hours(), sum.Hours()
	if least < 8.15 || most > 9.06 {
		t.Errorf("receive 16 comes %.3f to %.3f h after the first", least, most)
	}
}

func TestSizes(t *testing.T) {
	if limits.MaxMessage >= limits.MaxQueueRequest {
		t.Error("a message leaves no room for its attributes")
	}
	if wire := limits.MaxBody * 4 / 3; wire >= 6_000_000 {
		t.Errorf("the largest body takes %d bytes of an invocation in base64", wire)
	}
}
