package redrive

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/queue"
)

// Received is one receive of a dead letter.
type Received = queue.Received

// From is the source of a dead letter's cause.
type From string

const (
	FromMessage From = "message" // the consumer sent the dead letter and wrote the cause into its attributes
	FromRecord  From = "record"  // the queue moved the message; the cause is in the event's record
	FromQueue   From = "queue"   // the queue moved the message, and no record has more
)

// ReasonMaxReceives is the reason of a message that the queue itself moved after too
// many receives, unless its record has another.
const ReasonMaxReceives = "max_receives"

// DeadLetter is a message of the dead-letter queue: its event's header and why it was
// dead-lettered. It never holds the payload.
type DeadLetter struct {
	MessageID     string
	Event         event.Envelope // without Body; empty when Undecodable
	Undecodable   string         // why the body cannot be read, "" when it can
	IDOnly        bool           // the message carries no payload
	Cause         queue.DeadLetter
	From          From
	Done          bool // the event is done by its record: the message is a leftover
	Receives      int  // as the dead-letter queue counts them, reads by operators included
	SentAt        time.Time
	FirstReceived time.Time
	Group         string
}

// EventID returns the id of the message's event, "" when unknown.
func (d DeadLetter) EventID() string {
	return cmp.Or(d.Event.ID, d.Cause.EventID)
}

// Type returns the type of the message's event, "" when unknown.
func (d DeadLetter) Type() string {
	return cmp.Or(d.Event.Type, d.Cause.EventType)
}

// decode reads a received message. The payload is the event's body, or the whole
// message when it cannot be read; nil for an id-only message.
func decode(m Received) (d DeadLetter, payload []byte) {
	d = DeadLetter{
		MessageID: m.ID, Receives: m.Receives, SentAt: m.SentAt,
		FirstReceived: m.FirstReceived, Group: m.Group, From: FromMessage,
	}
	env, err := queue.Decode(m.Body)
	if err != nil {
		d.Undecodable, payload = err.Error(), []byte(m.Body)
	} else {
		payload, env.Body = env.Body, nil
		d.Event, d.IDOnly = env, payload == nil
	}
	var sent bool
	if d.Cause, sent = queue.DeadLetterOf(m.Attributes); !sent {
		d.moved(env, errors.Is(err, queue.ErrNewer))
	}
	return d, payload
}

// moved sets the cause of a message that the queue moved, from the message alone. For a newer
// release's message, env has only what names its event.
func (d *DeadLetter) moved(env event.Envelope, newer bool) {
	d.From = FromQueue
	d.Cause = queue.DeadLetter{Reason: ReasonMaxReceives, EventID: env.ID, EventType: env.Type, Error: d.Undecodable}
	switch {
	case newer:
		d.Cause.Reason = dispatch.ReasonNewerVersion
	case d.Undecodable != "":
		d.Cause.Reason = dispatch.ReasonUndecodable
	}
	d.Cause.Fingerprint = fingerprint(d.Cause.EventType, d.Cause)
}

// Records reads the idempotency record of an event; false when there is none.
type Records interface {
	Get(ctx context.Context, eventID string) (idempotency.Record, bool, error)
}

// explain completes dead letters from the records: which are leftovers of done events, and
// the causes of those that the queue moved.
func explain(ctx context.Context, records Records, list []*DeadLetter) error {
	errs := make([]error, len(list))
	each(len(list), func(i int) {
		if list[i].EventID() != "" && ctx.Err() == nil {
			errs[i] = explainOne(ctx, records, list[i])
		}
	})
	if err := cmp.Or(append(errs, ctx.Err())...); err != nil {
		return fmt.Errorf("read records of dead letters: %w", err)
	}
	return nil
}

// IsOf reports whether a record is of a dead letter's event. The id alone is not enough: the
// record may have another identity, or be written by something else.
func IsOf(r idempotency.Record, d DeadLetter) bool {
	return d.Undecodable == "" && r.Broken == "" && idempotency.IdentitiesOf(d.Event).Has(r.Identity)
}

func explainOne(ctx context.Context, records Records, d *DeadLetter) error {
	r, found, err := records.Get(ctx, d.EventID())
	if err != nil || !found || !IsOf(r, *d) {
		return err
	}
	d.Done = r.State == idempotency.Done
	if d.From != FromQueue {
		return nil
	}
	d.From = FromRecord
	d.Cause.Error, d.Cause.Attempt = r.Err, r.Attempt
	if r.Reason != "" {
		d.Cause.Reason = r.Reason
	}
	d.Cause.Fingerprint = fingerprint(d.Type(), d.Cause)
	return nil
}

// fingerprint is that of the failures before the queue moved the message, which had no reason.
func fingerprint(eventType string, cause queue.DeadLetter) string {
	if cause.Reason == ReasonMaxReceives {
		cause.Reason = ""
	}
	return queue.Fingerprint(eventType, cause.Reason, cause.Error)
}
