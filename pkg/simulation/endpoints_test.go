package simulation

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/stripe/stripe-go/v76/webhook"

	"tollgate/pkg/event"
	"tollgate/pkg/ingest"
	"tollgate/pkg/policy"
	"tollgate/pkg/queue"
)

// One event may come through several endpoints, each with a policy of its own, and has one
// record. A process keeps the policies of its start; operators change them at any step.

// policyShare is n where one in n plans has two endpoints with policies.
const policyShare = 3

// Endpoints of scenarios with policies; each takes the live events of one account.
const (
	connectEU = "connect-eu"
	connectUS = "connect-us"
)

// mapped returns the endpoint that takes an account's events, as for reconcile.
func mapped() map[string]string { return map[string]string{"acct_eu": connectEU, "acct_us": connectUS} }

// policyPlan is the part of a plan for policies.
type policyPlan struct {
	on     bool
	first  map[string]policy.Action // OnMismatch at the beginning
	change float64                  // that operators change a policy, at a step

	contexts bool    // events name their accounts as those of an organisation
	older    bool    // ingest starts as the release that ignored context
	upgrade  float64 // that it is upgraded or rolled back, at a step
}

func newPolicyPlan(rng *rand.Rand) policyPlan {
	action := func() policy.Action { return []policy.Action{"", policy.Ignore, policy.Park}[rng.IntN(3)] }
	p := policyPlan{on: true, first: map[string]policy.Action{connectEU: action(), connectUS: action()}}
	if rng.IntN(2) == 0 {
		p.change = 0.1 * rng.Float64()
	}
	if rng.IntN(2) == 0 {
		p.contexts, p.older, p.upgrade = true, rng.IntN(2) == 0, 0.1*rng.Float64()
	}
	return p
}

// policies returns the configuration in which each endpoint takes its account.
func (p policyPlan) policies() map[string]policy.Policy {
	if !p.on {
		return nil
	}
	all := map[string]policy.Policy{}
	for account, endpoint := range mapped() {
		all[endpoint] = policy.Policy{Livemode: []bool{true}, Accounts: []string{account}, OnMismatch: p.first[endpoint]}
	}
	all[queue.PartnerEndpoint] = busPolicy(p.first[connectUS])
	return all
}

// accounts returns reconcile's map, nil for only the platform's own account.
func (p policyPlan) accounts() map[string]string {
	if !p.on {
		return nil
	}
	return mapped()
}

func (p policyPlan) endpoints() []string {
	if !p.on {
		return []string{ingest.DefaultEndpoint}
	}
	return []string{connectEU, connectUS}
}

// repolicy changes an endpoint's policy from the next process on.
func (sc *scenario) repolicy() {
	endpoint := sc.plan.policies.endpoints()[sc.rng.IntN(2)]
	next := map[string]policy.Policy{}
	for name, p := range sc.policies {
		next[name] = p
	}
	p := sc.plan.policies.policies()[endpoint]
	p.OnMismatch = []policy.Action{"", policy.Ignore, policy.Park}[sc.rng.IntN(3)]
	what := ""
	switch sc.rng.IntN(5) {
	case 0:
		p, what = policy.Policy{}, "takes everything"
	case 1:
		p.Accounts, what = []string{"acct_other"}, "excludes its account"
	case 2:
		p.Livemode, what = []bool{false}, "takes the other mode"
	case 3:
		p.From, what = time.Now(), "takes its account from now on"
	default:
		what = "takes its account"
	}
	next[endpoint] = p
	sc.policies = next
	sc.log("endpoint %s %s, else %q", endpoint, what, p.OnMismatch)
	sc.count("policy: " + what)
}

// verdict is an independent reading of a policy: whether an endpoint takes an event.
func (sc *scenario) verdict(all map[string]policy.Policy, endpoint string, f *fact) policy.Action {
	p := all[endpoint]
	mode := p.Livemode == nil || slices.Contains(p.Livemode, f.env.Livemode)
	account := p.Accounts == nil || slices.Contains(p.Accounts, f.env.Account)
	switch {
	case f.behaviour == unhandled:
		return policy.Accept
	case f.unknown():
		return policy.Park
	case mode && account:
		return policy.Accept
	case p.OnMismatch != "":
		return p.OnMismatch
	case !mode && f.env.Account != "":
		return policy.Ignore
	default:
		return policy.Park
	}
}

