package dynamostore

import (
	"cmp"
	"context"
	"slices"
	"time"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/outbox"
)

// OutboxRequest asks for a page of the messages that wait.
type OutboxRequest struct {
	Held, Unsent bool      // which; neither means both
	Name         string    // of this name only, such as "receipt"; "" for all
	Since, Until time.Time // of states that began then, both inclusive, to the second; zero for no bound
	Limit        int       // messages returned, defaults to DefaultLimit
	Cursor       string    // of the page before; the rest of the request must be the same
}

// WaitingMessage is a message that is held or to be sent.
type WaitingMessage struct {
	outbox.Message
	Held bool
}

// Waiting returns messages that wait, those about the oldest states first, and the cursor of
// the next page, "" when nothing is left. It lags a moment behind the table, as
// [Reader.Listed] does.
func (r *Reader) Waiting(ctx context.Context, req OutboxRequest) (page []WaitingMessage, next string, err error) {
	lists, err := r.waitingLists(req)
	if err != nil {
		return nil, "", err
	}
	for limit := cmp.Or(req.Limit, DefaultLimit); len(page) < limit; {
		var first *waitingList
		for _, l := range lists {
			if err := l.fill(ctx, req.Name); err != nil {
				return nil, "", err
			}
			if len(l.items) > 0 && (first == nil || placeOf(l.items[0]).before(placeOf(first.items[0]))) {
				first = l
			}
		}
		if first == nil {
			return page, "", nil
		}
		page = append(page, first.take())
	}
	return page, outboxCursor(lists), nil
}

// waitingList is a list that is read page by page.
type waitingList struct {
	reader *Reader
	name   string
	held   bool
	query  Listed      // for the next page
	items  []item      // read, not yet taken
	at     listedPlace // just after the last item taken
	end    bool        // there is no further page
}

// waitingLists returns the lists of a request, each at its place in the cursor.
func (r *Reader) waitingLists(req OutboxRequest) ([]*waitingList, error) {
	places := map[string]listedPlace{}
	if req.Cursor != "" {
		if decodeCursor(req.Cursor, &places) != nil || len(places) == 0 {
			return nil, ErrCursor
		}
	}
	q := Listed{Limit: min(pageItems, cmp.Or(req.Limit, DefaultLimit))}
	if !req.Since.IsZero() {
		q.From = second(req.Since)
	}
	if !req.Until.IsZero() {
		q.To = second(req.Until)
	}
	var lists []*waitingList
	for shard := range dispatch.OutboxShards {
		held := &waitingList{reader: r, name: dispatch.HeldList(shard), held: true, query: q}
		unsent := &waitingList{reader: r, name: dispatch.OutboxList(shard), query: q}
		if req.Held || !req.Unsent {
			lists = append(lists, held)
		}
		if req.Unsent || !req.Held {
			lists = append(lists, unsent)
		}
	}
	if req.Cursor == "" {
		return lists, nil
	}
	for _, l := range lists {
		at, more := places[l.name]
		l.end, l.at = !more, at
		if at.PK != "" {
			l.query.Cursor = encodeCursor(at)
		}
	}
	return lists, nil
}

// fill reads on until it has a message or the list ends. It skips a message that is marked as
// sent but still in the index, which lags.
func (l *waitingList) fill(ctx context.Context, name string) (err error) {
	for len(l.items) == 0 && !l.end {
		if l.items, l.query.Cursor, err = l.reader.listed(ctx, l.name, l.query); err != nil {
			return err
		}
		l.end = l.query.Cursor == ""
		l.items = slices.DeleteFunc(l.items, func(row item) bool {
			_, sent := row["sent_at"]
			return sent || name != "" && (&attributeReader{item: row}).str("name") != name
		})
	}
	return nil
}

func (l *waitingList) take() WaitingMessage {
	it := l.items[0]
	l.items, l.at = l.items[1:], placeOf(it)
	return WaitingMessage{Message: outboxMessage(it), Held: l.held}
}

// outboxCursor has the place in every list that is not read to its end.
func outboxCursor(lists []*waitingList) string {
	places := map[string]listedPlace{}
	for _, l := range lists {
		if len(l.items) > 0 || !l.end {
			places[l.name] = l.at
		}
	}
	if len(places) == 0 {
		return ""
	}
	return encodeCursor(places)
}
