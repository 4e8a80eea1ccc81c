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
	var m meter
	if err := d.view(func(tx *bbolt.Tx) error { return readAll(tx, reads, responses, &m) }); err != nil {
		return nil, err
	}
	out := map[string]any{"Responses": responses}
	if report := m.report(in.ReturnConsumedCapacity, transactRead); report != nil {
		out["ConsumedCapacity"] = report
	}
	return out, nil
}

func readAll(tx *bbolt.Tx, reads []*read, out []getItemOutput, m *meter) error {
	reasons := make([]reason, len(reads))
	cancelled, seen := false, map[[2]string]bool{}
	size := 0
	for i, r := range reads {
		reasons[i] = reason{Code: "None"}
		item, key, err := r.run(tx)
		if err != nil {
			if reasons[i], err = reasonFor(asAWS(err)); err != nil {
				return err
			}
			cancelled = true
		}
		if id := [2]string{r.table, key}; key != "" {
			if seen[id] {
				return errItemTwice()
			}
			seen[id] = true
		}
		out[i].Item = shape(item, r.projection)
		size += item.Size()
		m.read(r.table, nil, item.Size(), transactional)
	}
	if cancelled {
		return cancellation(reasons)
	}
	if size > maxTransactBytes {
		return invalid("Transaction request size exceeds the limit of 4 MB; size: %d", size)
	}
	return nil
}
