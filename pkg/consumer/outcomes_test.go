package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tollgate/pkg/consumer"
	"tollgate/pkg/dispatch"
	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/limits"
	"tollgate/pkg/policy"
	"tollgate/pkg/queue"
)

// want is what the queue must be told about one message.
type want struct {
	acked  bool
	delay  time.Duration // of a message that comes back; jitter is fixed at its middle
	calls  []string
	reason string // of the permanent failure in the record
	failed bool   // a transient failure is in the record
	done   idempotency.Outcome
	err    error

	unclaimed bool   // no record is read or written
	parked    string // reason of the dead letter without a record
}

// TestOutcomes has a row for every outcome that a message can have: what the queue is
// told, in which order, and for how long the message stays hidden.
func TestOutcomes(t *testing.T) {
	boom := errors.New("boom 42")
	failing := func(err error) handlers {
		return func(context.Context, dispatch.Input) (dispatch.Effects, error) { return nil, err }
	}
	after := func(lease time.Duration) time.Time {
		if lease == 0 {
			return time.Time{}
		}
		return time.Now().Add(lease)
	}
	claimAnswers := func(res idempotency.ClaimResult, err error) func(*bundle) {
		return func(b *bundle) {
			b.store.claim = func(idempotency.ClaimRequest) (idempotency.ClaimResult, error) { return res, err }
		}
	}
	claims := func(v idempotency.ClaimVerdict, lease time.Duration) func(*bundle) {
		return func(b *bundle) { claimAnswers(idempotency.ClaimResult{Verdict: v, Lease: after(lease)}, nil)(b) }
	}
	completes := func(v idempotency.CompleteVerdict, lease time.Duration, err error) func(*bundle) {
		return func(b *bundle) {
			b.store.complete = func(*idempotency.Claim, dispatch.Effects) (idempotency.CompleteResult, error) {
				return idempotency.CompleteResult{Verdict: v, Err: err, Lease: after(lease)}, nil
			}
		}
	}
	completeFails := func(err error) func(*bundle) {
		return func(b *bundle) {
			b.store.complete = func(*idempotency.Claim, dispatch.Effects) (idempotency.CompleteResult, error) {
				return idempotency.CompleteResult{}, err
			}
		}
	}
	fails := func(v idempotency.FailVerdict) func(*bundle) {
		return func(b *bundle) {
			b.store.fail = func(idempotency.Failure) (idempotency.FailResult, error) {
				return idempotency.FailResult{Verdict: v, Lease: time.Now().Add(20 * time.Second)}, nil
			}
		}
	}
	const firstBackoff = 28500 * time.Millisecond // the middle of its jitter
	dead := []string{"dead m1"}
	cases := []struct {
		name     string
		handler  handlers // default succeed
		with     func(*bundle)
		receives int
		change   func(*event.Envelope)
		want     want
	}{
		{name: "completed is acknowledged", want: want{acked: true, done: idempotency.Applied}},
		{name: "no handler completes as ignored", change: func(e *event.Envelope) { e.Type = "unhandled" }, want: want{acked: true, done: idempotency.Ignored}},
		{name: "duplicate is acknowledged", with: claims(idempotency.Duplicate, 0), want: want{acked: true}},
		{name: "busy comes back after the other lease, the margin and a jitter", with: claims(idempotency.Busy, 20*time.Second), want: want{delay: 27500 * time.Millisecond}},
		{name: "busy with an unknown lease comes back after a second", with: claims(idempotency.Busy, 0), want: want{delay: time.Second}},
		{name: "busy with a far lease comes back after 900 s", with: claims(idempotency.Busy, 2*time.Hour), want: want{delay: 900 * time.Second}},
		{name: "superseded by a done attempt is acknowledged", with: completes(idempotency.SupersededDone, 0, nil), want: want{acked: true}},
		{name: "superseded comes back after the later lease", with: completes(idempotency.Superseded, 10*time.Second, nil), want: want{delay: 17500 * time.Millisecond}},
		{name: "unknown completion comes back after its own lease", with: completeFails(idempotency.ErrUnknown),
			want: want{delay: 39500 * time.Millisecond, err: consumer.ErrInfrastructure}},
		{name: "transient failure is recorded and backs off", handler: failing(boom), receives: 1, want: want{delay: firstBackoff, failed: true}},
		{name: "the back-off doubles with each receive", handler: failing(boom), receives: 4, want: want{delay: 228 * time.Second, failed: true}},
		{name: "the back-off ends at an hour", handler: failing(boom), receives: 12, want: want{delay: 57 * time.Minute, failed: true}},
		{name: "RetryAfter sets the delay", handler: failing(dispatch.RetryAfter(90*time.Second, boom)), want: want{delay: 90 * time.Second, failed: true}},
		{name: "RetryAfter is at least a second", handler: failing(dispatch.RetryAfter(-5, boom)), want: want{delay: time.Second, failed: true}},
		{name: "RetryAfter is at most an hour", handler: failing(dispatch.RetryAfter(48*time.Hour, boom)), want: want{delay: time.Hour, failed: true}},
		{name: "NotBefore sets a delay over the back-off", handler: failing(fmt.Errorf("fetch: %w", dispatch.NotBefore(90*time.Second, boom))), want: want{delay: 90 * time.Second, failed: true}},
		{name: "NotBefore does not shorten the back-off", handler: failing(dispatch.NotBefore(time.Second, boom)), receives: 4, want: want{delay: 228 * time.Second, failed: true}},
		{name: "NotBefore is at most an hour", handler: failing(dispatch.NotBefore(48*time.Hour, boom)), want: want{delay: time.Hour, failed: true}},
		{name: "a panic is a transient failure", handler: failing(&dispatch.PanicError{Value: "oops"}), want: want{delay: firstBackoff, failed: true}},
		{name: "permanent failure: record, copy, then acknowledge", handler: failing(dispatch.Permanent(boom)),
			want: want{acked: true, calls: dead, reason: dispatch.ReasonHandler}},
		{name: "a park keeps its reason", handler: failing(dispatch.Park(dispatch.ReasonAPIVersion, boom)),
			want: want{acked: true, calls: dead, reason: dispatch.ReasonAPIVersion}},
		{name: "without the copy a permanent failure comes back", handler: failing(dispatch.Permanent(boom)), with: func(b *bundle) { b.queue.deadErr = boom },
			want: want{delay: firstBackoff, calls: dead, reason: dispatch.ReasonHandler, err: consumer.ErrInfrastructure}},
		{name: "a copy that the queue refuses is not a fault of the queue", handler: failing(dispatch.Permanent(boom)),
			with: func(b *bundle) { b.queue.deadErr = queue.ErrRefused }, want: want{delay: firstBackoff, calls: dead, reason: dispatch.ReasonHandler}},
		{name: "a permanent failure that the record refuses makes no copy", handler: failing(dispatch.Permanent(boom)), with: fails(idempotency.FailSuperseded),
			want: want{delay: 27500 * time.Millisecond, reason: dispatch.ReasonHandler}},
		{name: "a failure after the event was done is acknowledged", handler: failing(boom), with: fails(idempotency.FailDone), want: want{acked: true, failed: true}},
		{name: "a failure that cannot be written makes no copy and no acknowledgement", handler: failing(dispatch.Permanent(boom)),
			with: func(b *bundle) {
				b.store.fail = func(idempotency.Failure) (idempotency.FailResult, error) {
					return idempotency.FailResult{}, idempotency.ErrStoreDown
				}
			},
			want: want{delay: firstBackoff, reason: dispatch.ReasonHandler, err: consumer.ErrInfrastructure}},
		{name: "a permanent failure without an error of its own", handler: failing(dispatch.Permanent(nil)),
			want: want{acked: true, calls: dead, reason: dispatch.ReasonHandler}},
		{name: "RetryAfter without an error of its own", handler: failing(dispatch.RetryAfter(90*time.Second, nil)), want: want{delay: 90 * time.Second, failed: true}},
		{name: "a refused check means its own error", with: completes(idempotency.CheckRefused, 0, dispatch.Permanent(boom)),
			want: want{acked: true, calls: dead, reason: dispatch.ReasonHandler}},
		{name: "rejected effects are permanent", with: completes(idempotency.Rejected, 0, boom), want: want{acked: true, calls: dead, reason: dispatch.ReasonRejected}},
		{name: "a corrupt id is dead-lettered without a record", with: claims(idempotency.Corrupt, 0), want: want{acked: true, calls: dead}},
		{name: "without the copy a corrupt id comes back", with: func(b *bundle) { claims(idempotency.Corrupt, 0)(b); b.queue.deadErr = boom }, receives: 4,
			want: want{delay: 228 * time.Second, calls: dead, err: consumer.ErrInfrastructure}},
		{name: "store down is never a duplicate", with: claimAnswers(idempotency.ClaimResult{}, fmt.Errorf("%w: throttled", idempotency.ErrStoreDown)),
			want: want{delay: firstBackoff, err: consumer.ErrInfrastructure}},
		{name: "store down while completing", with: completeFails(idempotency.ErrStoreDown), want: want{delay: firstBackoff, err: consumer.ErrInfrastructure}},
		{name: "a broken record is a dead letter of its own",
			with: claimAnswers(idempotency.ClaimResult{Verdict: idempotency.Corrupt, Err: &idempotency.BrokenError{ID: "evt_1", Text: "boom"}}, nil),
			want: want{acked: true, calls: dead, parked: dispatch.ReasonCorrupt}},
		{name: "an event of another mode is parked without a record", with: policies(policy.Policy{Livemode: []bool{true}}),
			want: want{acked: true, calls: dead, unclaimed: true, parked: policy.ReasonLivemode}},
		{name: "an event of another account is parked without a record", with: policies(policy.Policy{Accounts: []string{""}}),
			change: func(e *event.Envelope) { e.Account = "acct_other" }, want: want{acked: true, calls: dead, unclaimed: true, parked: policy.ReasonAccount}},
		{name: "without the copy a parked event comes back", receives: 4, with: func(b *bundle) { policies(policy.Policy{Livemode: []bool{true}})(b); b.queue.deadErr = boom },
			want: want{delay: 228 * time.Second, calls: dead, unclaimed: true, err: consumer.ErrInfrastructure}},
		{name: "policy may ignore what does not fit", handler: failing(boom), with: policies(policy.Policy{Livemode: []bool{true}, OnMismatch: policy.Ignore}),
			want: want{acked: true, unclaimed: true}},
		{name: "a connected account's event of another mode is ignored by default", handler: failing(boom), with: policies(policy.Policy{Livemode: []bool{true}}),
			change: func(e *event.Envelope) { e.Account = "acct_1" }, want: want{acked: true, unclaimed: true}},
		{name: "policy is asked at every receive", handler: failing(boom), receives: 7, with: policies(policy.Policy{Livemode: []bool{true}, OnMismatch: policy.Ignore}),
			want: want{acked: true, unclaimed: true}},
		{name: "policy is asked of a replayed message", handler: failing(boom), with: policies(policy.Policy{Livemode: []bool{true}, OnMismatch: policy.Ignore}),
			change: func(e *event.Envelope) { e.Source = event.Replay }, want: want{acked: true, unclaimed: true}},
		{name: "policy is not asked for a type without a handler", handler: failing(boom), with: policies(policy.Policy{Livemode: []bool{true}}),
			change: func(e *event.Envelope) { e.Type = "unhandled" }, want: want{acked: true, done: idempotency.Ignored}},
		{name: "another endpoint's policy is not asked", with: func(b *bundle) { b.config.Policies = map[string]policy.Policy{"other": {Livemode: []bool{true}}} },
			want: want{acked: true, done: idempotency.Applied}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := setup(succeed)
				if c.handler != nil {
					b.config.Handlers = c.handler
				}
				if c.with != nil {
					c.with(b)
				}
				failed, err := b.handle(t, message(t, "1", max(c.receives, 1), c.change))
				b.check(t, c.want, failed, err)
			})
		})
	}
}

