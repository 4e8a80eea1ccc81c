package simulation

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"

	"tollgate/pkg/awsclient"
	"tollgate/pkg/config"
	"tollgate/pkg/limits"
)

// Single faults of a dependency: a request without an answer, a service that refuses for a moment,
// a throttled item among healthy ones, an expired signature. The invocation that meets one must
// recover from it. Faults are counted by process and subject; an outcome that only two faults
// justify is a violation after one.

// clients behave as the functions' SDK clients: package awsclient decides the timeout of a try and
// which errors are retried.
type clients struct{ store, rows, queues, sends, secrets, operator client }

type client struct {
	try     time.Duration
	retryer aws.Retryer
}

func newClients(l limits.Limits) clients {
	one := func(o awsclient.Options) client {
		cfg := awsclient.New(config.AWS{}, o)
		return client{cfg.HTTPClient.(*http.Client).Timeout, cfg.Retryer()}
	}
	return clients{
		store: one(awsclient.Options{Attempts: 1}), sends: one(awsclient.Options{Attempts: 1}), // their callers bound each try
		rows: one(awsclient.Options{Try: l.Try()}), queues: one(awsclient.Options{Try: l.Try()}),
		secrets: one(awsclient.Options{Try: l.SecretTry}), operator: one(awsclient.Options{}),
	}
}

// retryPause replaces the SDK's random wait between two tries.
const retryPause = limits.CallPause / 2

// do makes a call for the process in ctx, with the SDK's retries.
func (c client) do(sc *scenario, ctx context.Context, op opName, subject string, apply func() error) error {
	for n := 1; ; n++ {
		err := c.once(sc, ctx, op, subject, apply)
		if err == nil || n >= c.retryer.MaxAttempts() || !c.retryer.IsErrorRetryable(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(retryPause):
		}
	}
}

func (c client) once(sc *scenario, ctx context.Context, op opName, subject string, apply func() error) error {
	if c.try > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.try)
		defer cancel()
	}
	return do(sc, ctx, op, subject, apply)
}

// signed reports whether a call is signed: its signature may expire.
func (o opName) signed() bool {
	switch o {
	case opUpdate, opTransact, opPut, opGet, opBatchGet, opSend, opVisibility, opDelete, opDead, opHold, opSecretGet:
		return true
	}
	return false
}

// serverError is an answer with status 500.
type serverError struct{ *smithy.GenericAPIError }

func (serverError) HTTPStatusCode() int { return http.StatusInternalServerError }

func internalError() error {
	return serverError{&smithy.GenericAPIError{Code: "InternalServerError", Message: "simulated"}}
}

func signatureExpired() error {
	return &smithy.GenericAPIError{Code: "InvalidSignatureException", Message: "Signature expired: 20260101T000000Z is now earlier than 20260101T000500Z"}
}

// throttled is the answer about a hot item.
func throttled(op opName) error {
	if op == opTransact {
		return &types.TransactionCanceledException{Message: aws.String("Transaction cancelled"), CancellationReasons: []types.CancellationReason{{Code: aws.String("ThrottlingError")}}}
	}
	return &types.ProvisionedThroughputExceededException{Message: aws.String("simulated")}
}

// makeHot makes one record hot for a while, or all of them.
func (sc *scenario) makeHot() {
	until, n := time.Now().Add(sc.upTo(10*time.Minute)), len(sc.facts)
	if sc.rng.IntN(3) == 0 {
		n = 1
	}
	for _, i := range sc.rng.Perm(len(sc.facts))[:n] {
		sc.hot[recordPrefix+sc.facts[i].id] = until
		sc.log("the record of %s is hot until %s", sc.facts[i].id, until.Format("15:04:05.000"))
	}
}

func (sc *scenario) isHot(c *call) bool {
	return (c.op == opUpdate || c.op == opTransact || c.op == opPut) && time.Now().Before(sc.hot[c.subject])
}

// refuseBriefly makes the store or the queue refuse everything for 150 to 300 ms.
func (sc *scenario) refuseBriefly() {
	p := []part{store, queues}[sc.rng.IntN(2)]
	if time.Now().Before(sc.outages[p].until.Add(5 * time.Second)) {
		return // two in a row would be an outage
	}
	d := 150*time.Millisecond + sc.upTo(150*time.Millisecond)
	sc.outages[p] = outage{until: time.Now().Add(d), rate: 1, brief: true}
	sc.count(fmt.Sprintf("%s refuses for a moment", p))
	sc.log("%s refuses for %v", p, d)
}

