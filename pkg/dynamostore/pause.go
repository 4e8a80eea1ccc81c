package dynamostore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tollgate/pkg/limits"
	"tollgate/pkg/pause"
	"tollgate/pkg/redrive"
)

// The switch: item OPS#pause {v, rev, paused {type: {at, by, why}}, resuming {type: {from, until,
// by}}}, times in ms. PutItem holds for whoever read the last revision. A release that changes
// what an attribute means, or adds one that an older release must heed, raises v.
const (
	pauseVersion = 1
	pauseWhen    = "rev=:rev"
	pauseFirst   = "attribute_not_exists(pk)"
)

// Pauses reads the switch as it is now; without an item nothing is paused. Its error wraps
// [pause.ErrUnreadable] if the item is of a newer release or damaged.
func (r *Reader) Pauses(ctx context.Context) (pause.State, error) {
	row, err := r.get(ctx, limits.KeyPause)
	if err != nil {
		return pause.State{}, err
	}
	return pausesOf(row)
}

// PutPauses replaces the switch whose revision is that of s; false when it has another one.
func (o *Operator) PutPauses(ctx context.Context, s pause.State) (written bool, err error) {
	paused, resuming := item{}, item{}
	for name, m := range s.Paused {
		paused[name] = &types.AttributeValueMemberM{Value: item{"at": millis(m.At), "by": str(bounded(m.By)), "why": str(bounded(m.Why))}}
	}
	for name, span := range s.Resuming {
		resuming[name] = &types.AttributeValueMemberM{Value: item{"from": millis(span.From), "until": millis(span.Until), "by": str(bounded(span.By))}}
	}
	when, values := pauseFirst, item(nil)
	if s.Revision > 0 {
		when, values = pauseWhen, item{":rev": num(s.Revision)}
	}
	refusedBy, err := o.putItem(ctx, "write pauses", item{
		"pk": str(limits.KeyPause), "v": num(pauseVersion), "rev": num(s.Revision + 1),
		"paused": &types.AttributeValueMemberM{Value: paused}, "resuming": &types.AttributeValueMemberM{Value: resuming},
	}, when, values)
	return err == nil && refusedBy == nil, err
}

func pausesOf(row item) (pause.State, error) {
	s := pause.State{Paused: map[string]pause.Mark{}, Resuming: map[string]pause.Span{}}
	if len(row) == 0 {
		return s, nil
	}
	a := attributeReader{item: row}
	a.need("v", "rev", "paused", "resuming")
	if v := a.num("v", 0); a.err == nil && v != pauseVersion {
		return s, fmt.Errorf("%w: form %d", pause.ErrUnreadable, v)
	}
	s.Revision = a.num("rev", 0)
	a.each("paused", func(name string, a *attributeReader) {
		a.need("at")
		s.Paused[name] = pause.Mark{At: a.millis("at"), By: a.str("by"), Why: a.str("why")}
	})
	a.each("resuming", func(name string, a *attributeReader) {
		a.need("from", "until")
		s.Resuming[name] = pause.Span{From: a.millis("from"), Until: a.millis("until"), By: a.str("by")}
	})
	if a.err == nil && s.Revision < 1 {
		a.wrong("rev")
	}
	if a.err != nil {
		return s, fmt.Errorf("%w: %w", pause.ErrUnreadable, a.err)
	}
	return s, nil
}

// each reads a map of maps.
func (a *attributeReader) each(name string, read func(key string, a *attributeReader)) {
	m, _ := value[*types.AttributeValueMemberM](a, name)
	if m == nil {
		return
	}
	for key, v := range m.Value {
		entry, ok := v.(*types.AttributeValueMemberM)
		if !ok {
			a.wrong(name)
			return
		}
		inner := &attributeReader{item: entry.Value}
		if read(key, inner); inner.err != nil {
			a.wrong(name)
		}
	}
}

// HoldLocks is the lock on the hold queue, as an operator's own methods are that on the
// dead-letter queue.
func (o *Operator) HoldLocks() redrive.Locks { return holdLock{o} }

type holdLock struct{ o *Operator }

func (l holdLock) LockDLQ(ctx context.Context, c redrive.Lock, now time.Time) error {
	err := l.o.lock(ctx, limits.KeyHoldLock, "hold queue", c, now)
	if held, is := errors.AsType[*redrive.LockedError](err); is {
		held.Lock.Queue = "hold queue"
	}
	return err
}

func (l holdLock) UnlockDLQ(ctx context.Context, owner string) error {
	return l.o.unlock(ctx, limits.KeyHoldLock, "hold queue", owner)
}
