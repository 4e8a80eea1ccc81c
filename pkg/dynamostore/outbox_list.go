package dynamostore

import (
	"cmp"
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

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
	limit := cmp.Or(req.Limit, DefaultLimit)
	o := Listed{}
	if !req.Since.IsZero() {
		o.From = second(req.Since)
	}
	if !req.Until.IsZero() {
		o.To = second(req.Until)
	}
	var lists []string
	for shard := range dispatch.OutboxShards {
		if req.Held || !req.Unsent {
			lists = append(lists, dispatch.HeldList(shard))
		}
		if req.Unsent || !req.Held {
			lists = append(lists, dispatch.OutboxList(shard))
		}
	}
	oldest := merge{
		read: func(p *partition) (*dynamodb.QueryOutput, error) {
			q := o.query(r.table, p.name)
			q.Limit, q.ExclusiveStartKey = aws.Int32(int32(min(pageItems, limit))), p.start.listed(p.name)
			return r.query(ctx, q)
		},
		keep: func(row item) bool { // the index lags, and may have a message that is marked as sent
			return row["sent_at"] == nil && (req.Name == "" || outboxMessage(row).Name == req.Name)
		},
		before: func(a, b position) bool { return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.PK, b.PK)) < 0 },
	}
	rows, next, err := oldest.take(lists, req.Cursor, limit)
	for _, row := range rows {
		a := attributeReader{item: row}
		held := a.str(dispatch.ListName) == dispatch.HeldList(dispatch.OutboxShard(a.str("pk")))
		page = append(page, WaitingMessage{Message: outboxMessage(row), Held: held})
	}
	return page, next, err
}
