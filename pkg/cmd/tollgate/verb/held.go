package verb

import (
	"context"
	"fmt"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/dynamostore"
)

const heldReaders = 8

// CountHeld counts the held messages that events wrote, with two reads for an event with a
// message. An event that is not done has written none yet. An error is printed: it leaves
// the number unknown and does not fail a verb.
func (a *App) CountHeld(ctx context.Context, t Target, ids []string) (n int, err error) {
	var held atomic.Int64
	reader, err := t.Reader()
	if err == nil {
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(heldReaders)
		for _, id := range ids {
			group.Go(func() error {
				n, err := heldByEvent(ctx, reader, id)
				held.Add(int64(n))
				return err
			})
		}
		err = group.Wait()
	}
	if err != nil {
		fmt.Fprintf(a.Err, "the number of held messages is unknown (%v): tollgate outbox list --held\n", err)
	}
	return int(held.Load()), err
}

func heldByEvent(ctx context.Context, reader *dynamostore.Reader, id string) (n int, err error) {
	record, found, err := reader.Get(ctx, id)
	if err != nil || !found {
		return 0, err
	}
	for _, key := range record.Effects {
		if !dispatch.IsMessageKey(key) {
			continue
		}
		item, found, err := reader.Item(ctx, key)
		if err != nil {
			return n, err
		}
		if lst, _ := item[dispatch.ListName].(string); found && lst == dispatch.HeldList(dispatch.OutboxShard(key)) {
			n++
		}
	}
	return n, nil
}

// HeldText describes how many messages are held, and whether the number is final.
func HeldText(n int, final bool) string {
	text := Plural(n, "message", "messages") + " about old states held"
	if !final {
		text += " so far"
	}
	return text
}
