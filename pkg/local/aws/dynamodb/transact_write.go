package dynamodb

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"

	"tollgate/pkg/local/aws/awsjson"
	"tollgate/pkg/local/aws/dynamodb/value"
)

// Limits of one transaction.
const (
	maxTransactItems = 100
	maxTransactBytes = 4 << 20
	maxTokenBytes    = 36
)

// transactAction is one of the four kinds of write; which members it may have
// depends on the kind.
type transactAction struct {
	placeholders
	TableName                           string
	Key                                 value.Item `json:",omitempty"`
	Item                                value.Item `json:",omitempty"`
	UpdateExpression                    *string    `json:",omitempty"`
	ConditionExpression                 *string    `json:",omitempty"`
	ReturnValuesOnConditionCheckFailure string     `json:",omitempty" enum:"ALL_OLD,NONE"`
}

type transactWriteItem struct {
	ConditionCheck *transactAction `json:",omitempty"`
	Put            *transactAction `json:",omitempty"`
	Delete         *transactAction `json:",omitempty"`
	Update         *transactAction `json:",omitempty"`
}

type transactWriteInput struct {
	reporting
	TransactItems      []transactWriteItem
	ClientRequestToken string
}

// reason is the cancellation reason of one write of a transaction.
type reason struct {
	Code    string
	Message string     `json:",omitempty"`
	Item    value.Item `json:",omitempty"`
}

// TransactWriteItems: every condition is evaluated on the same state, then either
// all writes are made in one commit or none, together with the client token.
func (d *DB) transactWrite(_ context.Context, in *transactWriteInput) (transactWriteOutput, error) {
	none := transactWriteOutput{}
	if n := len(in.TransactItems); n < 1 || n > maxTransactItems {
		return none, constraint(n, "transactItems", "have length between 1 and 100")
	}
	if len(in.ClientRequestToken) > maxTokenBytes {
		return none, constraint(in.ClientRequestToken, "clientRequestToken", "have length less than or equal to 36")
	}
	writes, err := d.transactWrites(in.TransactItems)
	if err != nil {
		return none, err
	}
	sum, err := digest(in.TransactItems)
	if err != nil {
		return none, err
	}
	now := d.opts.Now()
	var m meter
	var k kind
	err = d.update(func(tx *transaction) (bool, error) {
		m, k = meter{}, transactWrite
		if in.ClientRequestToken != "" {
			seen, err := seenToken(tx, in.ClientRequestToken, sum, now)
			if err != nil {
				return false, err
			}
			if seen {
				k = transactRead
				return false, readAgain(tx, writes, &m)
			}
		}
		if err := commitAll(tx, writes, &m); err != nil || in.ClientRequestToken == "" {
			return err == nil, err
		}
		return true, rememberToken(tx, in.ClientRequestToken, sum, now)
	})
	if err != nil {
		return none, err
	}
	return transactWriteOutput{ConsumedCapacity: m.report(in.ReturnConsumedCapacity, k)}, nil
}

type transactWriteOutput struct {
	ConsumedCapacity []consumed `json:",omitempty"`
}

// readAgain meters a repeated transaction, which reads its items.
func readAgain(tx *transaction, writes []write, m *meter) error {
	for _, w := range writes {
		t, err := openTable(tx, w.table)
		if err != nil {
			return err
		}
		item, err := t.get(t.primaryKey(w.item))
		if err != nil {
			return err
		}
		m.read(w.table, nil, item.Size(), transactional)
	}
	return nil
}

func (d *DB) transactWrites(items []transactWriteItem) ([]write, error) {
	writes := make([]write, len(items))
	for i, item := range items {
		kind, action, err := item.action()
		if err != nil {
			return nil, err
		}
		name, err := tableName(action.TableName)
		if err != nil {
			return nil, err
		}
		content := action.Key
		if kind == putWrite {
			content = action.Item
		}
		if content == nil {
			return nil, missingMember(kind)
		}
		w, err := newWrite(kind, name, content, action.placeholders, action.UpdateExpression, action.ConditionExpression)
		if err != nil {
			return nil, err
		}
		w.returnOld = action.ReturnValuesOnConditionCheckFailure == "ALL_OLD"
		writes[i] = w
	}
	return writes, nil
}

