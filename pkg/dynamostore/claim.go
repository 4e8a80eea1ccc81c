package dynamostore

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/limits"
)

// The claim: UpdateItem of EVT#<id>, answering ALL_NEW, refused with ALL_OLD.
//
// It holds when there is no record, when the last attempt failed, or when a running attempt's
// lease ended before :cutoff, and only for the identity that the record has. Nothing ever
// resets the attempt number. A running record without a lease, which no write makes, is never
// taken over. The condition refuses a record whose attempt is not a number; adding to it
// would fail the request without a reason. A message of reconcile keeps the source of an
// earlier claim, so src tells whether the webhook's own message ever arrived.
//
// Inputs: :own new for each claim call; :lease, :cutoff, :now in ms; :left receives
// that the message has left; :ident, :ident2 (the other identity that the event's record may have,
// or the same), :etype, :created (s), :src from the event;
// :shard and #open from the message's second receive on, when the record enters the
// index of records that are not done.
const (
	claimSet = "SET st=:running, own=:own, lease=:lease, upd=:now, rc_left=:left, " +
		"att=if_not_exists(att,:zero)+:one, gen=if_not_exists(gen,:one), " +
		"first_at=if_not_exists(first_at,:now), ident=if_not_exists(ident,:ident), " +
		"etype=:etype, created=:created"
	claimSource = ", src=:src"
	claimKeeps  = ", src=if_not_exists(src,:src)"
	claimIndex  = ", #open=:shard"
	claimRemove = " REMOVE exp, reason, purged, purge_by"

	claimFirst     = claimSet + claimSource + claimRemove
	claimAgain     = claimSet + claimSource + claimIndex + claimRemove
	reconcileFirst = claimSet + claimKeeps + claimRemove
	reconcileAgain = claimSet + claimKeeps + claimIndex + claimRemove

	claimWhen = "(attribute_not_exists(pk) OR st=:failed OR (st=:running AND lease < :cutoff))" +
		" AND (attribute_not_exists(ident) OR ident IN (:ident,:ident2))" +
		" AND (attribute_not_exists(att) OR attribute_type(att,:number))"
)

// Noting the delivery: UpdateItem of EVT#<id>, when Stripe's own message comes after one of
// reconcile. No condition of another write reads src.
const (
	sourceSet  = "SET src=:src"
	sourceWhen = "src=:reconcile"
)

// Bounds of a claim's tries, and the wait between them.
const (
	claimConflicts = 2 // more tries after conflicts with a transaction
	claimRefusals  = 1 // more tries after a refusal that the record does not explain
	claimWait      = 15 * time.Millisecond
)

// Claim asks for the right to run one attempt of an event. Every error wraps
// idempotency.ErrStoreDown and does not concern the event itself; that of a throttled item
// wraps idempotency.ErrThrottled as well.
func (s *Store) Claim(ctx context.Context, req idempotency.ClaimRequest) (idempotency.ClaimResult, error) {
	in := s.claimInput(req)
	busy := idempotency.ClaimResult{Verdict: idempotency.Busy}
	conflicts, refusals, faults := 0, 0, 0
	for {
		out, err := s.tryClaim(ctx, in)
		if err == nil {
			return claimed(req, out.Attributes)
		}
		switch f := faultOf(err); f.kind {
		case refused:
			old, err := f.record("claim", req.Event.ID)
			if err != nil {
				return idempotency.ClaimResult{}, err
			}
			result, explained := idempotency.ReadClaimRefusal(req, old)
			if explained {
				return result, s.noteDelivery(ctx, req, result)
			}
			if refusals++; refusals > claimRefusals || !s.pause(ctx, claimWait) {
				return busy, nil
			}
		case conflict:
			if conflicts++; conflicts > claimConflicts || !s.pause(ctx, claimWait) {
				return busy, nil
			}
		case lost, throttled: // the record has the owner of an earlier try whose response was lost
			if faults++; faults == limits.CallTries || !s.pause(ctx, limits.CallPause) {
				return idempotency.ClaimResult{}, f.down("claim")
			}
		default:
			return idempotency.ClaimResult{}, f.down("claim")
		}
	}
}

