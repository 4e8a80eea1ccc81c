package consumer_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/idempotency/idempotencytest"
	"tollgate/pkg/policy"
	"tollgate/pkg/queue"
)

// inContext gives an event the account that a context names, as ingest does.
func inContext(context string) func(*event.Envelope) {
	return func(e *event.Envelope) {
		e.Body = bytes.Replace(bodyOf(*e), []byte(`"account":""`), fmt.Appendf(nil, `"context":%q`, context), 1)
		e.Account, e.AccountFrom = event.ContextAccount(context), event.FromContext
	}
}

// unnamed takes the account away, as a release does that ignores context.
func unnamed(e *event.Envelope) { e.Account, e.AccountFrom = "", event.FromAccount }

func idOnly(e *event.Envelope) { e.Body = nil }

// ran notes the accounts that a handler ran for.
type ran []string

func (r *ran) handle(_ context.Context, in dispatch.Input) (dispatch.Effects, error) {
	*r = append(*r, in.Account)
	return dispatch.Effects{dispatch.Insert("FACT#"+in.Account, nil)}, nil
}

// TestAccountFromContext: the handler gets the account of the event's context, from messages of
// this release and of one that ignored context, with and without a body.
func TestAccountFromContext(t *testing.T) {
	takes := func(accounts ...string) map[string]policy.Policy {
		return map[string]policy.Policy{"default": {Accounts: accounts}}
	}
	for _, c := range []struct {
		name     string
		context  string
		then     []func(*event.Envelope)
		policies map[string]policy.Policy
		ran      ran
		parked   string
		attempt  int64
	}{
		{name: "an account", context: "acct_1", ran: ran{"acct_1"}},
		{name: "an organisation's account", context: "org_1/acct_1", ran: ran{"acct_1"}},
		{name: "id-only", context: "org_1/acct_1", then: []func(*event.Envelope){idOnly}, ran: ran{"acct_1"}},
		{name: "of an older release", context: "org_1/acct_1", then: []func(*event.Envelope){unnamed}, ran: ran{"acct_1"}},
		{name: "of an older release, id-only", context: "org_1/acct_1", then: []func(*event.Envelope){unnamed, idOnly}, ran: ran{"acct_1"}},
		{name: "an organisation", context: "org_1", parked: policy.ReasonAccount},
		{name: "an organisation, under a policy that takes it", context: "org_1", policies: takes("org_1"), parked: policy.ReasonAccount},
		{name: "an organisation, under a policy that ignores", context: "org_1",
			policies: map[string]policy.Policy{"default": {Livemode: []bool{true}, OnMismatch: policy.Ignore}}, parked: policy.ReasonAccount},
		{name: "an organisation, id-only", context: "org_1", then: []func(*event.Envelope){idOnly}, parked: policy.ReasonAccount},
		{name: "an organisation, of an older release", context: "org_1", then: []func(*event.Envelope){unnamed}, parked: policy.ReasonAccount},
		{name: "an organisation, of an older release, id-only", context: "org_1", then: []func(*event.Envelope){unnamed, idOnly}, parked: policy.ReasonAccount, attempt: 1},
		{name: "another account than the endpoint's", context: "acct_1", policies: takes(""), parked: policy.ReasonAccount},
		{name: "another account than the endpoint's, of an older release", context: "acct_1", then: []func(*event.Envelope){unnamed}, policies: takes(""), parked: policy.ReasonAccount},
		{name: "another account than the endpoint's, of an older release, id-only", context: "acct_1", then: []func(*event.Envelope){unnamed, idOnly}, policies: takes(""), parked: policy.ReasonAccount, attempt: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var got ran
				b := setup(got.handle)
				store := idempotencytest.NewMemory(nil)
				b.config.Store, b.config.Policies = store, c.policies
				var body []byte
				m := message(t, "1", 1, inContext(c.context), func(e *event.Envelope) {
					body = e.Body
					for _, change := range c.then {
						change(e)
					}
				})
				b.config.Fetcher = fetcher(func(string) ([]byte, error) { return body, nil })
				failed, err := b.handle(t, m)
				if diff := cmp.Diff(c.ran, got); err != nil || len(failed) > 0 || diff != "" {
					t.Errorf("failed %v, %v, handled (-want +got):\n%s", failed, err, diff)
				}
				if c.parked != "" && (len(b.queue.dead) != 1 || b.queue.dead[0].Reason != c.parked || b.queue.dead[0].Attempt != c.attempt) || c.parked == "" && len(b.queue.dead) != 0 {
					t.Errorf("dead letters %+v, want reason %q of attempt %d", b.queue.dead, c.parked, c.attempt)
				}
				if r := store.Records(); (len(r) > 0) != (c.parked == "" || c.attempt > 0) {
					t.Errorf("records %+v", r)
				}
			})
		})
	}
}

