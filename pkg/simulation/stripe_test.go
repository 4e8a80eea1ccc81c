package simulation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/stripe/stripe-go/v76/webhook"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/event"
	"tollgate/pkg/ingest"
	"tollgate/pkg/queue"
)

const secret = "whsec_simulation"

// behaviour is what an event's handler does until its bug is fixed.
type behaviour string

const (
	works     behaviour = "works"
	unhandled behaviour = "has no handler"
	flaky     behaviour = "fails at first"
	poison    behaviour = "fails"
	permanent behaviour = "fails for good"
	panics    behaviour = "panics"
	slow      behaviour = "is slow"
	long      behaviour = "takes nearly all its time"
	hangs     behaviour = "never returns"
	kills     behaviour = "kills the process"
	waits     behaviour = "asks for a later attempt"
)

func newBehaviour(rng *rand.Rand) behaviour {
	all := []behaviour{works, works, works, works, unhandled, flaky, flaky, poison, permanent, panics, slow, hangs, kills, waits}
	return all[rng.IntN(len(all))]
}

// fact is the scenario's state of one event.
type fact struct {
	id                          string
	n                           int // state of its object from then on, 0 for other event types
	behaviour                   behaviour
	body                        []byte
	env                         event.Envelope
	listed                      event.Envelope // as Stripe's list has it
	listedFor                   string         // the account in whose list it is
	accepted                    bool           // ingest answered 200
	happened                    time.Time
	since                       time.Time // of the state in its message
	firstReceived, lastReceived time.Time // as in its messages
	created                     int64
	shown                       time.Time      // when Stripe's list first has it
	garbled                     bool           // the list's version cannot be parsed whole
	runs                        int            // runs of its handler
	inside                      map[*proc]bool // true under a claim
	messages                    int            // sent to the queue in total
	comes                       []*delivery

	done             bool // its record was done at some time
	leftDone         int  // step at which a replay took it out of DONE
	copied           int  // step of the latest copy to the DLQ
	expired          bool // one of its messages expired
	broken           *breakage
	purgeMarked      bool  // its record has the purge mark
	marked           int   // step of the latest mark
	claimed          int   // step of the latest claim or completion
	holder           *proc // of the latest claim; guarded by the scenario's mutex
	withheld         bool  // its replay waits until its policy takes it
	handled          int   // step at which a message of Stripe's was first acknowledged as done, else -1
	deadLetterPurged bool  // one of its dead letters was purged
	purged           bool  // one of its dead letters without a record was purged

	reportedPurge int  // step at which a purge reported it, -1 for none since a claim
	ignored       bool // one of its messages was ignored by its endpoint
	replays       int
	history       []string // failed attempts that were written since it was last done
	begun         int64    // ms; of the latest attempt
}

func (sc *scenario) fact(id string) *fact {
	for _, f := range sc.facts {
		if f.id == id {
			return f
		}
	}
	panic("no event " + id)
}

func (sc *scenario) objectID(event int) string { return fmt.Sprintf("obj_%d", event%sc.plan.objects) }