// faultCounts are the faults of one process, by the subject of the call. The scenario's mutex
// guards them.
type faultCounts struct {
	faults   map[string]int  // cured by another try
	hot      map[string]int  // throttled tries
	refused  int             // sends refused by a brief outage
	begun    map[string]bool // owners of its claims
	unasked  string          // a record claimed after the batch should have stopped
	reported string          // a violation found in its goroutine
}

func newFaultCounts() faultCounts {
	return faultCounts{faults: map[string]int{}, hot: map[string]int{}, begun: map[string]bool{}}
}

// noteFault counts a fault of a call.
func (sc *scenario) noteFault(c *call, how callResult) {
	n := 1
	sc.mu.Lock()
	defer sc.mu.Unlock()
	p := c.proc
	switch part, can := c.op.part(); {
	case how == callAnswered, how == callSlow, how == callSilent, how == callSilentApplied: // counted at the caller's timeout
		return
	case how == callThrottled:
		p.hot[c.subject]++
		return
	case how == callRefused && can && sc.outages[part].brief && time.Now().Before(sc.outages[part].until):
		p.refused++
		n = 0
		if part == store {
			n = 1
		}
	case how == callDenied:
		n = 100 // retries are pointless
	}
	p.faults[c.subject] += n
}

// begins checks the first try of a claim.
func (sc *scenario) begins(p *proc, key string, values attributes) {
	own, owned := values[":own"].(*types.AttributeValueMemberS)
	if values[":lease"] == nil || !owned {
		return
	}
	sc.mu.Lock()
	defer sc.mu.Unlock()
	if !p.begun[own.Value] && p.throttled() > 1 && p.unasked == "" {
		p.unasked = key
	}
	p.begun[own.Value] = true
}

// throttled counts the messages that a process returned because of hot items.
func (p *proc) throttled() (n int) {
	for _, o := range p.outcomes {
		if o.what == "throttled" {
			n++
		}
	}
	return n
}

// report stores a violation found in a process's goroutine, for checkFaults.
func (sc *scenario) report(p *proc, format string, args ...any) {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	if p.reported == "" {
		p.reported = fmt.Sprintf(format, args...)
	}
}

func (sc *scenario) faultsOf(p *proc, subject string) int {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	return p.faults[subject]
}

// lostRecord reports whether writes of one record, or reads of the pauses, failed at least twice.
func (p *proc) lostRecord() bool {
	for subject, n := range p.faults {
		if (strings.HasPrefix(subject, recordPrefix) || subject == limits.KeyPause) && n+p.hot[subject] > 1 {
			return true
		}
	}
	return false
}

// only reports whether a process received exactly one message of an event.
func (p *proc) only(f *fact) bool {
	n := 0
	for _, t := range p.batch {
		if t.f == f {
			n++
		}
	}
	return n == 1
}

// checkFaults: one fault or one hot item affects no other message of a batch.
func (sc *scenario) checkFaults(p *proc) {
	if p.halted || sc.plan.jump > 0 || sc.plan.lag > 0 {
		return // its clock may have cut its tries short
	}
	stopped := p.throttled() > 1
	if stopped {
		sc.count("a second hot item stops a batch")
	}
	if p.unasked != "" {
		sc.violate("process %d begins with %s after two throttled messages", p.id, p.unasked)
	}
	if p.reported != "" {
		sc.violate("process %d: %s", p.id, p.reported)
	}
	for _, o := range p.outcomes {
		subject := recordPrefix + o.event
		switch {
		case o.what == "store_down" && !p.lostRecord() && !stopped:
			sc.violate("%s: process %d takes the store for down after one fault of each record at most, %v, or one hot item, %v", o.event, p.id, p.faults, p.hot)
		case o.what == "busy" && o.own && p.faults[subject] < 3 && p.only(sc.fact(o.event)):
			sc.violate("%s: process %d waits for its own claim, after %d faults", o.event, p.id, p.faults[subject])
		case o.what == "failed" && o.reason == "" && p.refusedAccount[o.event] && p.only(sc.fact(o.event)):
			sc.violate("%s: process %d is to try again, and its account's access was revoked", o.event, p.id)
		}
	}
	for _, t := range p.batch {
		if m := sc.queue.find(t.id); p.tooLarge[t.id] && m != nil && m.copied < p.started && m.refuses < refusesAll && !p.troubled {
			sc.violate("%s: process %d sends no smaller copy of message %s to the DLQ", t.f.id, p.id, t.id)
		}
	}
}