// TestRecordedWithoutAnAccount: a record of a release that ignored context decides about this
// release's message of the same event as about its own, and of no other.
func TestRecordedWithoutAnAccount(t *testing.T) {
	for _, c := range []struct {
		name  string
		state idempotency.State
		age   time.Duration
		other bool // the record is of another event with this id
		acked bool
		dead  string
		ran   ran
	}{
		{name: "done", state: idempotency.Done, acked: true},
		{name: "failed", state: idempotency.Failed, acked: true, ran: ran{"acct_1"}},
		{name: "running", state: idempotency.Running},
		{name: "running, its lease is over", state: idempotency.Running, age: time.Hour, acked: true, ran: ran{"acct_1"}},
		{name: "done, another event", state: idempotency.Done, other: true, acked: true, dead: dispatch.ReasonCorrupt},
		{name: "failed, another event", state: idempotency.Failed, other: true, acked: true, dead: dispatch.ReasonCorrupt},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var got ran
				b, store := setup(got.handle), idempotencytest.NewMemory(nil)
				b.config.Store = store
				old := envelope("evt_1")
				if c.other {
					old.ObjectID = "in_2"
				}
				recorded(t, store, old, c.state)
				time.Sleep(c.age)
				failed, err := b.handle(t, message(t, "1", 2, inContext("org_1/acct_1")))
				if diff := cmp.Diff(c.ran, got); err != nil || len(failed) == 0 != c.acked || diff != "" {
					t.Errorf("failed %v, %v, handled (-want +got):\n%s", failed, err, diff)
				}
				if len(b.queue.dead) > 0 != (c.dead != "") || c.dead != "" && b.queue.dead[0].Reason != c.dead {
					t.Errorf("dead letters %+v", b.queue.dead)
				}
				if r := store.Records()[0]; r.Identity != idempotency.Identity(old) || len(c.ran) > 0 != (c.acked && r.State == idempotency.Done && r.Attempt == 2) {
					t.Errorf("record %+v", r)
				}
			})
		})
	}
}

// recorded leaves a record of an event in a state.
func recorded(t *testing.T, store *idempotencytest.Memory, e event.Envelope, state idempotency.State) {
	t.Helper()
	now := time.Now()
	got, err := store.Claim(t.Context(), idempotency.ClaimRequest{
		Event: e, Owner: idempotency.NewOwner(), Now: now, Lease: now.Add(30 * time.Second), LeaseExpiredBefore: now, Receives: 1, ReceivesLeft: 9,
	})
	if err != nil || got.Verdict != idempotency.Claimed {
		t.Fatalf("%+v, %v", got, err)
	}
	switch state {
	case idempotency.Done:
		_, err = store.Complete(t.Context(), got.Claim, idempotency.Applied, nil, now)
	case idempotency.Failed:
		_, err = store.Fail(t.Context(), got.Claim, idempotency.Failure{Now: now, Err: "boom", ReceivesLeft: 9})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestUpgradeAndRollback: messages of both releases, each received by one or the other, in any
// order: the handler runs once and no message becomes a dead letter. An older consumer reads
// this release's messages without the new member and its own as of the platform's account.
func TestUpgradeAndRollback(t *testing.T) {
	older := func(m queue.Message) queue.Message { return asReadByOlder(t, m) }
	newer := func(m queue.Message) queue.Message { return m }
	for _, c := range []struct {
		name    string
		readers []func(queue.Message) queue.Message // of one message, in turn; each but the last fails
		change  []func(*event.Envelope)
		ran     ran
	}{
		{"old message, upgrade", []func(queue.Message) queue.Message{older, newer}, []func(*event.Envelope){unnamed}, ran{"acct_1"}},
		{"old message, rollback", []func(queue.Message) queue.Message{newer, older}, []func(*event.Envelope){unnamed}, ran{""}}, // as that release books it
		{"old message, rollback and upgrade", []func(queue.Message) queue.Message{newer, older, newer}, []func(*event.Envelope){unnamed}, ran{"acct_1"}},
		{"new message, rollback", []func(queue.Message) queue.Message{newer, older}, nil, ran{"acct_1"}},
		{"new message, upgrade", []func(queue.Message) queue.Message{older, newer}, nil, ran{"acct_1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var got ran
				failing := true
				b, store := setup(func(ctx context.Context, in dispatch.Input) (dispatch.Effects, error) {
					if failing {
						return nil, fmt.Errorf("boom")
					}
					return got.handle(ctx, in)
				}), idempotencytest.NewMemory(nil)
				b.config.Store = store
				m := message(t, "1", 1, append([]func(*event.Envelope){inContext("org_1/acct_1")}, c.change...)...)
				for i, read := range c.readers {
					failing = i < len(c.readers)-1
					m.Receives = i + 1
					if failed, err := b.handle(t, read(m)); err != nil || len(failed) > 0 != failing {
						t.Fatalf("reader %d: failed %v, %v", i, failed, err)
					}
				}
				if failed, err := b.handle(t, m); err != nil || len(failed) > 0 {
					t.Errorf("a duplicate: failed %v, %v", failed, err)
				}
				if diff := cmp.Diff(c.ran, got); diff != "" || len(b.queue.dead) > 0 || len(store.Keys()) != 1 {
					t.Errorf("dead letters %+v, items %v, handled (-want +got):\n%s", b.queue.dead, store.Keys(), diff)
				}
			})
		})
	}
}

// asReadByOlder returns a message as a release reads it that knows no context: its header's
// account is the account, and the body's context is one more member that nothing reads.
func asReadByOlder(t *testing.T, m queue.Message) queue.Message {
	t.Helper()
	e, err := queue.Decode(m.Body)
	if err != nil {
		t.Fatal(err)
	}
	if e.AccountFrom == event.FromBody {
		e.Account = ""
	}
	e.AccountFrom = event.FromAccount
	e.Body = bytes.Replace(e.Body, []byte(`"context"`), []byte(`"unread"`), 1)
	m.Body, err = queue.Encode(e)
	if err != nil {
		t.Fatal(err)
	}
	return m
}
