package redrive

import (
	"errors"
	"time"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/event"
	"tollgate/pkg/queue"
)

// Received is one receive of a message, with the attributes that its sender gave it.
type Received struct {
	queue.Message
	Attributes    map[string]string
	FirstReceived time.Time // zero when the queue does not tell
}

// From says where a letter's cause was found.
type From string

const (
	FromMessage From = "message" // the consumer sent the letter and wrote why beside it
	FromRecord  From = "record"  // the queue moved it; the event's record tells
	FromQueue   From = "queue"   // the queue moved it, and no record tells more
)

// ReasonMaxReceives is the reason of a letter that the queue itself moved after too
// many receives, unless its record names another.
const ReasonMaxReceives = "max_receives"

// Letter is a dead letter as an operator sees it: the event's header and why its
// message gave up. It never holds the payload.
type Letter struct {
	MessageID     string
	Event         event.Envelope // without Body; empty when Undecodable
	Undecodable   string         // why the body cannot be read, "" when it can
	IDOnly        bool           // no payload travels with the message
	Cause         queue.DeadLetter
	From          From
	Done          bool // the record says that the event is done: the letter is a leftover
	Receives      int  // as the dead-letter queue counts them, viewing included
	SentAt        time.Time
	FirstReceived time.Time
	Group         string
}

// EventID returns the id of the letter's event, "" when nothing tells it.
func (l Letter) EventID() string {
	if l.Event.ID != "" {
		return l.Event.ID
	}
	return l.Cause.EventID
}

// Type returns the type of the letter's event, "" when nothing tells it.
func (l Letter) Type() string {
	if l.Event.Type != "" {
		return l.Event.Type
	}
	return l.Cause.EventType
}

// letterOf reads a received message. The payload is the event's body, or the whole
// message when it cannot be read; nil for an id-only message.
func letterOf(m Received) (l Letter, payload []byte) {
	l = Letter{
		MessageID: m.ID, Receives: m.Receives, SentAt: m.SentAt,
		FirstReceived: m.FirstReceived, Group: m.Group, From: FromMessage,
	}
	env, err := queue.Decode(m.Body)
	if err != nil {
		l.Undecodable, payload = err.Error(), []byte(m.Body)
	} else {
		payload, env.Body = env.Body, nil
		l.Event, l.IDOnly = env, payload == nil
	}
	var told bool
	if l.Cause, told = queue.DeadLetterOf(m.Attributes); !told {
		l.moved(env, errors.Is(err, queue.ErrNewer))
	}
	return l, payload
}

// moved describes a letter that the queue moved, from its message alone. For a newer
// release's message, env has only what names its event.
func (l *Letter) moved(env event.Envelope, newer bool) {
	l.From = FromQueue
	l.Cause = queue.DeadLetter{Reason: ReasonMaxReceives, EventID: env.ID, EventType: env.Type, Error: l.Undecodable}
	switch {
	case newer:
		l.Cause.Reason = dispatch.ReasonNewerVersion
	case l.Undecodable != "":
		l.Cause.Reason = dispatch.ReasonUndecodable
	}
	l.Cause.Fingerprint = queue.Fingerprint(l.Cause.EventType, l.Cause.Reason, l.Cause.Error)
}
