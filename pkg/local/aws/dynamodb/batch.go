package dynamodb

import (
	"context"
	"maps"
	"slices"

	"tollgate/pkg/local/aws/dynamodb/value"
)

// Limits of the batch operations.
const (
	maxBatchGetKeys  = 100
	maxBatchGetBytes = 16 << 20
)

type keysAndAttributes struct {
	Keys                     []value.Item
	ConsistentRead           bool              `json:",omitempty"`
	ProjectionExpression     *string           `json:",omitempty"`
	ExpressionAttributeNames map[string]string `json:",omitempty"`
}

type batchGetInput struct {
	RequestItems           map[string]keysAndAttributes
	ReturnConsumedCapacity string `enum:"INDEXES,TOTAL,NONE"`
}

type batchGetOutput struct {
	Responses        map[string][]value.Item
	UnprocessedKeys  map[string]keysAndAttributes
	ConsumedCapacity []consumed `json:",omitempty"`
	meter            meter
}

// batchGet reads the items of one snapshot until the answer has 16 MB; the other keys are
// returned as unprocessed.
func (d *DB) batchGet(_ context.Context, in *batchGetInput) (*batchGetOutput, error) {
	total := 0
	for _, req := range in.RequestItems {
		total += len(req.Keys)
	}
	if total == 0 {
		return nil, constraint(len(in.RequestItems), "requestItems", "have length greater than or equal to 1")
	}
	if total > maxBatchGetKeys {
		return nil, invalid("Too many items requested for the BatchGetItem call")
	}
	out := &batchGetOutput{Responses: map[string][]value.Item{}, UnprocessedKeys: map[string]keysAndAttributes{}}
	err := d.view(func(tx *transaction) error {
		room := maxBatchGetBytes
		for _, name := range slices.Sorted(maps.Keys(in.RequestItems)) {
			if err := d.batchGetTable(tx, name, in.RequestItems[name], &room, out); err != nil {
				return err
			}
		}
		return nil
	})
	out.ConsumedCapacity = out.meter.report(in.ReturnConsumedCapacity, plain)
	return out, err
}

// batchGetTable reads one table's keys while there is room, in bytes.
func (d *DB) batchGetTable(tx *transaction, name string, req keysAndAttributes, room *int, out *batchGetOutput) error {
	table, err := tableName(name)
	if err != nil {
		return err
	}
	projection, err := parseProjection(req.ProjectionExpression, req.ExpressionAttributeNames)
	if err != nil {
		return err
	}
	found, seen := []value.Item{}, map[string]bool{}
	var left []value.Item
	for _, key := range req.Keys {
		item, id, err := (&read{table: table, key: key, projection: projection}).run(tx)
		if err != nil {
			return err
		}
		if seen[id] {
			return invalid("Provided list of item keys contains duplicates")
		}
		seen[id] = true
		if *room -= item.Size(); *room < 0 {
			left = append(left, key)
			continue
		}
		out.meter.read(table, nil, item.Size(), consistency(req.ConsistentRead))
		if item != nil {
			found = append(found, shape(item, projection))
		}
	}
	out.Responses[name] = found
	if left != nil {
		req.Keys = left
		out.UnprocessedKeys[name] = req
	}
	return nil
}
