package dynamostore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tollgate/pkg/delivery"
	"tollgate/pkg/limits"
	"tollgate/pkg/outbox"
)

// Deliveries has the rows of deliveries and destinations. It implements delivery.Store.
type Deliveries struct{ *writer }

var _ delivery.Store = (*Deliveries)(nil)

// NewDeliveries works on a table of the shape of [TableSchema].
func NewDeliveries(client Client, table string, o Options) (*Deliveries, error) {
	w, err := newWriter(client, table, o)
	if err != nil {
		return nil, err
	}
	return &Deliveries{w}, nil
}

// deliveryKey is the key of a delivery's row, DLV#<message key>#<destination>.
func deliveryKey(j delivery.Job) string { return limits.KeyDelivery + j.Message + "#" + j.Destination }

// The begin of an attempt: UpdateItem of DLV#…, answering ALL_NEW, refused with ALL_OLD.
//
// It holds when there is no row, when the delivery waits and its time has come, or when the
// running attempt's lease ended before :cutoff. The attempt number rises with every begin.
// Without :seq it holds only for a row with a number, so that an object's deliveries are numbered
// at their first attempt.
//
// Inputs: :own new for each attempt; :lease, :cutoff, :now in ms; :exp in s; :seq from SEQ#….
const (
	deliveryBegin = "SET st=:begin, own=:own, lease=:lease, exp=:exp, att=if_not_exists(att,:zero)+:one, #first=if_not_exists(#first,:now)"
	deliverySeq   = ", seq=if_not_exists(seq,:seq)"
	deliveryClear = " REMOVE #next"

	deliveryWhen     = "(attribute_not_exists(pk) OR (st=:retry AND #next <= :now) OR (st=:begin AND lease < :cutoff))"
	deliveryNumbered = " AND attribute_exists(seq)"
)

// Numbering: UpdateItem of SEQ#<destination>#<mode>#<account>#<object>, answering UPDATED_NEW. A
// number whose answer is lost is skipped.
const sequenceNext = "ADD n :one SET exp=:exp"

// Begin asks for an attempt.
func (d *Deliveries) Begin(ctx context.Context, req delivery.BeginRequest) (delivery.Begun, error) {
	seq := int64(0)
	for refusals := 0; ; {
		if req.Object != "" && seq == 0 && (req.First || refusals > 0) {
			var err error
			if seq, err = d.number(ctx, req); err != nil {
				return delivery.Begun{}, err
			}
		}
		fresh, old, err := d.begin(ctx, req, seq)
		switch {
		case err != nil:
			return delivery.Begun{}, err
		case fresh != nil && fresh.Owner == req.Owner:
			return delivery.Begun{Started: fresh.Started(req.Job)}, nil
		case fresh != nil:
			return delivery.Begun{}, errors.New("begin delivery: the response does not contain our attempt")
		}
		if begun, explained := delivery.ReadRefusal(req, *old); explained {
			return begun, nil
		}
		if refusals++; refusals > claimRefusals+1 {
			return delivery.Begun{}, errors.New("begin delivery: the row does not explain its refusal")
		}
	}
}

// begin makes one begin, and returns the row after it, or the row that refused it.
func (d *Deliveries) begin(ctx context.Context, req delivery.BeginRequest, seq int64) (fresh, refusedBy *delivery.Row, err error) {
	expression, when := deliveryBegin, deliveryWhen
	values := item{
		":begin": str(string(delivery.Running)), ":retry": str(string(delivery.Waiting)), ":own": str(req.Owner),
		":lease": millis(req.Lease), ":cutoff": millis(req.Cutoff), ":now": millis(req.Now), ":exp": num(req.Now.Add(d.rowTTL).Unix()),
		":zero": num(0), ":one": num(1),
	}
	switch {
	case seq > 0:
		expression, values[":seq"] = expression+deliverySeq, num(seq)
	case req.Object != "":
		when += deliveryNumbered
	}
	in := &dynamodb.UpdateItemInput{
		TableName: &d.table, Key: keyOf(deliveryKey(req.Job)), UpdateExpression: aws.String(expression + deliveryClear), ConditionExpression: &when,
		ExpressionAttributeNames: map[string]string{"#first": "first", "#next": "next"}, ExpressionAttributeValues: values,
		ReturnValues: types.ReturnValueAllNew, ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}
	row, refusedBy, err := d.change(ctx, "begin delivery", in)
	return row, refusedBy, err
}

// change makes an update of a delivery's row, again after a lost answer: its condition and its
// owner show whether it was applied.
func (d *Deliveries) change(ctx context.Context, what string, in *dynamodb.UpdateItemInput) (fresh, refusedBy *delivery.Row, err error) {
	var out *dynamodb.UpdateItemOutput
	f := d.retry(ctx, func(ctx context.Context) (err error) {
		out, err = d.client.UpdateItem(ctx, in)
		return err
	})
	var attributes item
	switch {
	case f == nil:
		attributes = out.Attributes
	case f.kind == refused:
		attributes = f.old
	default:
		return nil, nil, f.down(what)
	}
	row, err := deliveryRow(attributes)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", what, err)
	}
	if f == nil {
		return &row, nil, nil
	}
	return nil, &row, nil
}

