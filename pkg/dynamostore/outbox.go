package dynamostore

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"tollgate/pkg/outbox"
)

// The mark: UpdateItem of OUT#…, which takes the message off its list. It holds once for
// a message that is there; the time of its sending stays for good.
//
// Inputs: :now in ms.
const (
	markSentSet  = "SET sent_at=:now REMOVE lst"
	markSentWhen = "attribute_exists(pk) AND attribute_not_exists(sent_at)"
)

// OutboxClient is what [Outbox] needs of the SDK's DynamoDB client.
type OutboxClient interface {
	ReaderClient
	UpdateItem(context.Context, *dynamodb.UpdateItemInput, ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error)
}

// Outbox keeps the messages that handlers inserted. It implements outbox.Store and is
// safe for concurrent use; its errors are the service's, in text.
type Outbox struct {
	reader *Reader
	client OutboxClient
	table  string
}

// NewOutbox works on a table of the shape of [TableSchema].
func NewOutbox(client OutboxClient, table string) (*Outbox, error) {
	reader, err := NewReader(client, table)
	if err != nil {
		return nil, err
	}
	return &Outbox{reader: reader, client: client, table: table}, nil
}

// Unsent returns a page of a shard's unsent messages. The index lags a moment behind the
// table: what it shows although it is marked already is left out where the item says so.
func (o *Outbox) Unsent(ctx context.Context, q outbox.Query) (page []outbox.Message, next string, err error) {
	items, next, err := o.reader.Listed(ctx, outbox.ListName(q.Shard), Listed{NewestFirst: q.NewestFirst, Limit: q.Limit, Cursor: q.Cursor})
	if err != nil {
		return nil, "", err
	}
	for _, it := range items {
		if _, sent := it["sent_at"]; !sent {
			page = append(page, outboxMessage(it))
		}
	}
	return page, next, nil
}

// outboxMessage reads an item. One that lacks what a message needs has it empty, so that it
// is counted where messages are sent.
func outboxMessage(it map[string]any) outbox.Message {
	take := func(name string) string {
		s, _ := it[name].(string)
		delete(it, name)
		return s
	}
	m := outbox.Message{Key: take("pk"), Name: take("name"), To: take("to"), Fields: it}
	delete(it, "lst")
	return m
}

// MarkSent marks a message. A refusal is success: it was marked before, by a run that
// overlapped or by an earlier try whose answer was lost.
func (o *Outbox) MarkSent(ctx context.Context, key string, at time.Time) error {
	_, err := o.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &o.table, Key: keyOf(key),
		UpdateExpression: aws.String(markSentSet), ConditionExpression: aws.String(markSentWhen),
		ExpressionAttributeValues: item{":now": millis(at)},
	})
	if err == nil {
		return nil
	}
	if f := faultOf(err); f.kind != refused {
		return fmt.Errorf("mark %s as sent: %s", key, f.text)
	}
	return nil
}
