package dynamostore

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"tollgate/pkg/event"
	"tollgate/pkg/limits"
	"tollgate/pkg/reconcile"
)

// coverKey is the key of the note of one slice: COVER#<mode>#<account or ->#<tier>#<start>.
func coverKey(c reconcile.Covered) string {
	return "COVER#" + event.Mode(c.Livemode) + "#" + cmp.Or(c.Account, "-") + "#" + c.Tier + "#" + second(c.From)
}

// coverList is the partition of the index that has a month's notes, by their starts.
func coverList(month time.Time) string { return "COVER#" + month.UTC().Format("2006-01") }

// second writes a time so that texts sort as times do.
func second(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// CoverageClient is what [Coverage] needs of the SDK's DynamoDB client.
type CoverageClient interface {
	PutItem(context.Context, *dynamodb.PutItemInput, ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error)
}

// Coverage keeps which slices reconcile has finished; a later look at a slice replaces
// the note of an earlier one, and notes expire as records do. It is safe for concurrent
// use. Its errors are the service's, in text.
type Coverage struct {
	client CoverageClient
	reader *Reader
	ttl    time.Duration
}

// NewCoverage works on the reader's table.
func NewCoverage(client CoverageClient, r *Reader) (*Coverage, error) {
	if err := need(client != nil && r != nil, "any"); err != nil {
		return nil, err
	}
	return &Coverage{client: client, reader: r, ttl: limits.AWS().RecordTTL}, nil
}

// Cover notes a finished slice.
func (c *Coverage) Cover(ctx context.Context, n reconcile.Covered) error {
	it := item{
		"pk": str(coverKey(n)), "kind": str("coverage"), "lst": str(coverList(n.From)), "at": str(second(n.From)),
		"mode": str(event.Mode(n.Livemode)), "account": str(n.Account), "tier": str(n.Tier),
		"from": num(n.From.Unix()), "to": num(n.To.Unix()),
		"listed": num(int64(n.Listed)), "known": num(int64(n.Known)), "enqueued": num(int64(n.Enqueued)), "errors": num(int64(n.Errors)),
		"done_at": millis(n.DoneAt), "exp": num(n.DoneAt.Add(c.ttl).Unix()),
	}
	if !n.Since.IsZero() {
		it["since"] = millis(n.Since)
	}
	for name, text := range map[string]string{"endpoint": n.Endpoint, "excluded": n.Excluded} {
		if text != "" {
			it[name] = str(text)
		}
	}
	if _, err := c.client.PutItem(ctx, &dynamodb.PutItemInput{TableName: &c.reader.table, Item: it}); err != nil {
		return readError("note slice "+coverKey(n), err)
	}
	return nil
}

// Covered returns the notes of slices that begin in [from, to), and the keys of those that
// cannot be read.
func (c *Coverage) Covered(ctx context.Context, from, to time.Time) (notes []reconcile.Covered, broken []string, err error) {
	from, to = from.UTC(), to.UTC()
	month := time.Date(from.Year(), from.Month(), 1, 0, 0, 0, 0, time.UTC)
	for ; month.Before(to); month = month.AddDate(0, 1, 0) {
		page := Listed{From: second(from), To: second(to.Add(-time.Nanosecond)), Limit: pageItems}
		for {
			items, cursor, err := c.reader.Listed(ctx, coverList(month), page)
			if err != nil {
				return nil, nil, err
			}
			for _, it := range items {
				if n, ok := coveredOf(it); ok {
					notes = append(notes, n)
				} else {
					broken = append(broken, fmt.Sprint(it["pk"]))
				}
			}
			if cursor == "" {
				break
			}
			page.Cursor = cursor
		}
	}
	return notes, broken, nil
}

// coveredOf reads a note; false when an attribute is missing or of another type than ours.
func coveredOf(it map[string]any) (n reconcile.Covered, ok bool) {
	ok = true
	text := func(name string) string {
		s, is := it[name].(string)
		ok = ok && is
		return s
	}
	number := func(name string) int64 {
		n, is := it[name].(int64)
		ok = ok && is
		return n
	}
	n = reconcile.Covered{
		Livemode: text("mode") == event.Mode(true), Account: text("account"), Tier: text("tier"),
		From: time.Unix(number("from"), 0).UTC(), To: time.Unix(number("to"), 0).UTC(),
		Listed: int(number("listed")), Known: int(number("known")), Enqueued: int(number("enqueued")), Errors: int(number("errors")),
		DoneAt: time.UnixMilli(number("done_at")).UTC(),
	}
	// Attributes of a later release, written only where needed.
	if it["since"] != nil {
		n.Since = time.UnixMilli(number("since")).UTC()
	}
	if it["endpoint"] != nil {
		n.Endpoint = text("endpoint")
	}
	if it["excluded"] != nil {
		n.Excluded = text("excluded")
	}
	return n, ok
}
