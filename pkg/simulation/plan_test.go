package simulation

import (
	"math/rand/v2"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
)

// plan holds the parameters of one scenario, all drawn from the seed: the number of events, and the
// probability of each fault, from 0 to 1.
type plan struct {
	events, workers, batch, maxReceives int
	skew                                time.Duration // maximum skew of a worker's clock

	fault      float64 // that a request or an answer is lost, late, silent or refused
	late       float64 // that a request of a killed process still arrives
	lateness   time.Duration
	crash      float64 // that a process is killed at a step
	stop       float64 // that a process is paused at a step
	pause      time.Duration
	twice      float64 // that a message in flight is handed out again
	again      float64 // that Stripe delivers an event once more
	lose       float64 // that the answer of an invocation is lost
	operator   float64 // that an operator redrives or replays at a step
	blackout   float64 // that an outage of the store or the queue begins at a step
	brownout   float64 // that a partial outage begins at a step
	contention float64 // that transactions conflict for seconds, from a step on
	offline    float64 // that an outage of ingest begins at a step
	attack     float64 // that an attacker posts a request at a step
	hot        float64 // that records become hot at a step
	brief      float64 // that the store or the queue refuses for 150 to 300 ms, from a step on
	slow       float64 // that Stripe answers slowly
	revoke     float64 // that a connected account revokes access until the fix, at a step
	large      float64 // that a message's copy is too large for the DLQ

	patience time.Duration // maximum time between the last failure and the redrive

	behaviours []behaviour
	objects    int           // shared by events
	spread     time.Duration // in which the events happen
	delay      time.Duration // maximum of a delivery; default a minute
	retries    retries       // Stripe's retry schedule
	reconciler reconcilePlan // only with reconcile
	policies   policyPlan
	rows       rowPlan
	mail       mailPlan
	versions   versionPlan
	secrets    secretPlan
	pauses     pausePlan
	purges     bool    // operators purge events
	claims     bool    // no handler is pure: every run begins with a claim
	bus        bool    // events come through EventBridge too
	spoil      float64 // that another program writes an event's row at a step
	jump       float64 // that a worker's clock jumps, at a step
	lag        float64 // that Lambda's clock differs from the worker's
	// skew of the queue's clock, and of its servers relative to that
	queueClock, queueJitter time.Duration
}

func newPlan(rng *rand.Rand) plan {
	chance := func(most float64) float64 { // zero for a third of the plans
		if rng.IntN(3) == 0 {
			return 0
		}
		return most * rng.Float64() * rng.Float64()
	}
	p := plan{
		events: 1 + rng.IntN(3), workers: 1 + rng.IntN(3), batch: 1 + rng.IntN(4), maxReceives: 3 + rng.IntN(4),
		fault: chance(0.5), late: chance(1), lateness: []time.Duration{time.Second, time.Minute, time.Hour}[rng.IntN(3)],
		crash: chance(0.1), stop: chance(0.1), pause: []time.Duration{10 * time.Second, 3 * time.Minute, 2 * time.Hour}[rng.IntN(3)],
		twice: chance(0.3), again: chance(0.5), lose: chance(0.5), operator: chance(0.1), blackout: chance(0.02), attack: chance(0.1),
		brownout: chance(0.02), contention: chance(0.02), offline: chance(0.01), objects: 1 + rng.IntN(2), retries: fastRetries,
		patience: []time.Duration{time.Minute, 11 * 24 * time.Hour}[rng.IntN(2)],
	}
	if rng.IntN(2) == 0 {
		p.skew = time.Duration(rng.Int64N(int64(10 * time.Minute)))
	}
	for range p.events {
		p.behaviours = append(p.behaviours, newBehaviour(rng))
	}
	if rng.IntN(reconcileShare) == 0 {
		p.reconciler = newReconcilePlan(rng, p.events)
		p.patience = 14 * 24 * time.Hour
	}
	if rng.IntN(policyShare) == 0 {
		p.policies = newPolicyPlan(rng)
	}
	if rng.IntN(rowShare) == 0 && !p.reconciler.history.on {
		p.rows = newRowPlan(rng, p.events)
		p.objects = 1
		p.spread = time.Duration(1 + rng.Int64N(int64(3*time.Minute)))
		if rng.IntN(2) == 0 { // a burst
			p.spread, p.delay = min(p.spread, 10*time.Second), 5*time.Second
		}
	}
	p.hot, p.brief, p.slow, p.revoke, p.large = chance(0.2), chance(0.1), chance(0.5), chance(0.05), chance(0.3)
	if rng.IntN(secretShare) == 0 {
		p.secrets = newSecretPlan(rng)
	}
	p.purges = rng.IntN(2) == 0
	if rng.IntN(versionShare) == 0 {
		p.versions = newVersionPlan(rng)
	}
	if rng.IntN(4) == 0 {
		p.spoil = 0.05 * rng.Float64()
	}
	if rng.IntN(mailShare) == 0 {
		p.mail = newMailPlan(rng, p.events)
	}
	if rng.IntN(2) == 0 {
		p.jump, p.lag = chance(0.1), chance(0.5)
		p.queueJitter = 2 * time.Second
		p.queueClock = time.Duration((rng.Float64()*2 - 1) * float64(time.Minute))
	}
	if p.rows.on && p.skew == 0 && p.queueJitter == 0 { // skewed clocks may end the wait for the copy early
		p.rows.copy = time.Duration(rng.Int64N(int64(maxCopyLag)))
	}
	p.claims = rng.IntN(3) == 0
	p.bus = rng.IntN(busShare) == 0
	if rng.IntN(pauseShare) == 0 {
		p.pauses = newPausePlan(rng)
	}
	return p
}

