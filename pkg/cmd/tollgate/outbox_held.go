package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/dynamostore"
)

// heldReaders is how many records are read in parallel.
const heldReaders = 8

// heldBy counts the held messages that events wrote, from their records and items: two reads
// for an event with a message. An event that is not done has written none yet.
func heldBy(ctx context.Context, reader *dynamostore.Reader, ids []string) (int, error) {
	var held, next atomic.Int64
	errs := make([]error, heldReaders)
	var wg sync.WaitGroup
	for worker := range heldReaders {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(ids)) && errs[worker] == nil; i = next.Add(1) - 1 {
				n, err := heldByOne(ctx, reader, ids[i])
				held.Add(int64(n))
				errs[worker] = err
			}
		})
	}
	wg.Wait()
	return int(held.Load()), errors.Join(errs...)
}

func heldByOne(ctx context.Context, reader *dynamostore.Reader, id string) (n int, err error) {
	record, found, err := reader.Get(ctx, id)
	if err != nil || !found {
		return 0, err
	}
	for _, key := range record.Effects {
		if !strings.HasPrefix(key, "OUT#") {
			continue
		}
		item, found, err := reader.Item(ctx, key)
		if err != nil {
			return n, err
		}
		if lst, _ := item["lst"].(string); found && lst == dispatch.HeldList(dispatch.OutboxShard(key)) {
			n++
		}
	}
	return n, nil
}

// heldText describes how many messages are held, and whether the number may still grow.
func heldText(n int, whole bool) string {
	text := plural(n, "message", "messages") + " about old states held"
	if !whole {
		text += " so far"
	}
	return text
}

// countHeld counts the held messages of events that were sent to the queue. It prints an
// error, which leaves the number unknown and does not fail the verb.
func (a *app) countHeld(ctx context.Context, t target, ids []string) (n int, err error) {
	reader, err := t.reader()
	if err == nil {
		n, err = heldBy(ctx, reader, ids)
	}
	if err != nil {
		fmt.Fprintf(a.err, "how many messages are held is not known (%v): tollgate outbox list --held\n", err)
	}
	return n, err
}
