package outbox

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/limits"
)

// Marks records that messages were sent, as Store.MarkSent.
type Marks interface {
	MarkSent(ctx context.Context, key string, at time.Time) error
}

// HandOver returns a function that sends the messages among committed effects of
// dispatch.Mux.Dispatch, in their order, and marks each. Held ones are left out. It goes on
// after an error; what it could not send or mark is sent by [Drain].
func HandOver(marks Marks, sender Sender) func(context.Context, dispatch.Effects) error {
	return func(ctx context.Context, committed dispatch.Effects) error {
		var errs []error
		for _, e := range committed {
			if e.ToSend() {
				errs = append(errs, handOver(ctx, marks, sender, e))
			}
		}
		return errors.Join(errs...)
	}
}

func handOver(ctx context.Context, marks Marks, sender Sender, e dispatch.Effect) error {
	if err := send(ctx, sender, requested(e)); err != nil {
		return fmt.Errorf("send message: %s", limits.Cut(err.Error(), limits.MaxErrorText))
	}
	if err := marks.MarkSent(ctx, e.Key, time.Now()); err != nil {
		return fmt.Errorf("mark message as sent: %w", err)
	}
	return nil
}

// requested returns the message that an effect inserts, as the store reads it.
func requested(e dispatch.Effect) Message {
	m := Message{Key: e.Key, Fields: maps.Clone(e.Fields)}
	m.Name, _ = e.Fields["name"].(string)
	m.To, _ = e.Fields["to"].(string)
	order, _ := e.Fields[dispatch.ListOrder].(string)
	m.Since, _ = time.Parse(time.RFC3339, order)
	queued, _ := e.Fields[dispatch.MessageQueued].(int64)
	m.Queued = time.UnixMilli(queued)
	for _, name := range []string{"name", "to", dispatch.ListName, dispatch.ListOrder, dispatch.MessageQueued} {
		delete(m.Fields, name)
	}
	return m
}