func (s *writer) tryClaim(ctx context.Context, in *dynamodb.UpdateItemInput) (out *dynamodb.UpdateItemOutput, err error) {
	err = s.once(ctx, func(ctx context.Context) (err error) {
		out, err = s.client.UpdateItem(ctx, in)
		return err
	})
	return out, err
}

func (s *writer) claimInput(req idempotency.ClaimRequest) *dynamodb.UpdateItemInput {
	idents := idempotency.IdentitiesOf(req.Event)
	in := &dynamodb.UpdateItemInput{
		TableName: &s.table, Key: recordKey(req.Event.ID), ConditionExpression: aws.String(claimWhen),
		ExpressionAttributeValues: item{
			":running": str(string(idempotency.Running)), ":failed": str(string(idempotency.Failed)),
			":own": str(req.Owner), ":lease": millis(req.Lease), ":cutoff": millis(req.LeaseExpiredBefore),
			":now": millis(req.Now), ":left": num(int64(max(req.ReceivesLeft, 0))), ":ident": str(idents[0]), ":ident2": str(idents[1]),
			":etype": str(req.Event.Type), ":created": num(req.Event.Created), ":src": str(string(req.Event.Source)),
			":zero": num(0), ":one": num(1), ":number": str("N"),
		},
		ReturnValues:                        types.ReturnValueAllNew,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}
	first, again := claimFirst, claimAgain
	if req.Event.Source == event.Reconcile {
		first, again = reconcileFirst, reconcileAgain
	}
	in.UpdateExpression = &first
	if req.Receives >= 2 {
		in.UpdateExpression = &again
		in.ExpressionAttributeNames = openName()
		in.ExpressionAttributeValues[":shard"] = str(idempotency.Shard(req.Event.ID))
	}
	return in
}

// claimed reads the record that a claim has made. A response without our claim is
// treated as a store error; a record with our claim that cannot be read is corrupt.
func claimed(req idempotency.ClaimRequest, attributes item) (idempotency.ClaimResult, error) {
	r := decodeRow(attributes)
	if r == nil || r.Owner != req.Owner {
		return idempotency.ClaimResult{}, storeDown("claim", "the response does not contain our claim")
	}
	if err := r.Check(); err != nil {
		return idempotency.ClaimResult{Verdict: idempotency.Corrupt, Err: err}, nil
	}
	if r.Attempt < 1 {
		return idempotency.ClaimResult{}, storeDown("claim", "the response does not contain our attempt")
	}
	return idempotency.ClaimResult{Verdict: idempotency.Claimed, Claim: idempotency.ClaimOf(*r)}, nil
}

// noteDelivery notes in a done record that Stripe's own message came, after one of reconcile had
// written the record first.
func (s *writer) noteDelivery(ctx context.Context, req idempotency.ClaimRequest, got idempotency.ClaimResult) error {
	if got.Verdict != idempotency.Duplicate || got.Source != event.Reconcile || !req.Event.Source.Delivered() {
		return nil
	}
	f := s.update(ctx, &types.Update{
		TableName: &s.table, Key: recordKey(req.Event.ID), UpdateExpression: aws.String(sourceSet), ConditionExpression: aws.String(sourceWhen),
		ExpressionAttributeValues: item{":src": str(string(req.Event.Source)), ":reconcile": str(string(event.Reconcile))},
	})
	if f != nil && f.kind != refused {
		return f.down("note the delivery")
	}
	return nil
}

// openName is a placeholder for "open", a reserved word.
func openName() map[string]string { return map[string]string{"#open": "open"} }

func storeDown(verb, text string) error {
	return fmt.Errorf("%w: %s: %s", idempotency.ErrStoreDown, verb, text)
}