// happen creates the scenario's events at Stripe.
func (sc *scenario) happen() {
	for i, b := range sc.plan.behaviours {
		id := fmt.Sprintf("evt_%d", i)
		typ, n := "thing.happened", 0
		switch {
		case b == unhandled:
			typ = "thing.unhandled"
		case sc.plan.rows.kept(i):
			typ, n = rowType, i+1
		case sc.plan.mail.has(i):
			typ = mailType
		}
		at := time.Now().Add(sc.plan.spread / time.Duration(sc.plan.events) * time.Duration(i))
		account, live := "", false
		if sc.plan.policies.on {
			account, live = []string{"acct_eu", "acct_us"}[sc.rng.IntN(2)], sc.rng.IntN(5) > 0
		}
		f := &fact{id: id, n: n, created: at.Unix(), behaviour: b, happened: at, leftDone: -1, copied: -1, marked: -1, handled: -1, reportedPurge: -1, inside: map[*proc]bool{}}
		object := fmt.Appendf(nil, `{"id":%q,"object":%q}`, sc.objectID(i), map[bool]string{true: "invoice", false: "thing"}[typ == mailType])
		if n > 0 {
			object = subscription(sc.objectID(i), n)
		}
		if sc.plan.reconciler.history.on && sc.plan.reconciler.history.old[i] {
			sc.before(f)
		}
		if f.since = f.happened; typ == mailType {
			f.since = f.since.Add(-sc.plan.mail.ages[i])
		}
		f.listedFor = account
		account, named := sc.named(account)
		f.body = eventBody(f, typ, named, live, object)
		for _, endpoint := range sc.plan.policies.endpoints() {
			if f.happened.Before(time.Now()) {
				break
			}
			f.comes = append(f.comes, &delivery{f: f, endpoint: endpoint, due: at.Add(sc.upTo(cmp.Or(sc.plan.delay, time.Minute)))})
		}
		if sc.plan.bus && len(f.comes) > 0 {
			f.comes = append(f.comes, &delivery{f: f, endpoint: queue.PartnerEndpoint, due: at.Add(sc.upTo(time.Minute))})
		}
		var err error
		if f.env, err = event.Parse(f.body); err != nil {
			panic(err)
		}
		f.env.Body, f.listed = f.body, f.env
		f.listed.Body = f.body
		if f.env.Account = account; sc.plan.policies.contexts {
			f.env.AccountFrom = event.FromContext
		}
		sc.plan.reconciler.draw(sc.rng, f)
		sc.facts = append(sc.facts, f)
	}
}

// eventBody is an event as Stripe signs it; account is the member that names its account.
func eventBody(f *fact, typ, account string, live bool, object []byte) []byte {
	return fmt.Appendf(nil, `{"id":%q,"object":"event",%s"api_version":"2023-10-16","created":%d,"livemode":%t,"type":%q,"data":{"object":%s}}`,
		f.id, account, f.created, live, typ, object)
}

// attack posts a stale, future, forged, unsigned or malformed request, which must be refused.
func (sc *scenario) attack(f *fact) {
	at, key, fresh := time.Now(), secret, true
	kind := sc.rng.IntN(6)
	switch kind {
	case 0:
		at, fresh = at.Add(-301*time.Second-sc.upTo(time.Hour)), false
	case 1:
		at = at.Add(302*time.Second + sc.upTo(time.Hour))
	case 2:
		key = "whsec_guessed"
	case 3:
		key = ""
	}
	signed := webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{Payload: f.body, Secret: key, Timestamp: at})
	header := signed.Header
	switch kind {
	case 4:
		header, fresh = "", false
	case 5:
		header, fresh = strings.ReplaceAll(header, "=", ":"), false
	}
	e := sc.freeEnvironment()
	p, before := &proc{name: "attack with " + f.id}, e.fetches
	var answer ingest.Answer
	var err error
	p.finish = func() { sc.checkAttack(p, e, header, fresh, before, answer, err) }
	e.handle(p, ingest.Request{
		Method: "POST", Endpoint: sc.plan.policies.endpoints()[0], ContentType: "application/json", Signature: header, Body: f.body,
	}, func(a ingest.Answer, failed error) { answer, err = a, failed })
}

// knownSecret is the signing secret of plans without a Secrets Manager.
type knownSecret struct{}

func (knownSecret) Active(context.Context, string) ([]string, error) {
	return []string{"", secret}, nil
}
func (s knownSecret) Refetched(ctx context.Context, endpoint string) ([]string, error) {
	return s.Active(ctx, endpoint)
}

// business is the handler. It adds one to an item of the event's own, which must equal the number of
// done generations, and to an item that events share.
type business struct{ sc *scenario }

func (b business) Handles(e event.Envelope) bool { return e.Type != "thing.unhandled" }

func (b business) Pure(event.Envelope) bool { return !b.sc.plan.claims }