func (d *Deliveries) number(ctx context.Context, req delivery.BeginRequest) (n int64, err error) {
	f := d.retry(ctx, func(ctx context.Context) error {
		out, err := d.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
			TableName: &d.table, Key: keyOf(limits.KeySequence + req.Job.Destination + "#" + req.Object), UpdateExpression: aws.String(sequenceNext),
			ExpressionAttributeValues: item{":one": num(1), ":exp": num(req.Now.Add(d.ttl).Unix())}, ReturnValues: types.ReturnValueUpdatedNew,
		})
		if err == nil {
			a := attributeReader{item: out.Attributes}
			n, err = a.num("n", 0), a.err
		}
		return err
	})
	if f != nil {
		return 0, f.down("number delivery")
	}
	if n < 1 {
		return 0, errors.New("number delivery: the response has no number")
	}
	return n, nil
}

// The end of an attempt: UpdateItem of DLV#…, refused with ALL_OLD. It holds while the row is
// running with the attempt and its owner; the owner stays, and shows an attempt whose answer was
// lost that it was applied.
//
// Inputs: :begin, :own and :att of the attempt; :end the status, with :next in ms while it waits;
// :hist the last attempts.
const (
	deliveryEnd  = "SET st=:end, hist=:hist"
	deliveryNext = ", #next=:next"
	deliveryGone = " REMOVE lease"
	deliveryOwn  = "st=:begin AND att=:att AND own=:own"
)

// End records an attempt's end.
func (d *Deliveries) End(ctx context.Context, s delivery.Started, r delivery.Result) (recorded bool, err error) {
	expression := deliveryEnd
	in := &dynamodb.UpdateItemInput{
		TableName: &d.table, Key: keyOf(deliveryKey(s.Job)), ConditionExpression: aws.String(deliveryOwn),
		ExpressionAttributeValues: item{
			":begin": str(string(delivery.Running)), ":own": str(s.Owner), ":att": num(int64(s.Attempt)),
			":end": str(string(r.Status)), ":hist": historyOf(s.Ended(r.Attempt)),
		},
		ReturnValues: types.ReturnValueAllNew, ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}
	if r.Status == delivery.Waiting {
		expression += deliveryNext
		in.ExpressionAttributeNames, in.ExpressionAttributeValues[":next"] = map[string]string{"#next": "next"}, millis(r.Next)
	}
	in.UpdateExpression = aws.String(expression + deliveryGone)
	_, old, err := d.change(ctx, "end delivery", in)
	return err == nil && (old == nil || old.Status != delivery.Running && old.Owner == s.Owner && old.Attempt == s.Attempt), err
}

// Row reads a delivery's row, false if there is none.
func (d *Deliveries) Row(ctx context.Context, j delivery.Job) (delivery.Row, bool, error) {
	attributes, err := d.get(ctx, deliveryKey(j))
	if err != nil || len(attributes) == 0 {
		return delivery.Row{}, false, err
	}
	row, err := deliveryRow(attributes)
	return row, err == nil, err
}

// get reads an item with strong consistency, again after a fault.
func (d *Deliveries) get(ctx context.Context, pk string) (item, error) {
	var out *dynamodb.GetItemOutput
	f := d.retry(ctx, func(ctx context.Context) (err error) {
		out, err = d.client.GetItem(ctx, &dynamodb.GetItemInput{TableName: &d.table, Key: keyOf(pk), ConsistentRead: aws.Bool(true)})
		return err
	})
	if f != nil {
		return nil, f.down("read " + pk)
	}
	return out.Item, nil
}

// Message reads an outbox message, false if there is none.
func (d *Deliveries) Message(ctx context.Context, key string) (outbox.Message, bool, error) {
	attributes, err := d.get(ctx, key)
	if err != nil || len(attributes) == 0 {
		return outbox.Message{}, false, err
	}
	return outboxMessage(attributes), true, nil
}

func deliveryRow(attributes item) (delivery.Row, error) {
	a := attributeReader{item: attributes}
	r := delivery.Row{
		Status: delivery.Status(a.str("st")), Attempt: int(a.num("att", 0)), Owner: a.str("own"), Lease: a.millis("lease"),
		First: a.millis("first"), Next: a.millis("next"), Sequence: a.num("seq", 0),
	}
	list, _ := value[*types.AttributeValueMemberL](&a, "hist")
	if list != nil {
		for _, v := range list.Value {
			m, _ := v.(*types.AttributeValueMemberM)
			if m == nil {
				a.wrong("hist")
				break
			}
			one := attributeReader{item: m.Value}
			r.History = append(r.History, delivery.Attempt{
				At: one.millis("at"), Took: time.Duration(one.num("ms", 0)) * time.Millisecond, Status: int(one.num("status", 0)), Err: one.str("err"),
			})
		}
	}
	return r, a.err
}

func historyOf(attempts []delivery.Attempt) types.AttributeValue {
	list := &types.AttributeValueMemberL{}
	for _, a := range attempts {
		one := item{"at": millis(a.At), "ms": num(a.Took.Milliseconds())}
		if a.Status != 0 {
			one["status"] = num(int64(a.Status))
		}
		if a.Err != "" {
			one["err"] = str(a.Err)
		}
		list.Value = append(list.Value, &types.AttributeValueMemberM{Value: one})
	}
	return list
}