// maxCopyLag bounds the lag of Stripe's copy: it is within dispatch.CoalesceAfter.
const maxCopyLag = 5 * time.Second

// clocksAgree reports whether no clock of the plan is skewed.
func (p plan) clocksAgree() bool { return p.skew == 0 && p.jump == 0 && p.lag == 0 }

// callResult is what happens to a call.
type callResult string

const (
	callAnswered      callResult = "answered"
	callLostRequest   callResult = "request lost"
	callLate          callResult = "request late, caller told that it is lost"
	callLostAnswer    callResult = "applied, answer lost"
	callRefused       callResult = "refused"
	callSilent        callResult = "request lost, no answer"
	callSilentApplied callResult = "applied, no answer"
	callDenied        callResult = "denied"
	callExpired       callResult = "signature expired"
	callThrottled     callResult = "throttled"
	callSlow          callResult = "answered slowly"
)

// faulty draws with a probability; always false after the faults ended.
func (sc *scenario) faulty(chance float64) bool { return !sc.healed && sc.rng.Float64() < chance }

func (sc *scenario) upTo(d time.Duration) time.Duration {
	return time.Duration(sc.rng.Int64N(int64(d)))
}

// around draws a duration from -d to d.
func (sc *scenario) around(d time.Duration) time.Duration {
	return time.Duration((sc.rng.Float64()*2 - 1) * float64(d))
}

func (sc *scenario) callResult(c *call) callResult {
	if part, can := c.op.part(); can && sc.fails(part) {
		if sc.outages[part].brief {
			return callRefused
		}
		return []callResult{callRefused, callLostRequest, callSilent}[sc.rng.IntN(3)]
	}
	if sc.isHot(c) {
		return callThrottled
	}
	if c.slowed {
		return callAnswered
	}
	if c.op == opObject && sc.faulty(sc.plan.slow) {
		return callSlow
	}
	if c.op == opTransact && sc.fails(contention) {
		return callRefused
	}
	if c.op == opWork || !sc.faulty(sc.plan.fault) {
		return callAnswered
	}
	all := []callResult{callLostRequest, callLate, callLostAnswer, callLostAnswer, callRefused, callRefused, callSilent, callSilentApplied}
	if c.op.signed() {
		all = append(all, callExpired)
	}
	if c.op == opUpdate || c.op == opTransact || c.op == opPut || c.op == opGet {
		all = append(all, callDenied)
	}
	return all[sc.rng.IntN(len(all))]
}

// refusal is an error after which nothing was applied.
func (sc *scenario) refusal(c *call) error {
	code := func(code string) error { return &smithy.GenericAPIError{Code: code, Message: "simulated"} }
	if c.op == opTransact && sc.fails(contention) {
		return conflicts(sc.rng)
	}
	switch c.op {
	case opUpdate, opPut, opGet, opBatchGet, opCover, opCovered, opOpen:
		all := []error{code("ThrottlingException"), internalError(), code("ProvisionedThroughputExceededException"), code("TransactionConflictException")}
		if c.op != opUpdate && c.op != opPut || time.Now().Before(sc.outages[store].until) {
			all = all[:3] // reads meet no conflict, and neither does a store during an outage
		}
		return all[sc.rng.IntN(len(all))]
	case opTransact:
		return []error{code("ThrottlingException"), code("TransactionInProgressException"), internalError(), conflicts(sc.rng)}[sc.rng.IntN(4)]
	default:
		return code("RequestThrottledException")
	}
}

// conflicts is the error of a transaction that conflicts with others.
func conflicts(rng *rand.Rand) error {
	reasons := []types.CancellationReason{{Code: aws.String("TransactionConflict")}, {Code: aws.String("None")}, {Code: aws.String("None")}}
	rng.Shuffle(len(reasons), func(i, j int) { reasons[i], reasons[j] = reasons[j], reasons[i] })
	return &types.TransactionCanceledException{Message: aws.String("Transaction cancelled"), CancellationReasons: reasons}
}