func (b business) Dispatch(ctx context.Context, in dispatch.Input) (effects dispatch.Effects, err error) {
	defer func() {
		if v := recover(); v != nil {
			effects, err = nil, &dispatch.PanicError{Value: v}
		}
	}()
	f := b.sc.fact(in.ID)
	if in.Account != f.env.Account {
		b.sc.violate("%s: handled for account %q, it is of %q", f.id, in.Account, f.env.Account)
	}
	defer b.leave(procOf(ctx), f)
	if err := b.misbehave(ctx, f, in.Attempt > 0); err != nil {
		return nil, err
	}
	if f.n > 0 {
		return b.sc.currently(ctx, f, in)
	}
	if in.Type == mailType {
		return b.mailer(f).Dispatch(context.WithValue(ctx, forEvent{}, in.ID), in)
	}
	return b.effects(ctx, in)
}

// effects returns an event's effects.
func (b business) effects(ctx context.Context, in dispatch.Input) (dispatch.Effects, error) {
	own, err := b.count(ctx, "COUNT#"+in.ID, in.ID)
	if err != nil {
		return nil, err
	}
	shared, err := b.count(ctx, "OBJ#"+in.ObjectID, in.ID)
	if err != nil {
		return nil, err
	}
	return dispatch.Effects{own, dispatch.Insert("FACT#"+in.ID, dispatch.Fields{"event": in.ID}), shared}, nil
}

// count reads an item and returns the effect that adds one to it.
func (b business) count(ctx context.Context, key, who string) (dispatch.Effect, error) {
	row, err := b.sc.table.read(ctx, key, who)
	if err != nil {
		return dispatch.Effect{}, fmt.Errorf("read %s: %w", key, err)
	}
	n, _ := row["n"].(int64)
	ver, _ := row["ver"].(int64)
	return dispatch.Swap(key, ver, dispatch.Fields{"n": n + 1}), nil
}

// work is a handler's own work; a claimed run may call another service.
func (b business) work(ctx context.Context, f *fact, claimed bool) (runs int, err error) {
	err = do(b.sc, ctx, opWork, f.id, func() error {
		b.sc.entered(procOf(ctx), f, claimed)
		f.runs++
		runs = f.runs
		return nil
	})
	return runs, err
}

// leave runs also when the process is killed.
func (b business) leave(p *proc, f *fact) {
	b.sc.mu.Lock()
	delete(f.inside, p)
	b.sc.mu.Unlock()
}

func (b business) wait(ctx context.Context, f *fact, d time.Duration) error {
	return doAfter(b.sc, ctx, time.Now().Add(d), opWork, f.id, func() error { return nil })
}

func (b business) misbehave(ctx context.Context, f *fact, claimed bool) error {
	runs, err := b.work(ctx, f, claimed)
	if err != nil || b.sc.fixed.Load() {
		return err
	}
	switch f.behaviour {
	case flaky:
		if runs <= 2 {
			return errors.New("flaky")
		}
	case poison:
		return errors.New("a bug")
	case permanent:
		return dispatch.Permanent(errors.New("a bug"))
	case panics:
		panic("a bug")
	case waits:
		if runs <= 2 {
			return dispatch.RetryAfter(time.Duration(runs)*time.Minute, errors.New("not yet"))
		}
	case slow:
		return b.wait(ctx, f, 3*time.Second)
	case long:
		return b.wait(ctx, f, b.sc.limits.HandlerBudget-time.Second)
	case hangs: // it ignores its context
		if runs <= 2 {
			return b.wait(context.WithoutCancel(ctx), f, time.Hour)
		}
	case kills:
		b.sc.exits(procOf(ctx))
		return b.wait(context.WithoutCancel(ctx), f, time.Hour)
	}
	return nil
}

// retries returns Stripe's wait after the nth failed delivery.
type retries func(sc *scenario, n int) time.Duration

// fastRetries are short, so that many fit into a scenario.
func fastRetries(sc *scenario, n int) time.Duration {
	return time.Duration(min(n, 8)) * time.Duration(1+sc.rng.IntN(20)) * time.Minute
}

// stripeRetries back off exponentially, as Stripe documents it.
func stripeRetries(_ *scenario, n int) time.Duration {
	return min(5*time.Minute<<min(2*(n-1), 16), 12*time.Hour)
}

// retryDays is how long Stripe retries.
const retryDays = 3 * 24 * time.Hour