// policies gives the endpoint of all messages a policy.
func policies(p policy.Policy) func(*bundle) {
	return func(b *bundle) { b.config.Policies = map[string]policy.Policy{"default": p} }
}

// check compares the outcome of message m1.
func (b *bundle) check(t *testing.T, w want, failed []string, err error) {
	t.Helper()
	if !errors.Is(err, w.err) {
		t.Fatalf("error %v, want %v", err, w.err)
	}
	calls := w.calls
	wantFailed := []string{}
	if !w.acked {
		wantFailed = []string{"m1"}
		calls = append(calls, "visibility r1")
		if got := b.queue.visibility["r1"]; got != w.delay {
			t.Errorf("hidden for %v, want %v", got, w.delay)
		}
	}
	if diff := cmp.Diff(wantFailed, failed); err == nil && diff != "" {
		t.Errorf("failed ids (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(calls, b.queue.calls); diff != "" {
		t.Errorf("queue calls (-want +got):\n%s", diff)
	}
	switch f := b.store.failures; {
	case w.reason != "" && (len(f) != 1 || f[0].Reason != w.reason || f[0].ReceivesLeft != 0):
		t.Errorf("failures %+v, want one with reason %q and no receives left", f, w.reason)
	case w.failed && (len(f) != 1 || f[0].Reason != "" || f[0].ReceivesLeft == 0):
		t.Errorf("failures %+v, want one without a reason and with receives left", f)
	case w.reason == "" && !w.failed && len(f) != 0:
		t.Errorf("failures %+v, want nothing more written", f)
	}
	if w.unclaimed && len(b.store.claims) > 0 {
		t.Errorf("claimed %+v, want no record touched", b.store.claims)
	}
	if w.parked != "" && (len(b.queue.dead) != 1 || b.queue.dead[0].Reason != w.parked || b.queue.dead[0].Attempt != 0) {
		t.Errorf("dead letters %+v, want one of no attempt with reason %q", b.queue.dead, w.parked)
	}
	if w.done != "" && !slices.Equal(b.store.outcomes, []idempotency.Outcome{w.done}) {
		t.Errorf("completed as %v, want %s", b.store.outcomes, w.done)
	}
	if strings.Contains(b.logs.String(), "payload") {
		t.Error("the log carries the payload")
	}
}

func TestClaimCarriesTheFence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(succeed)
		start := time.Now()
		b.handle(t, message(t, "1", 3))
		got := b.store.claims[0]
		want := idempotency.ClaimRequest{
			Event: got.Event, Owner: strings.Repeat("a", 32), Now: start,
			Lease:              start.Add(32 * time.Second), // Lambda's deadline and the slack
			LeaseExpiredBefore: start.Add(-5 * time.Second), Receives: 3, ReceivesLeft: 13,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("claim (-want +got):\n%s", diff)
		}
	})
}

