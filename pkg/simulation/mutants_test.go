package simulation

import (
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

var (
	withMutants = flag.Bool("mutants", false, "run TestMutants: minutes")
	oneMutant   = flag.String("mutant", "", "run only the mutants whose name contains this")
)

// mutant is a seeded bug: edits of the product's source for one build.
type mutant struct {
	name  string
	edits []edit
	test  string // that must fail; "" for TestSchedules
	dir   string // its package under pkg; "" for this one
}

type edit struct{ file, old, new string }

// one is a mutant of one edit. The file is under pkg.
func one(name, file, old, new string) mutant {
	return mutant{name: name, edits: []edit{{file, old, new}}}
}

// by names the test that must find a mutant; the default is TestSchedules.
func (m mutant) by(test string) mutant {
	m.test = test
	return m
}

// in names the package under pkg that has the test.
func (m mutant) in(dir string) mutant {
	m.dir = dir
	return m
}

func mutants() []mutant {
	const (
		message = "consumer/message.go"
		failure = "consumer/failure.go"
		batch   = "consumer/batch.go"
		claim   = "dynamostore/claim.go"
		commit  = "dynamostore/complete.go"
		effects = "dynamostore/effects.go"
		fail    = "dynamostore/fail.go"
		replay  = "dynamostore/replay.go"
		reasons = "dynamostore/reasons.go"
		law     = "idempotency/writes.go"
	)
	return []mutant{
		// What the answer of an invocation says.
		one("null batch response", "sqsqueue/lambda.go", "return answer, nil", "return answer[:0], nil"),
		one("failed messages are left out", batch, "if !b.acked[m.ID] {", "if b.acked[m.ID] {"),
		one("every message is deleted early", batch, "	if r.ack {\n		b.acked[m.ID] = true\n", "	b.pending = append(b.pending, m.Receipt)\n	if r.ack {\n		b.acked[m.ID] = true\n"),
		one("acknowledged before the handler", batch, "	r := b.recovering(m)\n", "	_ = b.c.cfg.Queue.Delete(b.ctx, []string{m.Receipt})\n	r := b.recovering(m)\n"),

		// Who is acknowledged.
		one("ack when busy elsewhere", message, "outcome: outcomeBusy, delay:", "outcome: outcomeBusy, ack: true, delay:"),
		one("ack when superseded", message, "return a.superseded(done.Lease, nil), false", "return a.result(outcomeSuperseded, result{ack: true}), false"),
		one("ack when the completion is unknown", message, "r := result{delay: a.c.untilLease(a.claim.Lease), infra: true, err: err}", "r := result{ack: true, err: err}"),
		one("ack when a fail is superseded", failure, "return a.superseded(written.Lease, err)", "return a.result(outcomeSuperseded, result{ack: true, err: err})"),
		one("ack of a transient failure", failure, "r := result{outcome: outcomeFailed, delay: c.backoff(m), err: err,", "r := result{outcome: outcomeFailed, ack: true, delay: c.backoff(m), err: err,"),
		one("ack when the store is down", failure, "outcome: outcomeStoreDown, delay:", "outcome: outcomeStoreDown, ack: true, delay:"),
		one("ack without time", failure, "outcome: outcomeNoTime, delay:", "outcome: outcomeNoTime, ack: true, delay:"),
		one("ack though the DLQ copy failed", failure, "return result{outcome: outcomeFailed, delay: b.c.backoff(m), infra:", "return result{outcome: outcomeFailed, ack: true, infra:"),
		one("DLQ copy after the ack", failure, "	err := b.c.cfg.Queue.DeadLetter(", "	_ = b.c.cfg.Queue.Delete(ctx, []string{m.Receipt})\n	err := b.c.cfg.Queue.DeadLetter("),

		// How the store's answers are read.
		one("store error read as duplicate", claim, "limits.CallPause) {\n				return idempotency.ClaimResult{}, f.down(\"claim\")", "limits.CallPause) {\n				return idempotency.ClaimResult{Verdict: idempotency.Duplicate}, nil"),
		one("conflict of a claim read as duplicate", claim, "conflicts++; conflicts > claimConflicts || !s.pause(ctx, claimWait) {\n				return busy, nil", "conflicts++; conflicts > 0 {\n				return idempotency.ClaimResult{Verdict: idempotency.Duplicate}, nil"),
		one("running read as duplicate", law, "return ClaimResult{Verdict: Busy, Lease: old.Lease}, true", "return ClaimResult{Verdict: Duplicate}, true"),
		one("own claim read as duplicate", law, "return ClaimResult{Verdict: Claimed, Claim: ClaimOf(*old)}, true", "return ClaimResult{Verdict: Duplicate}, true"),
		one("superseded read as done", law, "return CompleteResult{Verdict: Superseded, Lease: old.Lease}", "return CompleteResult{Verdict: SupersededDone}"),
		{name: "conflict read as superseded, and that as done", edits: []edit{
			{commit, "case f.kind == refused:\n			return readComplete(c, f.old)", "case f.kind == refused || f.kind == conflict:\n			return readComplete(c, f.old)"},
			{law, "case old == nil:\n		return CompleteResult{Verdict: Superseded}", "case old == nil:\n		return CompleteResult{Verdict: SupersededDone}"},
		}},
		one("lost answer read as completed", commit, "return idempotency.CompleteResult{}, unknown(f.text)", "return idempotency.CompleteResult{Verdict: idempotency.Completed, Outcome: outcome}, nil"),
		one("failed read as done", law, "case c.settledBy(old):\n		return FailResult{Verdict: FailDone}\n	default:\n		return FailResult{Verdict: FailSuperseded, Lease: old.Lease}", "default:\n		return FailResult{Verdict: FailDone}"),
		one("refused swap is dropped", reasons, "if _, found := firstRefused(dispatch.KindSwap, effects, reasons); found {", "if _, found := firstRefused(dispatch.KindSwap, effects, reasons); found && false {"),

		// The conditions.
		one("fence on the state only", commit, `const fence = "st=:running AND att=:att AND own=:own"`, `const fence = "st=:running"`),
		one("fence without the state", commit, `const fence = "st=:running AND att=:att AND own=:own"`, `const fence = "att=:att AND own=:own"`),
		one("unconditional completion", commit, `const fence = "st=:running AND att=:att AND own=:own"`, `const fence = "attribute_exists(pk)"`),
		one("unconditional failure", fail, "	u.ExpressionAttributeNames = openName()\n", "	u.ExpressionAttributeNames = openName()\n	u.ConditionExpression = aws.String(\"attribute_exists(pk)\")\n"),
		one("a done record is claimed", claim, "attribute_not_exists(pk) OR st=:failed OR", "attribute_exists(pk) OR attribute_not_exists(pk) OR st=:failed OR"),
		one("lease not removed by complete", commit, `" REMOVE lease, #open, rc_left, reason, hist, purged, purge_by"`, `" REMOVE #open, rc_left, reason, hist, purged, purge_by"`),
		one("lease not removed by fail", fail, `failRemove = " REMOVE lease"`, `failRemove = " REMOVE reason"`),
		one("attempt reset on replay", replay, "fails=:zero, replay_by", "fails=:zero, att=:zero, replay_by"),
		one("attempt forgotten on failure", fail, `failRemove = " REMOVE lease"`, `failRemove = " REMOVE lease, att"`),
		{name: "record deleted on failure", edits: []edit{
			{fail, "failTransient = failSet + failRemove", "failTransient = \"REMOVE st, att, gen, own, lease, ident, first_at\""},
			{claim, "(attribute_not_exists(pk) OR st=:failed", "(attribute_not_exists(st) OR st=:failed"},
		}},
		one("generation stays on replay", replay, "gen=:next,", "replay_gen=:next,"),
		one("replay of any record", replay, `replayWhen = "st=:done AND gen=:gen"`, `replayWhen = "attribute_exists(pk)"`),
		one("swap without its version", effects, `effectVersion = "ver=:ver"`, `effectVersion = "attribute_exists(pk)"`),
		one("insert without its condition", effects, `effectAbsent  = "attribute_not_exists(pk)"`, `effectAbsent  = "attribute_not_exists(never)"`),
		one("client token without randomness", law, `return c.Owner + "-" + strconv.Itoa(c.rounds)`, `return c.EventID + "-" + strconv.Itoa(c.rounds)`),
		{name: "TTL shorter than a copy's life", edits: []edit{
			{"limits/limits.go", "RecordTTL:      180 * day,", "RecordTTL:      1 * day,"},
			{"limits/validate.go", "f.must(l.RecordTTL > l.SourceRetention+l.HoldRetention+l.DLQRetention+30*24*time.Hour,", "f.must(true,"},
		}},

		// The transaction.
		one("effect outside the transaction", commit, "TransactItems:      append([]types.TransactWriteItem{record}, items...),\n	}\n", "TransactItems:      items,\n	}\n	if f := s.retry(ctx, func(ctx context.Context) error {\n		_, err := s.client.TransactWriteItems(ctx, in)\n		return err\n	}); f != nil {\n		return f\n	}\n	return s.write(ctx, record)\n}\n\nfunc (s *writer) unused(ctx context.Context, in *dynamodb.TransactWriteItemsInput) *fault {\n"),
		one("done before its effect", commit, "TransactItems:      append([]types.TransactWriteItem{record}, items...),\n	}\n", "TransactItems:      items,\n	}\n	if f := s.write(ctx, record); f != nil {\n		return f\n	}\n"),

		// Ingest.
		one("200 though the queue refused", "ingest/ingest.go", "message, err := h.sender.Enqueue(ctx, got.Envelope, r.Trace)\n	if err != nil {", "message, err := h.sender.Enqueue(ctx, got.Envelope, r.Trace)\n	if err != nil && false {"),
		one("tolerance one-sided", "verify/verify.go", "!ok || at.Sub(now) > o.Tolerance", "!ok && at.After(now)"),
		{name: "no tolerance", edits: []edit{
			{"verify/verify.go", "webhook.ValidatePayloadWithTolerance(body, header, secret, o.Tolerance)", "webhook.ValidatePayloadIgnoringTolerance(body, header, secret)"},
			{"verify/verify.go", `webhook.ValidatePayloadWithTolerance(nil, header, "-", tolerance)`, `webhook.ValidatePayloadIgnoringTolerance(nil, header, "-")`},
		}},
		one("empty secret verifies", "verify/verify.go", `if secret == "" {`, `if secret == "never" {`),
	}
}

// found matches the failure line of TestSchedules.
var found = regexp.MustCompile(`seed \d+ \(schedule (\d+)\): (.*)`)

// complaint matches the first failure line of another test, elsewhere that of one in another package.
var (
	complaint = regexp.MustCompile(`(?:burst|fixedplan\w*|missed|secretwriters)_test\.go:\d+: (.*)`)
	elsewhere = regexp.MustCompile(`\w+\.go:\d+: (.*)`) // a compiler's line has the column, too
)

// TestMutants builds each mutant and runs it until a schedule fails: it must be found within 10,000
// schedules, or by its test.
func TestMutants(t *testing.T) {
	if !*withMutants {
		t.Skip("takes minutes: make mutants")
	}
	const schedules = "10000"
	fmt.Printf("%-48s %-28s %s\n", "seeded bug", "schedule or test", "what it broke")
	start, n, hits, latest := time.Now(), 0, 0, 0
	for _, m := range allMutants() {
		if !strings.Contains(m.name, *oneMutant) {
			continue
		}
		n++
		t.Run(m.name, func(t *testing.T) {
			test := cmp.Or(m.test, "TestSchedules")
			args, fails := []string{".", "-schedules", schedules}, complaint
			if m.dir != "" {
				args, fails = []string{"../" + m.dir}, elsewhere
			}
			cmd := exec.Command("go", append([]string{"test", "-count=1", "-overlay", overlay(t, m), "-run", "^" + test + "$"}, args...)...)
			out, err := cmd.CombinedOutput()
			hit, broken := found.FindStringSubmatch(string(out)), fails.FindStringSubmatch(string(out))
			if hit != nil || m.test != "" && broken != nil {
				hits++
			}
			switch {
			case hit != nil:
				seed, _ := strconv.Atoi(hit[1])
				latest = max(latest, seed)
				fmt.Printf("%-48s %-28s %.110s\n", m.name, hit[1], hit[2])
			case m.test != "" && broken != nil:
				fmt.Printf("%-48s %-28s %.110s\n", m.name, m.test, broken[1])
			case err == nil:
				t.Errorf("not found by %s in %s schedules", test, schedules)
			default:
				t.Errorf("did not run: %v\n%s", err, out)
			}
		})
	}
	fmt.Printf("figure: make mutants | %d of %d seeded bugs found in %v on %d CPUs, the last one by make sim's schedule %d\n",
		hits, n, time.Since(start).Round(time.Second), runtime.NumCPU(), latest)
}

func allMutants() []mutant {
	return slices.Concat(mutants(), reconcileMutants(), ruleMutants(), fetchMutants(), faultMutants(), handlerMutants(), subscriptionMutants(), caseMutants(), driftMutants(), eraseMutants(), sceneMutants(), rateMutants(), onceMutants(), deliveryMutants(), httpMutants(), forwardMutants(), runSenderMutants(), destinationMutants(), telemetryMutants(), historyMutants(), pausingMutants())
}

// overlay writes the mutant's files and the overlay file for the go command.
func overlay(t *testing.T, m mutant) string {
	t.Helper()
	dir := t.TempDir()
	replace := map[string]string{}
	for i, e := range m.edits {
		path, err := filepath.Abs(filepath.Join("..", e.file))
		if err != nil {
			t.Fatal(err)
		}
		from := path
		if earlier, ok := replace[path]; ok {
			from = earlier
		}
		source, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(source), e.old); n != 1 {
			t.Fatalf("%s: the text to change occurs %d times:\n%s", e.file, n, e.old)
		}
		to := filepath.Join(dir, fmt.Sprintf("%d.go", i))
		if err := os.WriteFile(to, []byte(strings.Replace(string(source), e.old, e.new, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		replace[path] = to
	}
	raw, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(list, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return list
}
