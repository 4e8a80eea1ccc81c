package dispatch

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Fields that Dispatch adds to a message.
const (
	MessageQueued = "queued_at" // when it was requested or, later, released; in ms
	MessageHeld   = "held"      // a reason below; absent if it was never held
)

// Reasons to hold a message.
const (
	HeldOld         = "old"          // its state was older than Hold.After when the event was received
	HeldBeforeBegin = "before_begin" // its state is older than the start of history
	HeldBefore      = "hold_before"  // its state is older than Hold.Before, or it was queued before
)

// Message requests that a message be sent: it is inserted under key, a [MessageKey], and sent
// after the commit. since is when the state that it reports began at Stripe, such as an
// invoice being paid, not when its event was created or handled. [Mux.Dispatch] decides by
// [Hold] whether it is sent or held, and adds [ListName], [ListOrder], [MessageQueued] and
// [MessageHeld].
func Message(key string, since time.Time, f Fields) Effect {
	return Effect{Kind: KindInsert, Key: key, Fields: f, Since: since}
}

// ToSend reports whether an effect of [Mux.Dispatch] is a message that is not held.
func (e Effect) ToSend() bool {
	return e.Kind == KindInsert && IsMessageKey(e.Key) && e.Fields[ListName] == OutboxList(OutboxShard(e.Key))
}

// Hold decides which messages are held because they report an old state.
type Hold struct {
	// After is the maximum age of a state when its event was received; messages about older
	// states are held. As the age at receipt counts, a redrive days later holds nothing.
	// Defaults to limits.HoldAfter.
	After time.Duration
	// Before is the moment from which the table is complete: a message about an earlier state may
	// have been sent, and was forgotten when the table was restored. Default zero.
	Before time.Time
	// Begins gives the start of each account's history; messages about earlier changes are
	// held. Default nil: only After decides.
	Begins Begins
}

// Begins gives the start of history: another system handled the events before it.
type Begins interface {
	// Begin returns the start of an account's history, false if there is none yet. account
	// is "" for the platform's own. Safe for concurrent use.
	Begin(ctx context.Context, livemode bool, account string) (time.Time, bool, error)
}

// FixedBegin is the configured start of every account's history.
type FixedBegin time.Time

// Begin implements [Begins].
func (b FixedBegin) Begin(context.Context, bool, string) (time.Time, bool, error) {
	return time.Time(b), true, nil
}

// enlist returns the effects with each message in a list: of those to be sent, or of those
// held. An item that looks like a message and has no Since is refused, so that no handler
// bypasses Hold.
func (h *holder) enlist(ctx context.Context, in Input, effects Effects) (Effects, error) {
	all := slices.Clone(effects)
	for i, e := range all {
		if err := e.checkMessage(); err != nil {
			return nil, Park(ReasonRejected, fmt.Errorf("effect %d (%s): %w", i, e.Kind, err))
		}
		if e.Since.IsZero() {
			continue
		}
		reason, err := h.reason(ctx, in, e.Since)
		if err != nil {
			return nil, err
		}
		fields := Fields{}
		maps.Copy(fields, e.Fields)
		fields[ListName], fields[ListOrder] = OutboxList(OutboxShard(e.Key)), e.Since.UTC().Format(time.RFC3339)
		fields[MessageQueued] = in.Now.UnixMilli()
		if reason != "" {
			fields[ListName], fields[MessageHeld] = HeldList(OutboxShard(e.Key)), reason
		}
		all[i] = Insert(e.Key, fields)
	}
	return all, nil
}

// checkMessage refuses a message that was not made by [Message] or is not an insert.
func (e Effect) checkMessage() error {
	list, _ := e.Fields[ListName].(string)
	named := IsMessageKey(e.Key)
	listed := strings.HasPrefix(list, outboxPrefix) || IsHeldList(list)
	switch {
	case e.Since.IsZero() && e.Kind != KindCheck && (named || listed):
		return fmt.Errorf("message %q has no Since: use dispatch.Message", e.Key)
	case !e.Since.IsZero() && (e.Kind != KindInsert || !named):
		return fmt.Errorf("%q has Since and is not the insert of a message", e.Key)
	}
	return nil
}

// reason returns why a message is held, "" if it is not. For an event without a time of
// receipt only Before and the start of history count.
func (h *holder) reason(ctx context.Context, in Input, since time.Time) (string, error) {
	if !in.ReceivedAt.IsZero() && in.ReceivedAt.Sub(since) > h.After {
		return HeldOld, nil
	}
	if since.Before(h.Before) {
		return HeldBefore, nil
	}
	begin, known, err := h.begin(ctx, in)
	if err != nil {
		return "", fmt.Errorf("read the start of history: %w", err)
	}
	if known && since.Before(begin) {
		return HeldBeforeBegin, nil
	}
	return "", nil
}

// noBeginTTL is how long a missing start of history is cached.
const noBeginTTL = time.Minute

// holder applies a Hold. It caches every start of history that it found, as it never
// changes. Safe for concurrent use.
type holder struct {
	Hold
	known sync.Map // cachedBegin by mode and account
}

// cachedBegin is a result of Begins.
type cachedBegin struct {
	at    time.Time
	found bool
	read  time.Time
}

// begin returns the start of history of the event's account. It reads it at most once a
// minute until there is one.
func (h *holder) begin(ctx context.Context, in Input) (time.Time, bool, error) {
	if h.Begins == nil {
		return time.Time{}, false, nil
	}
	key := in.Mode() + "#" + in.Account
	if v, ok := h.known.Load(key); ok {
		if c := v.(cachedBegin); c.found || in.Now.Sub(c.read) < noBeginTTL {
			return c.at, c.found, nil
		}
	}
	at, found, err := h.Begins.Begin(ctx, in.Livemode, in.Account)
	if err == nil {
		h.known.Store(key, cachedBegin{at, found, in.Now})
	}
	return at, found, err
}
