package dynamostore

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/outbox"
)

// The mark: UpdateItem of OUT#…, which takes the message off its list. It holds once for
// a message that is there; the time of its sending stays. With a retention the table may forget
// the message so long afterwards.
//
// Inputs: :now in ms; :exp in s.
const (
	markSentSet  = "SET sent_at=:now REMOVE lst"
	markSentKept = "SET sent_at=:now, exp=:exp REMOVE lst"
	markSentWhen = "attribute_exists(pk) AND attribute_not_exists(sent_at)"
)

// Unsent returns a page of a shard's unsent messages. The index lags a moment behind the
// table: messages that it still shows although they are marked as sent are skipped.
func (r *Reader) Unsent(ctx context.Context, q outbox.Query) (page []outbox.Message, next string, err error) {
	rows, next, err := r.listed(ctx, dispatch.OutboxList(q.Shard), Listed{NewestFirst: q.NewestFirst, Limit: q.Limit, Cursor: q.Cursor})
	if err != nil {
		return nil, "", err
	}
	for _, row := range rows {
		if row["sent_at"] == nil {
			m := outboxMessage(row)
			for _, name := range []string{dispatch.ListOrder, dispatch.MessageHeld, releasedAt} {
				delete(m.Fields, name) // only operators need them
			}
			page = append(page, m)
		}
	}
	return page, next, nil
}

// releasedAt is the attribute with the time of a held message's release, in ms.
const releasedAt = "released_at"

// outboxMessage decodes an item. Missing attributes stay empty, so that a malformed message is
// counted where messages are sent.
func outboxMessage(row item) outbox.Message {
	a := attributeReader{item: row}
	m := outbox.Message{Key: a.str("pk"), Name: a.str("name"), To: a.str("to"), Fields: decodeItem(row)}
	m.Since, _ = time.Parse(time.RFC3339, a.str(dispatch.ListOrder))
	queued := attributeReader{item: row}
	m.Queued = queued.millis(dispatch.MessageQueued)
	if queued.err != nil || m.Queued.IsZero() { // a message of an older release
		m.Queued = m.Since
	}
	for _, name := range []string{"pk", "name", "to", dispatch.ListName, dispatch.MessageQueued} {
		delete(m.Fields, name)
	}
	return m
}

// CountHeld counts a shard's held messages, at most as many as asked for.
func (r *Reader) CountHeld(ctx context.Context, shard, most int) (n int, err error) {
	list := dispatch.HeldList(shard)
	q := Listed{}.query(r.table, list)
	q.Select = types.SelectCount
	for n < most {
		q.Limit = aws.Int32(int32(most - n))
		out, err := r.client.Query(ctx, q)
		if err != nil {
			return n, readError("count items of "+list, err)
		}
		n += int(out.Count)
		if q.ExclusiveStartKey = out.LastEvaluatedKey; len(q.ExclusiveStartKey) == 0 {
			break
		}
	}
	return n, nil
}

// The release: UpdateItem of a held message, which puts it onto the list of its shard's
// messages to be sent. It holds once.
//
// Inputs: :held and :out, the shard's two lists; :now in ms.
const (
	releaseSet  = "SET lst=:out, queued_at=:now, released_at=:now"
	releaseWhen = "lst=:held AND attribute_not_exists(sent_at)"
)

// Release moves a held message to those to be sent. A message that is not held is
// unchanged, and the result shows it. A repeated request with the same time is one release.
func (o *Operator) Release(ctx context.Context, key string, now time.Time) (outbox.Release, error) {
	shard := dispatch.OutboxShard(key)
	old, err := o.setItem(ctx, "release "+key, key, releaseSet, releaseWhen, item{
		":held": str(dispatch.HeldList(shard)), ":out": str(dispatch.OutboxList(shard)), ":now": millis(now),
	})
	if err != nil {
		return "", err
	}
	switch {
	case old == nil, old.num("released_at", 0) == now.UnixMilli(): // by an earlier try whose response was lost
		return outbox.Released, nil
	case len(old.item) == 0:
		return outbox.NoMessage, nil
	case old.item["sent_at"] != nil:
		return outbox.AlreadySent, nil
	default:
		return outbox.NotHeld, nil
	}
}

// The hold: UpdateItem of an unsent message, which puts it onto the list of its shard's held ones. It
// holds for a message that was queued before a time, and neither sent, which takes it off :out, nor
// released since.
//
// Inputs: :held and :out, the shard's two lists; :reason; :before in ms.
const (
	holdSet  = "SET lst=:held, held=:reason"
	holdWhen = "lst=:out AND (attribute_not_exists(queued_at) OR queued_at<:before)"
)

// Hold implements outbox.Holder. A refusal is success: the message is no longer to be held.
func (s *Store) Hold(ctx context.Context, key string, before time.Time) error {
	shard := dispatch.OutboxShard(key)
	_, err := s.setItem(ctx, "hold "+key, key, holdSet, holdWhen, item{
		":held": str(dispatch.HeldList(shard)), ":out": str(dispatch.OutboxList(shard)), ":reason": str(dispatch.HeldBefore), ":before": millis(before),
	})
	return err
}

// MarkSent marks a message. A refusal is success: it was marked before, by a run that
// overlapped or by an earlier try whose response was lost.
func (s *Store) MarkSent(ctx context.Context, key string, at time.Time) error {
	set, values := markSentSet, item{":now": millis(at)}
	if s.kept.Sent > 0 {
		set, values[":exp"] = markSentKept, num(at.Add(s.kept.Sent).Unix())
	}
	_, err := s.setItem(ctx, "mark "+key+" as sent", key, set, markSentWhen, values)
	return err
}
