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

// Conditions of a query of one partition of the index.
//
// Inputs: :lst; :from and :to where the request has them.
const (
	listedAll     = "lst=:lst"
	listedFrom    = listedAll + " AND #at >= :from"
	listedTo      = listedAll + " AND #at <= :to"
	listedBetween = listedAll + " AND #at BETWEEN :from AND :to"
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

func (r *Reader) listed(ctx context.Context, lst string, o Listed) (rows []item, next string, err error) {
	limit := cmp.Or(o.Limit, DefaultLimit)
	if lst == "" || limit < 0 {
		return nil, "", errors.New("list items: no name, or a negative limit")
	}
	q := o.query(r.table, lst)
	if q.ExclusiveStartKey, err = listedStart(lst, o.Cursor); err != nil {
		return nil, "", err
	}
	for len(rows) < limit {
		q.Limit = aws.Int32(int32(min(pageItems, limit-len(rows))))
		out, err := r.client.Query(ctx, q)
		if err != nil {
			return nil, "", readError("list items of index "+ListIndex, err)
		}
		rows = append(rows, out.Items...)
		if q.ExclusiveStartKey = out.LastEvaluatedKey; len(q.ExclusiveStartKey) == 0 {
			return rows, "", nil
		}
	}
	return rows, encodeCursor(placeOf(q.ExclusiveStartKey)), nil
}

// each calls do with every item of a list, until it returns false.
func (r *Reader) each(ctx context.Context, lst string, o Listed, do func(item) bool) error {
	for o.Limit = pageItems; ; {
		rows, next, err := r.listed(ctx, lst, o)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if !do(row) {
				return nil
			}
		}
		if o.Cursor = next; next == "" {
			return nil
		}
	}
}

func (o Listed) query(table, lst string) *dynamodb.QueryInput {
	values := item{":lst": str(lst)}
	if o.From != "" {
		values[":from"] = str(o.From)
	}
	if o.To != "" {
		values[":to"] = str(o.To)
	}
	condition := listedAll
	switch {
	case o.From != "" && o.To != "":
		condition = listedBetween
	case o.From != "":
		condition = listedFrom
	case o.To != "":
		condition = listedTo
	}
	q := &dynamodb.QueryInput{
		TableName: &table, IndexName: aws.String(ListIndex), KeyConditionExpression: &condition,
		ExpressionAttributeValues: values, ScanIndexForward: aws.Bool(!o.NewestFirst),
	}
	if condition != listedAll {
		q.ExpressionAttributeNames = map[string]string{"#at": dispatch.ListOrder}
	}
	return q
}

// listedPlace is a place in a partition of the index: behind the item with this key.
type listedPlace struct {
	PK string `json:"p"`
	At string `json:"t"`
}

func listedStart(lst, cursor string) (item, error) {
	if cursor == "" {
		return nil, nil
	}
	var p listedPlace
	if decodeCursor(cursor, &p) != nil || p.PK == "" || p.At == "" {
		return nil, ErrCursor
	}
	return item{"pk": str(p.PK), dispatch.ListName: str(lst), dispatch.ListOrder: str(p.At)}, nil
}

func placeOf(row item) listedPlace {
	a := attributeReader{item: row}
	return listedPlace{PK: a.str("pk"), At: a.str(dispatch.ListOrder)}
}

func (p listedPlace) before(o listedPlace) bool {
	return cmp.Or(cmp.Compare(p.At, o.At), cmp.Compare(p.PK, o.PK)) < 0
}
