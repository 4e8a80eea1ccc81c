package dynamodb

import (
	"context"

	"tollgate/pkg/local/aws/dynamodb/expr"
	"tollgate/pkg/local/aws/dynamodb/value"
)

type getItemInput struct {
	TableName                string
	Key                      value.Item
	ConsistentRead           bool
	ProjectionExpression     *string
	ExpressionAttributeNames map[string]string
	ReturnConsumedCapacity   string `enum:"INDEXES,TOTAL,NONE"`
}

type getItemOutput struct {
	Item             value.Item `json:",omitzero"`
	ConsumedCapacity *consumed  `json:",omitempty"`
}

func (d *DB) getItem(_ context.Context, in *getItemInput) (*getItemOutput, error) {
	r, err := d.newRead(in.TableName, in.Key, in.ProjectionExpression, in.ExpressionAttributeNames)
	if err != nil {
		return nil, err
	}
	out := &getItemOutput{}
	err = d.view(func(tx *transaction) error {
		item, _, err := r.run(tx)
		out.Item = shape(item, r.projection)
		var m meter
		m.read(r.table, nil, item.Size(), consistency(in.ConsistentRead))
		out.ConsumedCapacity = m.one(in.ReturnConsumedCapacity)
		return err
	})
	return out, err
}

// read is a checked and parsed read of one item.
type read struct {
	table      string
	key        value.Item
	projection expr.Projection
}

func (d *DB) newRead(table string, key value.Item, projection *string, names map[string]string) (*read, error) {
	name, err := tableName(table)
	if err != nil {
		return nil, err
	}
	if key == nil {
		return nil, missingMember(updateWrite)
	}
	r := &read{table: name, key: key}
	r.projection, err = parseProjection(projection, names)
	return r, err
}

// parseProjection parses a projection that is the request's only expression.
func parseProjection(text *string, names map[string]string) (expr.Projection, error) {
	p, err := expr.NewParams(names, nil)
	if err != nil {
		return nil, err
	}
	var projection expr.Projection
	if text != nil {
		if projection, err = p.Projection(*text); err != nil {
			return nil, err
		}
	}
	return projection, p.Unused()
}

// run returns the item, nil if there is none, and its stored key.
func (r *read) run(tx *transaction) (value.Item, string, error) {
	t, err := openTable(tx, r.table)
	if err != nil {
		return nil, "", err
	}
	if err := t.checkScalarPaths(r.projection); err != nil {
		return nil, "", err
	}
	if err := t.checkKey(r.key); err != nil {
		return nil, "", err
	}
	key := t.primaryKey(r.key)
	item, err := t.get(key)
	return item, string(key), err
}

// shape applies a projection, if there is one, to an item.
func shape(item value.Item, projection expr.Projection) value.Item {
	if item == nil || projection == nil {
		return item
	}
	return expr.Project(item, projection)
}