func TestRefusedSwapRunsTheHandlerAgain(t *testing.T) {
	for _, c := range []struct {
		name    string
		refused int
		runs    int
		acked   bool
	}{
		{"once", 1, 2, true},
		{"four times", 4, 5, true},
		{"always: a transient failure after five runs", 99, 5, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				runs := 0
				b := setup(func(context.Context, dispatch.Input) (dispatch.Effects, error) { runs++; return nil, nil })
				b.store.complete = func(*idempotency.Claim, dispatch.Effects) (idempotency.CompleteResult, error) {
					if runs <= c.refused {
						return idempotency.CompleteResult{Verdict: idempotency.SwapRefused}, nil
					}
					return idempotency.CompleteResult{Verdict: idempotency.Completed, Outcome: idempotency.Applied}, nil
				}
				failed, err := b.handle(t, message(t, "1", 1))
				if err != nil || (len(failed) == 0) != c.acked || runs != c.runs || len(b.store.claims) != 1 {
					t.Errorf("failed %v, error %v, %d runs, %d claims; want acked %v, %d runs, one claim", failed, err, runs, len(b.store.claims), c.acked, c.runs)
				}
			})
		})
	}
}

func TestUndecodableIsDeadLetteredFirst(t *testing.T) {
	b := setup(succeed)
	failed, err := b.handle(t, queue.Message{ID: "m1", Receipt: "r1", Body: `{"v":0}`, Receives: 1})
	if err != nil || len(failed) != 0 || len(b.store.claims) != 0 {
		t.Fatalf("failed %v, error %v, %d claims; want an acknowledged message and no record", failed, err, len(b.store.claims))
	}
	if len(b.queue.dead) != 1 || b.queue.dead[0].Reason != dispatch.ReasonUndecodable || len(b.queue.dead[0].Fingerprint) != 12 {
		t.Errorf("dead letters %+v, want one undecodable with a fingerprint", b.queue.dead)
	}
}

