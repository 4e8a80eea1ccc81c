package replay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/limits"
	"tollgate/pkg/queue"
)

// Store sets records to run again.
type Store interface {
	// Replay makes a done event run again at its next message. Its errors wrap
	// idempotency.ErrNoLongerDone or idempotency.ErrStoreDown.
	Replay(ctx context.Context, r idempotency.ReplayRequest) error
}

// Queue takes messages for the consumer.
type Queue interface {
	// Send returns nil once the message is stored; after an error it may be all the same.
	Send(ctx context.Context, e event.Envelope, trace string) error
}

// Config of a [Replayer]. Everything is needed but what has a default.
type Config struct {
	Records Records
	Store   Store
	Events  Events
	Queue   Queue

	// Endpoint is the name under which the messages travel, and so whose policy on modes
	// and accounts they meet: a record does not keep the one that it came by.
	Endpoint string
	// Excludes reports whether the endpoint's policy excludes an event: its message would be
	// refused, and a done record that is set to run again never run. Default: none.
	Excludes func(event.Envelope) bool
	// Accounts are asked for an event in this order, "" is the key's own. Default: that one.
	Accounts []string
	// Carried says that the bytes cannot be fetched again by the consumer, so that they
	// must travel in the message whole.
	Carried bool
	// DryRun fetches and checks, and writes and sends nothing.
	DryRun bool

	By, Why string           // kept in the record
	Limits  limits.Limits    // of the system; default: limits.AWS()
	Now     func() time.Time // default: time.Now
}

// Replayer runs done events again. It is safe for concurrent use.
type Replayer struct {
	cfg    Config
	source source
}