// action returns the one action of an item, with the members its kind must have and no others.
func (it transactWriteItem) action() (writeKind, *transactAction, error) {
	var kind writeKind
	var found *transactAction
	for k, a := range map[writeKind]*transactAction{putWrite: it.Put, updateWrite: it.Update, deleteWrite: it.Delete, checkWrite: it.ConditionCheck} {
		if a == nil {
			continue
		}
		if found != nil {
			return kind, nil, invalid("TransactItems can only contain one of Check, Put, Update or Delete")
		}
		kind, found = k, a
	}
	switch {
	case found == nil:
		return kind, nil, invalid("Invalid Request: TransactWriteRequest should contain Delete or Put or Update request")
	case kind == checkWrite && found.ConditionExpression == nil:
		return kind, nil, constraint("null", "transactItems.member.conditionCheck.conditionExpression", "not be null")
	case kind == updateWrite && found.UpdateExpression == nil:
		return kind, nil, constraint("null", "transactItems.member.update.updateExpression", "not be null")
	case kind != updateWrite && found.UpdateExpression != nil:
		return kind, nil, unsupported("UpdateExpression here")
	case kind == putWrite && found.Key != nil:
		return kind, nil, unsupported("Key here")
	case kind != putWrite && found.Item != nil:
		return kind, nil, unsupported("Item here")
	}
	return kind, found, nil
}

// commitAll evaluates all writes before it makes the first.
func commitAll(tx *transaction, writes []write, m *meter) error {
	effects := make([]effect, len(writes))
	reasons := make([]reason, len(writes))
	cancelled := false
	size := 0
	for i := range writes {
		e, err := writes[i].evaluate(tx)
		reasons[i] = reason{Code: "None"}
		if err != nil {
			if reasons[i], err = reasonFor(err); err != nil {
				return err
			}
			cancelled = true
		}
		for _, other := range effects[:i] {
			if e.key != nil && bytes.Equal(e.key, other.key) && writes[i].table == other.table.Name {
				return errItemTwice()
			}
		}
		effects[i] = e
		size += max(e.old.Size(), e.new.Size(), writes[i].item.Size())
	}
	if cancelled {
		return cancellation(reasons)
	}
	if size > maxTransactBytes {
		return invalid("Transaction request size exceeds the limit of 4 MB; size: %d", size)
	}
	for i := range effects {
		if err := effects[i].apply(); err != nil {
			return err
		}
		m.write(&effects[i], transactional)
	}
	return nil
}

func errItemTwice() error {
	return invalid("Transaction request cannot include multiple operations on one item")
}

// reasonFor turns an error of one write into its cancellation reason; errors of the whole
// request stay errors.
func reasonFor(err error) (reason, error) {
	e, ok := errors.AsType[*awsjson.Error](err)
	if !ok {
		return reason{}, err
	}
	switch e.Code {
	case "ConditionalCheckFailedException":
		old, _ := e.Fields["Item"].(value.Item)
		return reason{Code: "ConditionalCheckFailed", Message: e.Message, Item: old}, nil
	case "ValidationException":
		return reason{Code: "ValidationError", Message: e.Message}, nil
	}
	return reason{}, err
}

func cancellation(reasons []reason) error {
	codes := make([]string, len(reasons))
	for i, r := range reasons {
		codes[i] = r.Code
	}
	return &awsjson.Error{
		Status:  http.StatusBadRequest,
		Code:    "TransactionCanceledException",
		Message: "Transaction cancelled, please refer cancellation reasons for specific reasons [" + strings.Join(codes, ", ") + "]",
		Fields: map[string]any{
			"CancellationReasons": reasons,
		},
	}
}
