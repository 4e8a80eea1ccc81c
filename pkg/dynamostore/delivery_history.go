package dynamostore

import (
	"context"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"tollgate/pkg/delivery"
	"tollgate/pkg/dispatch"
	"tollgate/pkg/limits"
)

// historyList is the list of a destination's deliveries of a day in UTC: one list would grow without
// end.
func historyList(destination, day string) string {
	return limits.KeyDelivery + destination + "#" + day
}

// dayOf is the beginning of a place.
func dayOf(place string) string { return place[:min(len(time.DateOnly), len(place))] }

// The note of a delivery: PutItem of DLV#…, which holds while it has no row. An attempt begins as
// that of a delivery that waits.
const noteFirst = "attribute_not_exists(pk)"

// Note writes a delivery's row with its place in its destination's list.
func (s *Store) Note(ctx context.Context, j delivery.Job, at time.Time) error {
	place := delivery.Place(j.Message, at)
	it := item{
		"pk": str(deliveryKey(j)), "st": str(string(delivery.Waiting)), "next": millis(at), "exp": num(at.Add(s.rowTTL).Unix()),
		dispatch.ListName: str(historyList(j.Destination, dayOf(place))), dispatch.ListOrder: str(place),
	}
	f := s.retry(ctx, func(ctx context.Context) error {
		_, err := s.writer.client.PutItem(ctx, &dynamodb.PutItemInput{TableName: &s.writer.table, Item: it, ConditionExpression: aws.String(noteFirst)})
		return err
	})
	if f != nil && f.kind != refused { // handed over before
		return f.down("note delivery")
	}
	return nil
}

// History returns a part of a destination's list, the oldest first. The index lags a moment behind
// the table: ask for what was handed over a while ago.
func (r *Reader) History(ctx context.Context, q delivery.Query) (page []delivery.Listed, err error) {
	from, err := delivery.PlaceTime(q.After)
	if err != nil {
		return nil, err
	}
	until := delivery.At(q.Until)
	for day := from.UTC().Truncate(24 * time.Hour); !day.After(q.Until) && len(page) < q.Limit; day = day.Add(24 * time.Hour) {
		list, begin := historyList(q.Destination, day.Format(time.DateOnly)), max(q.After, day.Format(time.DateOnly))
		if begin > until { // DynamoDB refuses such bounds
			break
		}
		// Its bounds are inclusive: one more, for the place itself.
		rows, _, err := r.listed(ctx, list, Listed{From: begin, To: until, Limit: q.Limit - len(page) + 1})
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			l, err := listedDelivery(row, q.Destination)
			if err != nil {
				return nil, err
			}
			if l.Place != q.After && len(page) < q.Limit {
				page = append(page, l)
			}
		}
	}
	return page, nil
}

func listedDelivery(row item, destination string) (l delivery.Listed, err error) {
	a := attributeReader{item: row}
	key := strings.TrimSuffix(strings.TrimPrefix(a.str("pk"), limits.KeyDelivery), "#"+destination)
	l.Job, l.Place = delivery.Job{Message: key, Destination: destination}, a.str(dispatch.ListOrder)
	if l.At, err = delivery.PlaceTime(l.Place); err != nil {
		a.wrong(dispatch.ListOrder)
	}
	if a.err != nil {
		return l, a.err
	}
	l.Row, err = deliveryRow(row)
	return l, err
}

// tokensKey is the key of the item with the digests of a destination's tokens.
func tokensKey(destination string) string { return limits.KeyToken + destination }

// Tokens are the digests of a destination's tokens. Ver is 0 without an item.
type Tokens struct {
	Ver     int64
	Digests []string
}

// Tokens reads a destination's tokens with strong consistency.
func (r *Reader) Tokens(ctx context.Context, destination string) (Tokens, error) {
	attributes, err := r.get(ctx, tokensKey(destination))
	if err != nil {
		return Tokens{}, err
	}
	a := attributeReader{item: attributes}
	return Tokens{Ver: a.num("ver", 0), Digests: a.strs("digests")}, a.err
}

// SwapTokens replaces a destination's tokens if their version is still was.Ver.
func (d *Deliveries) SwapTokens(ctx context.Context, destination string, next Tokens) (won bool, err error) {
	it := item{"pk": str(tokensKey(destination)), "kind": str("tokens"), "ver": num(next.Ver + 1), "digests": strs(next.Digests)}
	condition, values := stateFirst, item(nil)
	if next.Ver > 0 {
		condition, values = stateSwap, item{":was": num(next.Ver)}
	}
	refusedBy, err := d.putItem(ctx, "write tokens", it, condition, values)
	return err == nil && refusedBy == nil, err
}
