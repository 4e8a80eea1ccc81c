// Package scenes_test plays the billing scenes of package scenes against the real consumer and
// handlers, thousands of times, with delayed, reordered, repeated and concurrent deliveries, a Stripe
// that lags, and consumers that die around their commit. It checks that no kept row goes back to an older state and that the ledger is right at the end, and
// that the common mistakes fail these checks.
//
// It uses no sockets, no database and no real clock: a seed determines a play.
package scenes_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/stripe/stripe-go/v76"

	"tollgate/pkg/consumer"
	"tollgate/pkg/dispatch"
	"tollgate/pkg/event"
	"tollgate/pkg/handlers"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/idempotency/idempotencytest"
	"tollgate/pkg/limits"
	"tollgate/pkg/local/scenes"
	"tollgate/pkg/queue"
)

// sceneTime is when every scene ends.
var sceneTime = time.Unix(1_795_000_000, 0)

// play is one seeded run of a scene.
type play struct {
	rng   *rand.Rand
	scene scenes.Scene
	clock time.Time

	actions []scenes.Action // still to come
	queued  []queue.Message // sent and not finished
	depth   int             // nesting of consumers that meet

	sent     map[string]queue.Message // by event id, as first sent
	store    *idempotencytest.Memory
	system   consumer.Config
	consumer *consumer.Consumer
	stripe   *stripeState
	rows     *rowCheck
	deaths   int // of consumers
	dead     []queue.DeadLetter
	stale    error // the first row that went back
}

// flaw builds the system with a mistake.
type flaw struct {
	handlers func(*play) consumer.Handlers
	store    func(*play, consumer.Store) consumer.Store
}

// newPlay makes the play of a scene by a seed, which also sets mode, account and number of deliveries.
func newPlay(name string, seed uint64, f flaw) (*play, error) {
	o := scenes.Options{Seed: seed, Now: sceneTime, Livemode: seed%2 == 1}
	if seed%3 == 1 { // a scene of an organisation has accounts of its own
		o.Account = "acct_1Scene"
	}
	scene, err := scenes.Make(name, o)
	if err != nil {
		return nil, err
	}
	p := &play{
		rng: rand.New(rand.NewPCG(seed, 1)), scene: scene, clock: sceneTime,
		actions: scene.Shuffled(seed, 1+int(seed%3)),
		store:   idempotencytest.NewMemory(nil), stripe: &stripeState{lags: seed%4 == 3, objects: map[place][]version{}}, sent: map[string]queue.Message{},
	}
	if seed%8 == 6 { // most shuffled events arrive when all has happened
		p.actions = scene.InOrder(1)
	}
	p.rows = newRowCheck(p)
	var store consumer.Store = watched{p.store, p}
	if f.store != nil {
		store = f.store(p, store)
	}
	var h consumer.Handlers = p.mux(present{p})
	if f.handlers != nil {
		h = f.handlers(p)
	}
	owners := 0
	p.system = consumer.Config{
		Store: store, Queue: p, Handlers: h, Fetcher: noFetcher{}, Limits: limits.AWS(),
		Now: func() time.Time { return p.clock }, Rand: p.rng.Float64,
		Owner: func() string { owners++; return fmt.Sprintf("%032d", owners) },
		Exit:  func(int) { panic("a handler outlived its context") },
	}
	p.consumer, err = consumer.New(p.system)
	return p, err
}

func (p *play) mux(objects dispatch.Objects) *dispatch.Mux {
	mux := dispatch.NewMux(dispatch.Config{APIVersion: stripe.APIVersion, Objects: objects, Rows: p.store})
	handlers.Register(mux)
	return mux
}

// maxTurns bounds a play.
const maxTurns = 20_000

// run plays to the end and returns the first violation.
func (p *play) run(ctx context.Context) error {
	for turn := 0; len(p.actions)+len(p.queued) > 0; turn++ {
		if turn > maxTurns {
			return fmt.Errorf("the play does not end: %d messages come back again and again: %s", len(p.queued), p.unfinished())
		}
		p.clock = p.clock.Add(time.Duration(p.rng.IntN(4000)) * time.Millisecond)
		p.turn(ctx)
		if p.stale != nil {
			return p.stale
		}
	}
	return p.checkEnd(ctx)
}

// unfinished describes the records that are not done.
func (p *play) unfinished() (all []string) {
	for _, r := range p.store.Records() {
		if r.State != idempotency.Done {
			all = append(all, fmt.Sprintf("%s %s %s attempt %d: %s", r.ID, r.Type, r.State, r.Attempt, r.Err))
		}
	}
	return all
}

