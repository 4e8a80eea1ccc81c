package dynamodb

import (
	"context"

	"go.etcd.io/bbolt"

	"tollgate/pkg/local/aws/dynamodb/value"
)

type transactGetItem struct {
	Get *struct {
		TableName                string
		Key                      value.Item
		ProjectionExpression     *string
		ExpressionAttributeNames map[string]string
	}
}

type transactGetInput struct {
	TransactItems          []transactGetItem
	ReturnConsumedCapacity string `enum:"INDEXES,TOTAL,NONE"`
}

// transactGet reads up to 100 items of one snapshot.
func (d *DB) transactGet(_ context.Context, in *transactGetInput) (any, error) {
	if n := len(in.TransactItems); n < 1 || n > maxTransactItems {
		return nil, constraint(n, "transactItems", "have length between 1 and 100")
	}
	reads := make([]*read, len(in.TransactItems))
	for i, it := range in.TransactItems {
		if it.Get == nil {
			return nil, constraint("null", "transactItems.member.get", "not be null")
		}
		r, err := d.newRead(it.Get.TableName, it.Get.Key, it.Get.ProjectionExpression, it.Get.ExpressionAttributeNames)
		if err != nil {
			return nil, err
		}
		reads[i] = r
	}
	responses := make([]getItemOutput, len(reads))
	err := d.view(func(tx *bbolt.Tx) error { return readAll(tx, reads, responses) })
	return map[string]any{"Responses": responses}, err
}

func readAll(tx *bbolt.Tx, reads []*read, out []getItemOutput) error {
	reasons := make([]reason, len(reads))
	cancelled := false
	size := 0
	for i, r := range reads {
		reasons[i] = reason{Code: "None"}
		item, _, err := r.run(tx)
		if err != nil {
			if reasons[i], err = reasonFor(asAWS(err)); err != nil {
				return err
			}
			cancelled = true
		}
		out[i].Item = shape(item, r.projection)
		size += item.Size()
	}
	if cancelled {
		return cancellation(reasons)
	}
	if size > maxTransactBytes {
		return invalid("Transaction request size exceeds the limit of 4 MB; size: %d", size)
	}
	return nil
}