// home is the endpoint that takes an event's account.
func (f *fact) home() string { return cmp.Or(mapped()[f.env.Account], ingest.DefaultEndpoint) }

// openDeadLetters counts the dead letters that a redrive may finish: a policy parks the others again.
func (sc *scenario) openDeadLetters() (n int) {
	for _, m := range sc.dead.messages {
		e, err := queue.Decode(sc.consumed(m.body))
		if err != nil || sc.verdict(sc.policies, e.Endpoint, sc.fact(m.event)) == policy.Accept {
			n++
		}
	}
	return n
}

// delivery is the delivery of one event to one endpoint.
type delivery struct {
	f        *fact
	endpoint string
	due      time.Time // time of the next try, zero for none
	tries    int
}

// deliver makes one try: a process of ingest.
func (sc *scenario) deliver(d *delivery) {
	d.tries++
	if d.endpoint == queue.PartnerEndpoint {
		sc.put(d)
		return
	}
	d.due = time.Time{}
	if sc.fails(ingestion) {
		sc.log("delivery %d of %s finds no endpoint", d.tries, d.f.id)
		d.due = sc.redelivery(d)
		return
	}
	signed := webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{Payload: d.f.body, Secret: secret, Timestamp: time.Now()})
	e := sc.freeEnvironment()
	p := &proc{name: "ingest of " + d.f.id + " at " + d.endpoint, ends: time.Now().Add(sc.limits.IngestTimeout)}
	status, ok := 0, false
	p.finish = func() {
		sc.log("%s answers %d", p.name, status)
		sc.checkDelivery(p, e, d, status)
		ok = status == 200 && !sc.faulty(sc.plan.lose)
		d.f.accepted = d.f.accepted || ok // an answer that is lost promises nothing
	}
	p.over = func() {
		if !ok || sc.faulty(sc.plan.again) {
			d.due = sc.redelivery(d)
		}
	}
	e.handle(p, ingest.Request{
		Method: "POST", Endpoint: d.endpoint, ContentType: "application/json", Signature: signed.Header, Body: d.f.body,
	}, func(answer ingest.Answer, err error) {
		if status = answer.Status; err != nil {
			status = 500
		}
	})
}

// redelivery returns when Stripe retries, zero when it stops. Without reconcile it never stops, as
// nothing else would deliver the event.
func (sc *scenario) redelivery(d *delivery) time.Time {
	next := time.Now().Add(sc.plan.retries(sc, d.tries))
	n := sc.plan.reconciler
	if sc.swept(d.f) && (n.maxDeliveries > 0 && d.tries >= n.maxDeliveries || next.Sub(d.f.happened) > retryDays) {
		sc.log("Stripe stops delivering %s after %d deliveries", d.f.id, d.tries)
		return time.Time{}
	}
	return next
}

// excludes reports whether policies exclude an event from reconcile.
func (sc *scenario) excludes(all map[string]policy.Policy, f *fact) bool {
	endpoint := f.home()
	return sc.verdict(all, endpoint, f) != policy.Accept || time.Unix(f.created, 0).Before(all[endpoint].From)
}

// sentUnder checks a send of reconcile or a replay: no endpoint excludes the event.
func (sc *scenario) sentUnder(p *proc, e event.Envelope) {
	if strings.HasPrefix(p.name, "replay") && sc.verdict(p.policies, e.Endpoint, sc.fact(e.ID)) != policy.Accept {
		sc.violate("%s: a replay sends it under %s, whose policy excludes it", e.ID, e.Endpoint)
	}
	if !strings.HasPrefix(p.name, "reconcile") {
		return
	}
	sc.reconciler.checkSince(sc.fact(e.ID))
	sc.checkQuiet(p, sc.fact(e.ID))
	if f := sc.fact(e.ID); sc.plan.policies.on && sc.excludes(p.policies, f) {
		sc.violate("%s: reconcile sends it under %s, whose policy excludes it", f.id, e.Endpoint)
	}
}
