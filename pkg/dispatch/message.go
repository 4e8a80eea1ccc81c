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
	MessageQueued = "queued_at" // when it was asked for, in ms; a release sets it anew
	MessageHeld   = "held"      // why it was held: HeldOld or HeldBeforeBegin; absent on others
)

// Reasons to hold a message.
const (
	HeldOld         = "old"          // its state was older than Hold.After when the event was received
	HeldBeforeBegin = "before_begin" // its state is older than the begin of history
)

// Message requests that a message be sent: it is inserted under key, OUT#<what it is
// about>#<name>, and sent after the commit. since is when the state that it tells of began at
// Stripe (an invoice paid, a dispute created), never when its event was made or handled.
// [Mux.Dispatch] adds the fields lst, at, [MessageQueued] and [MessageHeld], and so decides
// by [Hold] whether the message is sent or held.
func Message(key string, since time.Time, f Fields) Effect {
	return Effect{Kind: KindInsert, Key: key, Fields: f, Since: since}
}

// DefaultHoldAfter is the default of Hold.After: Stripe repeats a webhook for three days, and
// a message about a state of the last day is still news.
const DefaultHoldAfter = 24 * time.Hour

// Hold says which messages are held back because they tell of an old state.
type Hold struct {
	// After is how old a state may have been when its event was received; a message about an
	// older one is held. The receipt counts, not the handling, so a redrive days later holds
	// nothing. Defaults to DefaultHoldAfter.
	After time.Duration
	// Begins gives the begin of each account's history; messages about older states are held.
	// Default none: only After holds.
	Begins Begins
}

// Begins gives the begin of history: another system handled what happened before.
type Begins interface {
	// Begin returns the begin of an account's history, "" for the platform's own; false
	// when there is none yet. Safe for concurrent use.
	Begin(ctx context.Context, livemode bool, account string) (time.Time, bool, error)
}

// FixedBegin is the configured begin of every account's history.
type FixedBegin time.Time

// Begin implements [Begins].
func (b FixedBegin) Begin(context.Context, bool, string) (time.Time, bool, error) {
	return time.Time(b), true, nil
}

// address returns the effects with each message put on a list: to be sent, or held. An item
// that looks like a message and has no time of its state is refused, so no handler can bypass
// the rule.
func (h *holder) address(ctx context.Context, in Input, effects Effects) (Effects, error) {
	all := slices.Clone(effects)
	for i, e := range all {
		if err := e.checkMessage(); err != nil {
			return nil, Park(ReasonRejected, fmt.Errorf("effect %d (%s): %w", i, e.Kind, err))
		}
		if e.Since.IsZero() {
			continue
		}
		why, err := h.why(ctx, in, e.Since)
		if err != nil {
			return nil, err
		}
		fields := Fields{}
		maps.Copy(fields, e.Fields)
		fields[ListName], fields[ListOrder] = OutboxList(OutboxShard(e.Key)), e.Since.UTC().Format(time.RFC3339)
		fields[MessageQueued] = in.Now.UnixMilli()
		if why != "" {
			fields[ListName], fields[MessageHeld] = HeldList(OutboxShard(e.Key)), why
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
		return fmt.Errorf("message %q has no time of its state: use dispatch.Message", e.Key)
	case !e.Since.IsZero() && (e.Kind != KindInsert || !named):
		return fmt.Errorf("%q is not the insert of a message", e.Key)
	}
	return nil
}

// why returns the reason to hold a message, "" for none. For an event without a time of
// receipt only the begin counts.
func (h *holder) why(ctx context.Context, in Input, since time.Time) (string, error) {
	if !in.ReceivedAt.IsZero() && in.ReceivedAt.Sub(since) > h.After {
		return HeldOld, nil
	}
	begin, known, err := h.begin(ctx, in)
	if err != nil {
		return "", fmt.Errorf("read the begin of history: %w", err)
	}
	if known && since.Before(begin) {
		return HeldBeforeBegin, nil
	}
	return "", nil
}

// beginAgain is how long the absence of a begin is cached.
const beginAgain = time.Minute

// holder decides by a Hold. It caches every begin that it has found, as a begin never
// changes. Safe for concurrent use.
type holder struct {
	Hold

	mu    sync.Mutex
	known map[string]beginSeen
}

// beginSeen is a cached answer of Begins.
type beginSeen struct {
	at    time.Time
	found bool
	read  time.Time // when it was asked for
}

// begin reads the begin of the event's account, at most once a minute until there is one.
func (h *holder) begin(ctx context.Context, in Input) (time.Time, bool, error) {
	if h.Begins == nil {
		return time.Time{}, false, nil
	}
	key := in.Mode() + "#" + in.Account
	h.mu.Lock()
	seen, asked := h.known[key]
	h.mu.Unlock()
	if asked && (seen.found || in.Now.Sub(seen.read) < beginAgain) {
		return seen.at, seen.found, nil
	}
	at, found, err := h.Begins.Begin(ctx, in.Livemode, in.Account)
	if err != nil {
		return time.Time{}, false, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.known == nil {
		h.known = map[string]beginSeen{}
	}
	h.known[key] = beginSeen{at, found, in.Now}
	return at, found, nil
}