func TestUndecodableWithoutTheCopyComesBack(t *testing.T) {
	b := setup(succeed)
	b.queue.deadErr = errors.New("throttled")
	failed, err := b.handle(t, queue.Message{ID: "m1", Receipt: "r1", Body: `{"v":0}`, Receives: 1})
	b.check(t, want{delay: 28500 * time.Millisecond, calls: []string{"dead m1"}, err: consumer.ErrInfrastructure}, failed, err)
}

// TestNewerVersionWaits: a newer release's message waits an hour from its first receive on,
// leaves the record and the rest of its batch untouched; its last receive makes it a dead
// letter.
func TestNewerVersionWaits(t *testing.T) {
	last := limits.AWS().MaxReceives
	for _, c := range []struct {
		name     string
		body     string
		receives int
		deadErr  error
		want     want
	}{
		{"first receive", `{"v":2,"id":"evt_9","type":"invoice.paid"}`, 1, nil, want{delay: time.Hour}},
		{"unknown source", `{"v":1,"src":"import"}`, 1, nil, want{delay: time.Hour}},
		{"last receive but one", `{"v":2}`, last - 1, nil, want{delay: time.Hour}},
		{"last receive", `{"v":2,"id":"evt_9","type":"invoice.paid"}`, last, nil, want{acked: true, calls: []string{"dead m9"}}},
		{"last receive without the copy", `{"v":2}`, last, errors.New("throttled"), want{delay: 57 * time.Minute, calls: []string{"dead m9"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := setup(succeed)
			b.queue.deadErr = c.deadErr
			failed, err := b.handle(t, queue.Message{ID: "m9", Receipt: "r9", Body: c.body, Receives: c.receives}, message(t, "1", 1))
			if err != nil || slices.Contains(failed, "m9") == c.want.acked || slices.Contains(failed, "m1") || len(b.store.claims) != 1 {
				t.Fatalf("failed %v, error %v, %d claims; want the batch mate done alone", failed, err, len(b.store.claims))
			}
			dead := slices.DeleteFunc(slices.Clone(b.queue.calls), func(call string) bool { return !strings.HasPrefix(call, "dead") })
			if diff := cmp.Diff(c.want.calls, dead, cmpopts.EquateEmpty()); diff != "" || b.queue.visibility["r9"] != c.want.delay {
				t.Errorf("hidden for %v, want %v; calls (-want +got):\n%s", b.queue.visibility["r9"], c.want.delay, diff)
			}
			if c.want.acked && (b.queue.dead[0].Reason != dispatch.ReasonNewerVersion || b.queue.dead[0].EventID != "evt_9" || b.queue.dead[0].EventType != "invoice.paid") {
				t.Errorf("dead letter %+v, want newer_version with its event", b.queue.dead[0])
			}
			if outcome := `"outcome":"newer_version"`; c.want.calls == nil && !strings.Contains(b.logs.String(), outcome) {
				t.Errorf("no line has %s:\n%s", outcome, b.logs)
			}
		})
	}
}

// TestCopyAndRecordTellOneError: an operator finds the same words in both.
func TestCopyAndRecordTellOneError(t *testing.T) {
	b := setup(func(context.Context, dispatch.Input) (dispatch.Effects, error) {
		return nil, fmt.Errorf("book invoice: %w", dispatch.Permanent(errors.New("no such plan"+strings.Repeat(".", limits.MaxErrorText))))
	})
	if _, err := b.handle(t, message(t, "1", 1)); err != nil || len(b.store.failures) != 1 || len(b.queue.dead) != 1 {
		t.Fatalf("error %v, failures %+v, dead letters %+v", err, b.store.failures, b.queue.dead)
	}
	text := "book invoice: no such plan" + strings.Repeat(".", limits.MaxErrorText)
	record, dead := b.store.failures[0], b.queue.dead[0]
	if record.Err != text || dead.Error != text {
		t.Errorf("the record has %q, the copy %q, want %q", record.Err, dead.Error, text)
	}
	// The record keeps the beginning, from which lists take the fingerprint.
	if want := queue.Fingerprint("invoice.paid", dispatch.ReasonHandler, text[:limits.MaxErrorText]); record.Fingerprint != want || dead.Fingerprint != want {
		t.Errorf("fingerprints %s and %s, want %s", record.Fingerprint, dead.Fingerprint, want)
	}
	if !strings.HasSuffix(record.Frame, "outcomes_test.go:335") {
		t.Errorf("frame %q", record.Frame)
	}
}

func TestFetchOfIDOnlyMessage(t *testing.T) {
	body := func(id string, created int64) []byte {
		return fmt.Appendf(nil, `{"id":%q,"object":"event","type":"invoice.paid","api_version":"2026-08-26.dahlia","created":%d,"livemode":false,"data":{"object":{"id":"in_1","object":"invoice"}}}`, id, created)
	}
	for _, c := range []struct {
		name   string
		body   []byte
		err    error
		acked  bool
		reason string
	}{
		{name: "the same event", body: body("evt_1", 1_700_000_000), acked: true},
		{name: "another id", body: body("evt_2", 1_700_000_000), acked: true, reason: dispatch.ReasonCorrupt},
		{name: "another time", body: body("evt_1", 1_700_000_001), acked: true, reason: dispatch.ReasonCorrupt},
		{name: "no event", body: []byte(`{}`), acked: true, reason: dispatch.ReasonCorrupt},
		{name: "Stripe is down", err: errors.New("503")},
		{name: "no key", err: dispatch.Park(dispatch.ReasonNoAPIKey, errors.New("no key")), acked: true, reason: dispatch.ReasonNoAPIKey},
	} {
		t.Run(c.name, func(t *testing.T) {
			var seen event.Envelope
			b := setup(func(_ context.Context, in dispatch.Input) (dispatch.Effects, error) {
				seen = in.Envelope
				return nil, nil
			})
			b.config.Fetcher = fetcher(func(string) ([]byte, error) { return c.body, c.err })
			failed, err := b.handle(t, message(t, "1", 1, func(e *event.Envelope) { e.Body = nil }))
			if err != nil || (len(failed) == 0) != c.acked {
				t.Fatalf("failed %v, error %v; want acked %v", failed, err, c.acked)
			}
			var reason string
			if len(b.store.failures) > 0 {
				reason = b.store.failures[0].Reason
			}
			if reason != c.reason {
				t.Errorf("reason %q, want %q", reason, c.reason)
			}
			if c.acked && c.reason == "" && (seen.APIVersion != "2026-08-26.dahlia" || seen.Endpoint != "default" || seen.Source != event.Webhook || seen.Body == nil) {
				t.Errorf("the handler saw %+v, want the fetched event on the message's way", seen)
			}
		})
	}
}

// TestBodyOfAnotherEvent: what policy and record were decided by must be what the
// handler reads; only who may write to the queue can make them differ.
func TestBodyOfAnotherEvent(t *testing.T) {
	for name, change := range map[string]func(*event.Envelope){
		"another id":      func(e *event.Envelope) { e.ID = "evt_9" },
		"another type":    func(e *event.Envelope) { e.Type = "invoice.voided" },
		"another time":    func(e *event.Envelope) { e.Created++ },
		"another mode":    func(e *event.Envelope) { e.Livemode = true },
		"another account": func(e *event.Envelope) { e.Account = "acct_9" },
		"another object":  func(e *event.Envelope) { e.ObjectID = "in_9" },
		"another version": func(e *event.Envelope) { e.APIVersion = "2020-08-27" },
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(func(context.Context, dispatch.Input) (dispatch.Effects, error) {
				t.Error("the handler ran")
				return nil, nil
			})
			failed, err := b.handle(t, message(t, "1", 1, func(e *event.Envelope) {
				inside := *e
				change(&inside)
				e.Body = bodyOf(inside)
			}))
			if err != nil || len(failed) != 0 || len(b.store.failures) != 1 || b.store.failures[0].Reason != dispatch.ReasonCorrupt {
				t.Errorf("failed %v, error %v, failures %+v; want a dead letter for a corrupt message", failed, err, b.store.failures)
			}
		})
	}
}
