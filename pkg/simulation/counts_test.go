package simulation

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/pause"
)

// counts holds how often each fault and outcome occurred. It is safe for concurrent use.
type counts struct {
	mu sync.Mutex
	n  map[string]int
}

func newCounts() *counts { return &counts{n: map[string]int{}} }

func (t *counts) count(what string, n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.n[what] += n
}

// addTo adds the counts to a total.
func (t *counts) addTo(all *counts) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for what, n := range t.n {
		all.count(what, n)
	}
}

func (t *counts) print(sc io.Writer) {
	for _, what := range slices.Sorted(maps.Keys(t.n)) {
		fmt.Fprintf(sc, "%10d  %s\n", t.n[what], what)
	}
}

// enough is the number of schedules in which each of mustHappen occurs several times.
const enough = 2000

// mustHappen lists what a run must have met to prove anything: every fault, and every answer of the
// store that only faults cause.
func mustHappen() (all []string) {
	for _, op := range []opName{opUpdate, opTransact, opPut, opGet, opSend, opVisibility} {
		for _, how := range []callResult{callLostRequest, callLate, callLostAnswer, callRefused, callSilent, callSilentApplied} {
			all = append(all, countName(op, how))
		}
	}
	for _, op := range []opName{opUpdate, opTransact, opPut, opGet, opSend, opVisibility, opDead, opSecretGet} {
		all = append(all, countName(op, callExpired))
	}
	for _, op := range []opName{opUpdate, opTransact, opPut, opGet} {
		all = append(all, countName(op, callDenied))
	}
	for _, how := range []callResult{callLostRequest, callRefused, callSilent, callSlow} {
		all = append(all, countName(opObject, how))
	}
	for _, form := range secretForms() {
		all = append(all, "secret: "+form)
	}
	for _, op := range []opName{opDead, opDelete, opReceive, opCover} {
		all = append(all, countName(op, callRefused), countName(op, callLostAnswer))
	}
	for _, p := range []part{store, queues} {
		for _, rate := range append(brownRates(), 1) {
			all = append(all, outageName(p, rate))
		}
	}
	return append(all,
		"killed: a crash", "killed: its own code", "killed: its time is over", "stopped", "resumed",
		"late: UpdateItem, applied", "late: UpdateItem, refused", "late: TransactWriteItems, applied", "late: TransactWriteItems, refused",
		"late: SendMessage, applied", "late: SendMessage to the DLQ, applied",
		"handed out again while in flight: m", "expires: a message of m", "expires: a message of d", "the same transaction comes again",
		outageName(contention, 1), outageName(ingestion, 1),
		"claim: busy", "claim: duplicate", "claim: an error",
		"complete: superseded", "complete: superseded_done", "complete: swap_refused", "complete: an error",
		"fail: done", "fail: superseded", "fail: an error",
		"done at once: completed", "done at once: superseded", "done at once: superseded_done", "done at once: swap_refused", "done at once: an error",
		"failed at once: written", "failed at once: done", "failed at once: superseded", "failed at once: an error",
		"at once: DONE", "at once: FAILED", "a run without a claim next to another",
		"late: PutItem of a record, applied", "late: PutItem of a record, refused",
		"replay: replayed", "replay: sent", "replay: an error",
		"policy: takes everything", "policy: excludes its account", "policy: takes the other mode", "policy: takes its account from now on",
		"dead-lettered: livemode", "dead-lettered: account", "dead-lettered: corrupt", "dead-lettered: newer_version",
		"purge: marked", "purge by id: given_up", "purge by id: busy", "purge by id: done", "purge by id: no_record",
		"spoilt row: put by hand", "spoilt row: attempt is a text", "spoilt row: unknown state", "spoilt row: running without a lease", "spoilt row: fails is a text",
		"outcome: held", "pause: true", "pause: false", "resume: resumed", "resume: "+pause.ErrPausedAgain.Error(), "resume: "+pause.ErrAllPaused.Error(), "replay: refused, paused",
		"a history of more than ten", "an older release writes a record with a history",
		"a clock jumps", "a deadline of another clock", "visibility set with an old receipt", "a history begins", "a message from before a restore's end is held",
		"a message of the next release", "a roll of a release", "redrive: dead letters are hidden: true",
		countName(opUpdate, callThrottled), countName(opTransact, callThrottled), countName(opPut, callThrottled), "outcome: throttled", "a second hot item stops a batch",
		"the store refuses for a moment", "the queue refuses for a moment", "a delivery outlasts a refusing queue",
		"ingest starts", countName(opSecretGet, callSilent), "a delivery outlasts a failed fetch of secrets",
		"Stripe refuses a revoked account", "dead-lettered: account_revoked", "replay: refused, excluded",
		"the DLQ refuses a copy for its size: 1", "the DLQ refuses a copy for its size: 2", "the DLQ refuses a copy for its size: 3",
		"a message without the account of its context", "ingest is upgraded or rolled back", "a record of the other release's identity",
		"outcome: policy_ignored", "outcome: newer_version", "outcome: missed", "outcome: stale", "outcome: no_time",
		"eventbridge: stored", "eventbridge: the queue refuses", "eventbridge: to the dead-letter queue",
	)
}

func countName(op opName, how callResult) string { return fmt.Sprintf("%s: %s", op, how) }

func outageName(p part, rate float64) string {
	return fmt.Sprintf("outage of %s, %.0f %%", p, 100*rate)
}

// check fails for each of mustHappen that never occurred.
func (t *counts) check(tb testing.TB) {
	tb.Helper()
	for _, what := range mustHappen() {
		if t.n[what] == 0 {
			tb.Errorf("in no schedule: %s", what)
		}
	}
}

// count records an occurrence.
func (sc *scenario) count(what string) { sc.counts.count(what, 1) }

// countVerdict records the store's answer to a call.
func countVerdict[V ~string](sc *scenario, call string, v V, err error) {
	if err != nil {
		v = "an error"
	}
	sc.count(call + ": " + string(v))
}

// atOnce names a write of a run without a claim; "" for a claimed one.
func atOnce(c *idempotency.Claim, name string) string {
	if c.Unclaimed == nil {
		return ""
	}
	return name
}

// watched is the store, with its answers counted.
type watched struct{ sc *scenario }

func (s watched) Claim(ctx context.Context, r idempotency.ClaimRequest) (idempotency.ClaimResult, error) {
	got, err := s.sc.store.Claim(ctx, r)
	if ident := s.sc.table.items[recordPrefix+r.Event.ID]["ident"].Text; err == nil && ident != idempotency.Identity(r.Event) && got.Verdict != idempotency.Corrupt {
		s.sc.count("a record of the other release's identity")
	}
	countVerdict(s.sc, "claim", got.Verdict, err)
	return got, err
}

func (s watched) Complete(ctx context.Context, c *idempotency.Claim, o idempotency.Outcome, e dispatch.Effects, now time.Time) (idempotency.CompleteResult, error) {
	got, err := s.sc.store.Complete(ctx, c, o, e, now)
	countVerdict(s.sc, cmp.Or(atOnce(c, "done at once"), "complete"), got.Verdict, err)
	return got, err
}

func (s watched) Fail(ctx context.Context, c *idempotency.Claim, f idempotency.Failure) (idempotency.FailResult, error) {
	got, err := s.sc.store.Fail(ctx, c, f)
	countVerdict(s.sc, cmp.Or(atOnce(c, "failed at once"), "fail"), got.Verdict, err)
	return got, err
}