// New checks the configuration.
func New(c Config) (*Replayer, error) {
	if c.Records == nil || c.Store == nil || c.Events == nil || c.Queue == nil {
		return nil, errors.New("replay needs records, a store, events and a queue")
	}
	if !event.ValidEndpoint(c.Endpoint) {
		return nil, fmt.Errorf("replay: %q is no endpoint's name: 1 to 32 of a-z, 0-9 and -", c.Endpoint)
	}
	if !c.DryRun && (c.By == "" || c.Why == "") {
		return nil, errors.New("replay needs who asks for it, and why")
	}
	if len(c.Accounts) == 0 {
		c.Accounts = []string{""}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	c.Limits = cmp.Or(c.Limits, limits.AWS())
	return &Replayer{cfg: c, source: source{c.Events, c.Accounts}}, nil
}

// Action is what a replay did, or would do.
type Action string

const (
	Replayed    Action = "replayed" // the record was set to run again and a message sent
	Sent        Action = "sent"     // the record was not done: a message was sent, nothing written
	WouldReplay Action = "would_replay"
	WouldSend   Action = "would_send"
	Refused     Action = "refused" // nothing was written or sent
)

// Result is one event's replay.
type Result struct {
	Event      event.Envelope // without its body
	Action     Action
	Generation int64 // that the event runs in
	Attempt    int64 // that the record had before: what runs since has a higher one
	Note       string
}

// writeTimeout bounds record and message together: an interrupt does not come between them.
const writeTimeout = 20 * time.Second

// Event replays one event. A *RefusedError says that nothing was written or sent; any
// other error ends a run of several, as the next event would meet it too.
func (r *Replayer) Event(ctx context.Context, id string) (Result, error) {
	record, found, err := r.cfg.Records.Get(ctx, id)
	if err != nil {
		return Result{}, err
	}
	if !found {
		return Result{}, &RefusedError{Reason: RefusedUnknown, Text: "it is not known: it was never done", Hint: "tollgate backfill enqueues what the table lacks"}
	}
	now := r.cfg.Now()
	if err := runs(record, now, r.cfg.Limits); err != nil {
		return Result{}, err
	}
	e, err := r.message(ctx, record)
	if err != nil {
		return Result{}, err
	}
	res := Result{Event: e, Action: Replayed, Generation: record.Generation + 1, Attempt: record.Attempt}
	res.Event.Body = nil
	if record.State != idempotency.Done {
		res.Action, res.Generation, res.Note = Sent, record.Generation, noteOf(record)
	}
	if r.cfg.DryRun {
		res.Action = map[Action]Action{Replayed: WouldReplay, Sent: WouldSend}[res.Action]
		return res, nil
	}
	return res, r.apply(ctx, record, e, res.Action)
}

// runs refuses an event that an attempt holds, or whose own message will end it.
func runs(r idempotency.Record, now time.Time, l limits.Limits) error {
	if err := r.Check(); err != nil {
		return &RefusedError{Reason: RefusedBroken, Text: "its row cannot be read", Err: err, Hint: "something else wrote it: repair it by hand"}
	}
	switch s := r.Status(now, l); {
	case r.Held(now, l):
		return &RefusedError{Reason: RefusedRunning, Text: "an attempt of the event runs now", Hint: "wait for it: tollgate events show " + r.ID + " --wait 1m"}
	case r.State != idempotency.Running, s.Name == idempotency.StatusPurged, s.Stuck: // no message of its own comes
		return nil
	case s.Name == idempotency.StatusDead:
		return &RefusedError{Reason: RefusedDead, Text: "the event is not done: its last attempt died", Hint: "its dead letter runs it again: tollgate redrive"}
	default:
		return &RefusedError{Reason: RefusedRetrying, Text: "the event is not done: an attempt died, and its message comes back by itself", Hint: "tollgate events show " + r.ID + " --wait 10m"}
	}
}

// noteOf says why a record that is not done only gets a message.
func noteOf(r idempotency.Record) string {
	switch {
	case !r.Purged.IsZero():
		return "it was purged: this undoes it"
	case r.State == idempotency.Running:
		return "its last attempt died long ago, and no message came back since"
	case r.Fails == 0 && r.ReplayBy != "":
		return "a replay was asked for before and has not run yet"
	case r.ReceivesLeft == 0:
		return "it was not done; its dead letter stays, and is a leftover once this is done"
	default:
		return "it was not done; its own message comes again too, unless it is a dead letter by now"
	}
}

// message returns the event's envelope, of which a message can be made.
func (r *Replayer) message(ctx context.Context, record idempotency.Record) (event.Envelope, error) {
	e, err := r.source.open(ctx, record.ID, record.Type, record.Identity)
	if err != nil {
		return e, err
	}
	e.Endpoint, e.Source, e.ReceivedAt = r.cfg.Endpoint, event.Replay, r.cfg.Now()
	if r.cfg.Excludes != nil && r.cfg.Excludes(e) {
		return e, &RefusedError{
			Reason: RefusedExcluded, Text: fmt.Sprintf("the policy of endpoint %s excludes it, so its message would be refused", e.Endpoint),
			Hint: "--endpoint names one that takes its mode and account",
		}
	}
	text, err := queue.Encode(e)
	if err != nil {
		return e, &RefusedError{Reason: RefusedUnreadable, Text: "no message can be made of the event", Err: err, Hint: "look at what was fetched: its header is not Stripe's"}
	}
	if !r.cfg.Carried {
		return e, nil
	}
	if got, err := queue.Decode(text); err != nil || got.Body == nil {
		return e, &RefusedError{
			Reason: RefusedTooLarge, Text: "the event is too large for a message, and the consumer cannot fetch it",
			Hint: "without --from-file it is fetched from Stripe, for 30 days after it arose",
		}
	}
	return e, nil
}

// apply writes, then sends. A death in between leaves a record that says FAILED, which the
// same command then only sends.
func (r *Replayer) apply(ctx context.Context, record idempotency.Record, e event.Envelope, action Action) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("replay event %s: %w", record.ID, err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
	defer cancel()
	if action == Replayed {
		err := r.cfg.Store.Replay(ctx, idempotency.ReplayRequest{
			EventID: record.ID, Generation: record.Generation, Now: r.cfg.Now(), By: r.cfg.By, Why: r.cfg.Why,
		})
		if errors.Is(err, idempotency.ErrNoLongerDone) {
			return &RefusedError{Reason: RefusedChanged, Text: "somebody else replays the event, or it runs again", Err: err, Hint: "look at it: tollgate events show " + record.ID}
		}
		if err != nil {
			return fmt.Errorf("replay event %s: %w", record.ID, err)
		}
	}
	if err := r.cfg.Queue.Send(ctx, e, ""); err != nil {
		return fmt.Errorf("event %s is set to run again, but its message may not be on the queue (give the same command once more): %w", record.ID, err)
	}
	return nil
}
