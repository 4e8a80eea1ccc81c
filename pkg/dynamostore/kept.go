package dynamostore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/drift"
	"tollgate/pkg/limits"
)

// The list of kept rows and entitlements: Scan of the table, their keys only. It is eventually
// consistent, at half the cost: whoever compares a row reads it again.
//
// Inputs: :rows and :entitlements are what the keys begin with.
const (
	keptOnly   = "begins_with(pk, :rows) OR begins_with(pk, :entitlements)"
	keptFields = "pk, " + dispatch.FetchedAt
)

// Kept returns one page of the keys of kept rows and entitlements, those after a key ("" from
// the beginning), and the key to go on after, "" at the end. A page has up to 1 MB of the table
// and may have no row. The order is the table's.
func (r *Reader) Kept(ctx context.Context, after string) (page []drift.Kept, next string, err error) {
	in := &dynamodb.ScanInput{
		TableName: &r.table, FilterExpression: aws.String(keptOnly), ProjectionExpression: aws.String(keptFields),
		ExpressionAttributeValues: item{":rows": str("OBJ#"), ":entitlements": str("ENT#")},
	}
	if after != "" {
		in.ExclusiveStartKey = keyOf(after)
	}
	out, err := r.client.Scan(ctx, in)
	if err != nil {
		return nil, "", readError("scan rows", err)
	}
	for _, row := range out.Items {
		a := attributeReader{item: row} // an unreadable time counts as long ago
		page = append(page, drift.Kept{Key: a.str("pk"), FetchedAt: a.millis(dispatch.FetchedAt)})
	}
	last := attributeReader{item: out.LastEvaluatedKey}
	return page, last.str("pk"), last.err
}

// Mend writes swaps in one transaction, each under the condition that its item has the swap's
// version or, for 0, is not there. All items get the version next. It is false, and nothing is
// written, if an item has another version.
func (o *Operator) Mend(ctx context.Context, swaps dispatch.Effects, next int64) (done bool, err error) {
	if err := swaps.Validate(); err != nil {
		return false, fmt.Errorf("mend row: %w", err)
	}
	items, err := o.transactItems(swaps, time.Time{})
	if err != nil {
		return false, fmt.Errorf("mend row: %w", err)
	}
	for _, it := range items {
		it.Put.Item["ver"] = num(next)
	}
	_, err = o.client.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: items})
	if err == nil {
		return true, nil
	}
	if canceled, ok := errors.AsType[*types.TransactionCanceledException](err); ok && onlyConflicts(canceled) {
		return false, nil
	}
	return false, readError("mend row", err)
}

// onlyConflicts reports whether a transaction was canceled because of other writers.
func onlyConflicts(e *types.TransactionCanceledException) bool {
	for _, reason := range e.CancellationReasons {
		switch aws.ToString(reason.Code) {
		case "", "None", "ConditionalCheckFailed", "TransactionConflict":
		default:
			return false
		}
	}
	return len(e.CancellationReasons) > 0
}

// positionKey is the item with the position of the weekly task that compares rows with Stripe.
const positionKey = limits.KeyPosition

// positionFormat is the version of that item's attributes.
const positionFormat = 1

// Saving the position: PutItem of OPS#verify. It holds for whoever read the last version.
//
// Input: :ver, the version that was read.
const (
	positionFirst = "attribute_not_exists(pk)"
	positionWhen  = "ver=:ver"
)

// Position reads the position of the comparison; zero if there is none. A position of a newer
// release is an error: it must not be overwritten.
func (r *Reader) Position(ctx context.Context) (p drift.Position, err error) {
	row, err := r.get(ctx, positionKey)
	if err != nil || len(row) == 0 {
		return p, err
	}
	a := attributeReader{item: row}
	if format := a.num("format", 0); format != positionFormat {
		return p, fmt.Errorf("read %s: format %d, this release reads %d", positionKey, format, positionFormat)
	}
	a.need("ver", "began_at")
	p = drift.Position{Ver: a.num("ver", 0), Began: a.millis("began_at"), Recent: passOf(&a, "recent"), Older: passOf(&a, "older")}
	if a.err != nil {
		err = fmt.Errorf("read %s: %w", positionKey, a.err)
	}
	return p, err
}

func passOf(a *attributeReader, name string) drift.Pass {
	m, ok := value[*types.AttributeValueMemberM](a, name)
	if !ok {
		return drift.Pass{}
	}
	in := attributeReader{item: m.Value}
	count := func(name string) int { return int(in.num(name, 0)) }
	p := drift.Pass{
		Started: in.millis("started_at"), Tried: in.millis("tried_at"), Verified: in.millis("verified_at"), After: in.str("after"),
		Checked: count("checked"), Drifted: count("drifted"), Failed: count("failed"), Skipped: count("skipped"),
	}
	if a.err == nil {
		a.err = in.err
	}
	return p
}

// SavePosition replaces the position that was read with version p.Ver. It is false, and nothing
// is written, if another run has saved one since.
func (s *Store) SavePosition(ctx context.Context, p drift.Position) (saved bool, err error) {
	condition, values := positionWhen, item{":ver": num(p.Ver)}
	if p.Ver == 0 {
		condition, values = positionFirst, nil
	}
	old, err := s.putItem(ctx, "save "+positionKey, item{
		"pk": str(positionKey), "format": num(positionFormat), "ver": num(p.Ver + 1), "began_at": millis(p.Began),
		"recent": passItem(p.Recent), "older": passItem(p.Older),
	}, condition, values)
	return err == nil && old == nil, err
}

func passItem(p drift.Pass) types.AttributeValue {
	it := item{
		"checked": num(int64(p.Checked)), "drifted": num(int64(p.Drifted)), "failed": num(int64(p.Failed)), "skipped": num(int64(p.Skipped)),
		"after": str(p.After),
	}
	for name, at := range map[string]time.Time{"started_at": p.Started, "tried_at": p.Tried, "verified_at": p.Verified} {
		if !at.IsZero() {
			it[name] = millis(at)
		}
	}
	return &types.AttributeValueMemberM{Value: it}
}
