package dynamostore

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"tollgate/pkg/idempotency"
)

// The list of records that no index has: Scan of the table, records only.
//
// Input: :records is what every record's key begins with.
const recordsOnly = "begins_with(pk, :records)"

// listTable scans until it has enough records, has read enough, or is at the end.
func (r *Reader) listTable(ctx context.Context, req ListRequest) (Page, error) {
	from, err := positionsOf(req.Cursor, 1)
	if err != nil {
		return Page{}, err
	}
	at, page := from[0], Page{Scanned: true}
	for !at.End && page.Read < req.MaxRead && len(page.Records) < req.Limit {
		out, err := r.scan(ctx, at, min(pageItems, req.MaxRead-page.Read))
		if err != nil {
			return Page{}, err
		}
		page.Read += int(out.ScannedCount)
		if at, err = take(req, out, &page); err != nil {
			return Page{}, err
		}
	}
	page.Cursor = cursor{at}.encode()
	return page, nil
}

func (r *Reader) scan(ctx context.Context, from position, items int) (*dynamodb.ScanOutput, error) {
	in := &dynamodb.ScanInput{
		TableName: &r.table, FilterExpression: aws.String(recordsOnly), Limit: aws.Int32(int32(items)),
		ExpressionAttributeValues: item{":records": str(idempotency.KeyPrefix)}, ConsistentRead: aws.Bool(true),
	}
	if from.PK != "" {
		in.ExclusiveStartKey = keyOf(from.PK)
	}
	out, err := r.client.Scan(ctx, in)
	if err != nil {
		return nil, readError("scan records", err)
	}
	return out, nil
}

// take adds the matching records of one page of a scan, and returns where to go on:
// in the middle of the page when the list is full.
func take(req ListRequest, out *dynamodb.ScanOutput, page *Page) (position, error) {
	for i, attributes := range out.Items {
		record := decodeRow(attributes)
		if !req.Matches(*record) {
			continue
		}
		page.Records = append(page.Records, *record)
		if len(page.Records) == req.Limit {
			page.Read -= len(out.Items) - 1 - i // the next page reads them again
			return position{PK: idempotency.Key(record.ID)}, nil
		}
	}
	a := attributeReader{item: out.LastEvaluatedKey}
	last := a.str("pk")
	return position{PK: last, End: last == ""}, a.err
}