// turn runs the next action of the scene, or the consumer with a message.
func (p *play) turn(ctx context.Context) {
	switch {
	case len(p.queued) > 0 && (len(p.actions) == 0 || p.rng.IntN(2) == 0):
		p.consume(ctx)
	case len(p.actions) > 0:
		a := p.actions[0]
		p.actions = p.actions[1:]
		if a.Step != nil {
			p.step(*a.Step)
		} else {
			p.queued = append(p.queued, p.message(a.Event))
		}
	}
}

// meanwhile is what happens while a consumer waits for an answer.
func (p *play) meanwhile(ctx context.Context) {
	if p.depth > 2 || p.rng.IntN(3) > 0 {
		return
	}
	for range 1 + p.rng.IntN(3) {
		p.clock = p.clock.Add(time.Duration(p.rng.IntN(200)) * time.Millisecond)
		p.turn(ctx)
	}
}

func (p *play) step(s scenes.Step) {
	visible := p.stripe.next(p.clock, p.rng)
	for _, raw := range s.Objects {
		at, small := place{s.Account, idOf(raw)}, compact(raw)
		p.stripe.set(at, version{visible, small})
		p.rows.newState(at, small)
	}
	for _, id := range s.Gone {
		p.stripe.set(place{s.Account, id}, version{visible, nil})
	}
}

// idOf reads the id, which is the first member of each object and event.
func idOf(raw json.RawMessage) string {
	before, after, _ := bytes.Cut(raw, []byte(`"id": "`))
	id, _, ok := bytes.Cut(after, []byte(`"`))
	if !ok || len(bytes.TrimSpace(before)) != 1 {
		panic("an object or event that does not begin with its id")
	}
	return string(id)
}

// compact removes white space, which halves the time of a play.
func compact(raw json.RawMessage) json.RawMessage {
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// message is one delivery of an event, as ingest enqueues it.
func (p *play) message(raw json.RawMessage) queue.Message {
	id := idOf(raw)
	m, again := p.sent[id]
	if !again {
		body := compact(raw)
		env, err := event.Parse(body)
		if err != nil {
			panic(err)
		}
		env.Endpoint, env.Source, env.ReceivedAt, env.Body = "default", event.Webhook, p.clock, body
		if m.Body, err = queue.Encode(env); err != nil {
			panic(err)
		}
		p.sent[id] = m
	}
	m.ID = strconv.Itoa(p.rng.IntN(1 << 50))
	m.Receipt, m.SentAt = m.ID, p.clock
	return m
}

// consume invokes the consumer with a random message.
func (p *play) consume(ctx context.Context) {
	i := p.rng.IntN(len(p.queued))
	m := p.queued[i]
	p.queued = append(p.queued[:i:i], p.queued[i+1:]...)
	m.Receives++
	if m.FirstReceivedAt.IsZero() {
		m.FirstReceivedAt = p.clock
	}
	d := &death{}
	if p.rng.IntN(20) == 0 {
		d.when = dies(1 + p.rng.IntN(2))
	}
	p.depth++
	failed, err := p.consumer.Handle(context.WithValue(ctx, death{}, d), []queue.Message{m})
	p.depth--
	if err != nil || len(failed) > 0 || d.done {
		p.queued = append(p.queued, m)
	}
	if d.done { // another process starts
		p.deaths++
		if p.consumer, err = consumer.New(p.system); err != nil {
			panic(err)
		}
	}
}

// present is Stripe with the current objects. Other turns run before it answers and while the
// answer is on its way.
type present struct{ *play }

func (s present) FetchObject(ctx context.Context, account, kind, id string) ([]byte, error) {
	s.meanwhile(ctx)
	object := s.stripe.expanded(place{account, id}, kind, s.clock)
	s.meanwhile(ctx)
	if object == nil {
		return nil, dispatch.Park(dispatch.ReasonObjectGone, fmt.Errorf("no object %s of account %q", id, account))
	}
	return object, nil
}

// watched checks the rows after every completion.
type watched struct {
	consumer.Store
	*play
}

type noFetcher struct{}

func (noFetcher) FetchEvent(context.Context, string, string, bool) ([]byte, error) {
	panic("no message of a scene lacks its body")
}

// SetVisibility, Delete and DeadLetter are the queue; an unfinished message is received again.
func (p *play) SetVisibility(context.Context, string, time.Duration) error { return nil }

func (p *play) Delete(context.Context, []string) error { return nil }

func (p *play) DeadLetter(_ context.Context, _ queue.Message, d queue.DeadLetter) error {
	p.dead = append(p.dead, d)
	return nil
}
