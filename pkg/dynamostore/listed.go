package dynamostore

import (
	"cmp"
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"tollgate/pkg/dispatch"
)

// Listed asks for a page of what is listed under one name.
type Listed struct {
	From, To    string // bounds of "at", both inclusive, "" for none
	NewestFirst bool
	Limit       int    // items returned, defaults to DefaultLimit
	Cursor      string // of the page before; name, bounds and order must be the same
}

// Condition of a query of one partition of the index.
//
// Inputs: :lst; :from and :to where the request has them.
const (
	listedAll     = "lst=:lst"
	listedFrom    = " AND #at >= :from"
	listedTo      = " AND #at <= :to"
	listedBetween = " AND #at BETWEEN :from AND :to"
)

// Listed returns the items that the index [ListIndex] has under a name, by time, and the
// cursor of the next page, "" when nothing is left. The index lags a moment behind the
// table, and an item that changes between two pages may come twice or not at all. Values
// are as those of [Reader.Item].
func (r *Reader) Listed(ctx context.Context, lst string, o Listed) (items []map[string]any, next string, err error) {
	rows, next, err := r.listed(ctx, lst, o)
	for _, row := range rows {
		items = append(items, decodeItem(row))
	}
	return items, next, err
}

// Page returns a page of a list, the oldest items first, as [Reader.Listed] does. With it a
// Reader is what package ledger reads a table with.
func (r *Reader) Page(ctx context.Context, list, cursor string) (items []map[string]any, next string, err error) {
	return r.Listed(ctx, list, Listed{Cursor: cursor, Limit: pageItems})
}

func (r *Reader) listed(ctx context.Context, lst string, o Listed) (rows []item, next string, err error) {
	limit := cmp.Or(o.Limit, DefaultLimit)
	if lst == "" || limit < 0 {
		return nil, "", errors.New("list items: no name, or a negative limit")
	}
	var start position
	if o.Cursor != "" && (decodeCursor(o.Cursor, &start) != nil || start.PK == "" || start.At == "") {
		return nil, "", ErrCursor
	}
	q := o.query(r.table, lst)
	q.ExclusiveStartKey = start.listed(lst)
	for len(rows) < limit {
		q.Limit = aws.Int32(int32(min(pageItems, limit-len(rows))))
		out, err := r.query(ctx, q)
		if err != nil {
			return nil, "", err
		}
		rows = append(rows, out.Items...)
		if q.ExclusiveStartKey = out.LastEvaluatedKey; len(q.ExclusiveStartKey) == 0 {
			return rows, "", nil
		}
	}
	return rows, encodeCursor(positionOf(q.ExclusiveStartKey)), nil
}

// each calls do with every item of a query, until it returns false.
func (r *Reader) each(ctx context.Context, q *dynamodb.QueryInput, do func(item) bool) error {
	for {
		out, err := r.query(ctx, q)
		if err != nil {
			return err
		}
		for _, row := range out.Items {
			if !do(row) {
				return nil
			}
		}
		if q.ExclusiveStartKey = out.LastEvaluatedKey; len(q.ExclusiveStartKey) == 0 {
			return nil
		}
	}
}

func (r *Reader) query(ctx context.Context, q *dynamodb.QueryInput) (*dynamodb.QueryOutput, error) {
	out, err := r.client.Query(ctx, q)
	if err != nil {
		return nil, readError("list items of index "+aws.ToString(q.IndexName), err)
	}
	return out, nil
}

// query asks for pages of pageItems items.
func (o Listed) query(table, lst string) *dynamodb.QueryInput {
	values, bounds := item{":lst": str(lst)}, ""
	if o.From != "" {
		values[":from"], bounds = str(o.From), listedFrom
	}
	if o.To != "" {
		values[":to"], bounds = str(o.To), listedTo
		if o.From != "" {
			bounds = listedBetween
		}
	}
	q := &dynamodb.QueryInput{
		TableName: &table, IndexName: aws.String(ListIndex), KeyConditionExpression: aws.String(listedAll + bounds),
		ExpressionAttributeValues: values, ScanIndexForward: aws.Bool(!o.NewestFirst), Limit: aws.Int32(pageItems),
	}
	if bounds != "" {
		q.ExpressionAttributeNames = map[string]string{"#at": dispatch.ListOrder}
	}
	return q
}

// listed is the position as a start key in a partition of ListIndex; nil at the beginning.
func (p position) listed(lst string) item {
	if p.PK == "" {
		return nil
	}
	return item{"pk": str(p.PK), dispatch.ListName: str(lst), dispatch.ListOrder: str(p.At)}
}
