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

// Queue is the queue of events.
type Queue interface {
	// Send returns nil once the message is stored; after an error it may be stored too.
	Send(ctx context.Context, e event.Envelope, trace string) error
}

// Config of a [Replayer]. Fields without a default are required.
type Config struct {
	Records Records
	Store   Store
	Events  Events
	Queue   Queue

	// Endpoint is the endpoint in the messages: its policy applies to them. A record does not
	// keep the endpoint that received the event.
	Endpoint string
	// Excludes reports whether the endpoint's policy excludes an event: the consumer would
	// refuse its message, and the event would never run. Default: none is excluded.
	Excludes func(event.Envelope) bool
	// Paused reports whether a type, or everything, is paused or being resumed: the message would
	// wait, and a done event would not be done meanwhile. Default: none is.
	Paused func(ctx context.Context, eventType string) (bool, error)
	// Accounts to fetch an event as, in this order; "" is the key's own. Default: that one.
	Accounts []string
	// Carried means that the consumer cannot fetch the event, so that the message must carry
	// its body.
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
		return nil, fmt.Errorf("replay: %q is not an endpoint name: 1 to 32 of a-z, 0-9 and -", c.Endpoint)
	}
	if !c.DryRun && (c.By == "" || c.Why == "") {
		return nil, errors.New("replay needs an operator and a reason")
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
	Generation int64  // that the event runs in
	Attempt    int64  // of the record before: an attempt since has a higher number
	Note       string // for people: why the message was only sent
}

// writeTimeout bounds the write and the send together; an interrupt does not separate them.
const writeTimeout = 20 * time.Second

// Event replays one event. A *RefusedError means that nothing was written or sent.
func (r *Replayer) Event(ctx context.Context, id string) (Result, error) {
	record, found, err := r.cfg.Records.Get(ctx, id)
	if err != nil {
		return Result{}, err
	}
	if !found {
		return Result{}, &RefusedError{Reason: RefusedUnknown, Text: "the event is not known: it was never done", Hint: "tollgate backfill enqueues what the table lacks"}
	}
	now := r.cfg.Now()
	if err := runs(record, now, r.cfg.Limits); err != nil {
		return Result{}, err
	}
	if err := r.paused(ctx, record); err != nil {
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

// paused refuses an event of a paused type.
func (r *Replayer) paused(ctx context.Context, record idempotency.Record) error {
	if r.cfg.Paused == nil {
		return nil
	}
	if paused, err := r.cfg.Paused(ctx, record.Type); err != nil || !paused {
		return err
	}
	return &RefusedError{Reason: RefusedPaused, Text: record.Type + ", or everything, is paused or being resumed: its message would wait", Hint: "resume it first: tollgate resume " + record.Type + ", or --all"}
}

// runs refuses an event with a running attempt, or whose own message will be handled.
func runs(r idempotency.Record, now time.Time, l limits.Limits) error {
	if err := r.Check(); err != nil {
		return &RefusedError{Reason: RefusedBroken, Text: "its row is not a valid record", Err: err, Hint: "something else wrote it: repair it by hand"}
	}
	switch s := r.Status(now, l); {
	case r.Held(now, l):
		return &RefusedError{Reason: RefusedRunning, Text: "an attempt of the event is running", Hint: "wait for it: tollgate events show " + r.ID + " --wait 1m"}
	case r.State != idempotency.Running, s.Name == idempotency.StatusPurged, s.Stuck: // it has no message of its own
		return nil
	case s.Name == idempotency.StatusDead:
		return &RefusedError{Reason: RefusedDead, Text: "the event is not done: its last attempt died", Hint: "redrive its dead letter: tollgate redrive --id " + r.ID}
	default:
		return &RefusedError{Reason: RefusedRetrying, Text: "the event is not done: an attempt died, and its message will be retried", Hint: "tollgate events show " + r.ID + " --wait 10m"}
	}
}

// noteOf explains why the message of an event that is not done is only sent.
func noteOf(r idempotency.Record) string {
	switch {
	case !r.Purged.IsZero():
		return "it was purged; the replay removes the mark"
	case r.State == idempotency.Running:
		return "its last attempt died long ago, and no message has been received since"
	case r.Fails == 0 && r.ReplayBy != "":
		return "a replay was requested before and has not run yet"
	case r.ReceivesLeft == 0:
		return "it was not done; its dead letter stays, a leftover once the event is done"
	default:
		return "it was not done; its own message is retried too, unless it is a dead letter by now"
	}
}

// message returns the envelope of the message to send.
func (r *Replayer) message(ctx context.Context, record idempotency.Record) (event.Envelope, error) {
	e, err := r.source.open(ctx, record.ID, record.Type, record.Identity)
	if err != nil {
		return e, err
	}
	e.Endpoint, e.Source, e.ReceivedAt = r.cfg.Endpoint, event.Replay, r.cfg.Now()
	if r.cfg.Excludes != nil && r.cfg.Excludes(e) {
		return e, &RefusedError{
			Reason: RefusedExcluded, Text: fmt.Sprintf("the policy of endpoint %s excludes the event, so its message would be refused", e.Endpoint),
			Hint: "--endpoint names one that takes its mode and account",
		}
	}
	text, err := queue.Encode(e)
	if err != nil {
		return e, &RefusedError{Reason: RefusedUnreadable, Text: "the event cannot be encoded as a message", Err: err, Hint: "check the fetched event: its header is not Stripe's"}
	}
	if !r.cfg.Carried {
		return e, nil
	}
	if got, err := queue.Decode(text); err != nil || got.Body == nil {
		return e, &RefusedError{
			Reason: RefusedTooLarge, Text: "the event is too large for a message, and the consumer cannot fetch it",
			Hint: "without --from-file it is fetched from Stripe, for 30 days after its creation",
		}
	}
	return e, nil
}

// apply writes, then sends. A crash in between leaves a FAILED record; repeating the replay
// then only sends.
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
			return &RefusedError{Reason: RefusedChanged, Text: "another operator replays the event, or it runs again", Err: err, Hint: "tollgate events show " + record.ID}
		}
		if err != nil {
			return fmt.Errorf("replay event %s: %w", record.ID, err)
		}
	}
	if err := r.cfg.Queue.Send(ctx, e, ""); err != nil {
		return fmt.Errorf("event %s is set to run again, but its message may not be on the queue (run the same command again): %w", record.ID, err)
	}
	return nil
}
