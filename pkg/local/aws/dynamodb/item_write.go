package dynamodb

import (
	"context"

	"tollgate/pkg/local/aws/dynamodb/expr"
	"tollgate/pkg/local/aws/dynamodb/value"
)

// conditional are the common members of writes of one item.
type conditional struct {
	placeholders
	reporting
	TableName                           string
	ConditionExpression                 *string
	ReturnValues                        string `enum:"ALL_NEW,UPDATED_OLD,ALL_OLD,NONE,UPDATED_NEW"`
	ReturnValuesOnConditionCheckFailure string `enum:"ALL_OLD,NONE"`
}

type putItemInput struct {
	conditional
	Item value.Item
}

type deleteItemInput struct {
	conditional
	Key value.Item
}

type updateItemInput struct {
	conditional
	Key              value.Item
	UpdateExpression *string
}

type writeOutput struct {
	Attributes       value.Item `json:",omitzero"`
	ConsumedCapacity *consumed  `json:",omitempty"`
}

func (d *DB) putItem(_ context.Context, in *putItemInput) (*writeOutput, error) {
	return d.writeItem(putWrite, &in.conditional, in.Item, nil)
}

func (d *DB) deleteItem(_ context.Context, in *deleteItemInput) (*writeOutput, error) {
	return d.writeItem(deleteWrite, &in.conditional, in.Key, nil)
}

func (d *DB) updateItem(_ context.Context, in *updateItemInput) (*writeOutput, error) {
	return d.writeItem(updateWrite, &in.conditional, in.Key, in.UpdateExpression)
}

func (d *DB) writeItem(kind writeKind, in *conditional, item value.Item, update *string) (*writeOutput, error) {
	name, err := tableName(in.TableName)
	if err != nil {
		return nil, err
	}
	if item == nil {
		return nil, missingMember(kind)
	}
	if kind != updateWrite && in.ReturnValues != "" && in.ReturnValues != "NONE" && in.ReturnValues != "ALL_OLD" {
		return nil, invalid("ReturnValues can only be ALL_OLD or NONE")
	}
	w, err := newWrite(kind, name, item, in.placeholders, update, in.ConditionExpression)
	if err != nil {
		return nil, err
	}
	w.returnOld = in.ReturnValuesOnConditionCheckFailure == "ALL_OLD"
	var done effect
	err = d.update(func(tx *transaction) (bool, error) {
		var err error
		done, err = w.run(tx)
		return err == nil && done.changes(), err
	})
	if err != nil {
		return nil, err
	}
	var m meter
	m.write(&done, strong)
	return &writeOutput{
		Attributes:       done.returned(in.ReturnValues, w.update.Paths()),
		ConsumedCapacity: m.one(in.ReturnConsumedCapacity),
	}, nil
}

func missingMember(kind writeKind) error {
	member := "key"
	if kind == putWrite {
		member = "item"
	}
	return invalid("1 validation error detected: Value null at '%s' failed to satisfy constraint: Member must not be null", member)
}

// returned returns what ReturnValues asks for.
func (e *effect) returned(what string, updated []expr.Path) value.Item {
	switch what {
	case "ALL_OLD":
		return e.old
	case "ALL_NEW":
		return e.new
	case "UPDATED_OLD":
		if e.old != nil && updated != nil {
			return expr.Project(e.old, updated)
		}
	case "UPDATED_NEW":
		if updated != nil {
			return expr.Project(e.new, updated)
		}
	}
	return nil
}
