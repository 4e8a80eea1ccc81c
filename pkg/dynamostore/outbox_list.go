package dynamostore

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
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

// List returns messages that wait, those about the oldest states first, and the cursor of
// the next page, "" when nothing is left. It lags a moment behind the table, as
// [Reader.Listed] does.
func (o *Outbox) List(ctx context.Context, req OutboxRequest) (page []WaitingMessage, next string, err error) {
	lists, err := o.waitingLists(req)
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
	query  Listed           // for the next page
	items  []map[string]any // read, not yet taken
	at     listedPlace      // just after the last item taken
	end    bool             // there is no further page
}

// waitingLists returns the lists of a request, each at its place in the cursor.
func (o *Outbox) waitingLists(req OutboxRequest) ([]*waitingList, error) {
	places := map[string]listedPlace{}
	if req.Cursor != "" {
		raw, err := base64.RawURLEncoding.DecodeString(req.Cursor)
		if err != nil || json.Unmarshal(raw, &places) != nil || len(places) == 0 {
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
		held := &waitingList{reader: o.reader, name: dispatch.HeldList(shard), held: true, query: q}
		unsent := &waitingList{reader: o.reader, name: dispatch.OutboxList(shard), query: q}
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
			l.query.Cursor = at.encode()
		}
	}
	return lists, nil
}

// fill reads on until it has a message or the list ends. It skips a message that is marked as
// sent but still in the index, which lags.
func (l *waitingList) fill(ctx context.Context, name string) (err error) {
	for len(l.items) == 0 && !l.end {
		if l.items, l.query.Cursor, err = l.reader.Listed(ctx, l.name, l.query); err != nil {
			return err
		}
		l.end = l.query.Cursor == ""
		l.items = slices.DeleteFunc(l.items, func(it map[string]any) bool {
			_, sent := it["sent_at"]
			return sent || name != "" && it["name"] != name
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
	raw, _ := json.Marshal(places) // of strings: cannot fail
	return base64.RawURLEncoding.EncodeToString(raw)
}

func placeOf(it map[string]any) listedPlace {
	pk, _ := it["pk"].(string)
	at, _ := it["at"].(string)
	return listedPlace{PK: pk, At: at}
}

func (p listedPlace) before(o listedPlace) bool {
	return cmp.Or(cmp.Compare(p.At, o.At), cmp.Compare(p.PK, o.PK)) < 0
}
