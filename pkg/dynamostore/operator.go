package dynamostore

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tollgate/pkg/idempotency"
)

// The purge: UpdateItem of EVT#<id>, refused with ALL_OLD. It marks the record and changes no
// state, so a message that is still queued is handled as before. The record stays in the index:
// reconcile must find it there if such a message undoes the purge and is lost. It holds for the identity that was seen, while no attempt runs. Unless the
// operator named the event by its id, it also requires that no message has receives left
// and that the last attempt is the one in the dead letter.
//
// Inputs: :now and :cutoff in ms; :who; :exp in s; the identities :ident and :ident2, which may be the same; :att if the dead letter has one.
const (
	purgeSet     = "SET purged=:now, purge_by=:who, upd=:now, exp=:exp"
	purgeWhen    = "(st=:failed OR (st=:running AND lease < :cutoff)) AND ident IN (:ident,:ident2)"
	purgeDead    = " AND rc_left=:zero"
	purgeAttempt = " AND att=:att"
)

// Purge marks an event as purged. Errors wrap idempotency.ErrStoreDown; the mark may
// have been written all the same, and the same request may be made again.
func (s *Operator) Purge(ctx context.Context, req idempotency.PurgeRequest) (idempotency.PurgeVerdict, error) {
	when := purgeWhen
	values := item{
		":failed": str(string(idempotency.Failed)), ":running": str(string(idempotency.Running)),
		":now": millis(req.Now), ":cutoff": millis(req.LeaseExpiredBefore), ":who": str(bounded(req.By)),
		":exp": num(req.Now.Add(s.ttl).Unix()), ":ident": str(req.Identities[0]), ":ident2": str(req.Identities[1]),
	}
	if !req.Any {
		when += purgeDead
		values[":zero"] = num(0)
		if req.Attempt > 0 {
			when += purgeAttempt
			values[":att"] = num(req.Attempt)
		}
	}
	written, old, err := s.operate(ctx, "purge", &types.Update{
		Key: recordKey(req.EventID), UpdateExpression: aws.String(purgeSet), ConditionExpression: &when,
		ExpressionAttributeValues: values,
	})
	if err != nil {
		return "", err
	}
	if written {
		return idempotency.PurgeMarked, nil
	}
	return idempotency.ReadPurgeRefusal(req, old), nil
}

// The reidentification: UpdateItem of EVT#<id>, refused with ALL_OLD. It holds while the
// record has the identity that was seen, was never done, and no attempt runs.
//
// Inputs: :old and :new identities; :now and :cutoff in ms.
const (
	reidentifySet  = "SET ident=:new, upd=:now"
	reidentifyWhen = "ident=:old AND gen=:one AND attribute_not_exists(done_at)" +
		" AND (st=:failed OR (st=:running AND lease < :cutoff))"
)

// Reidentify gives a record another identity. Errors wrap idempotency.ErrStoreDown; the
// same request may be made again.
func (s *Operator) Reidentify(ctx context.Context, req idempotency.ReidentifyRequest) (idempotency.ReidentifyVerdict, error) {
	written, old, err := s.operate(ctx, "reidentify", &types.Update{
		Key: recordKey(req.EventID), UpdateExpression: aws.String(reidentifySet), ConditionExpression: aws.String(reidentifyWhen),
		ExpressionAttributeValues: item{
			":failed": str(string(idempotency.Failed)), ":running": str(string(idempotency.Running)),
			":old": str(req.Old), ":new": str(req.New), ":one": num(1),
			":now": millis(req.Now), ":cutoff": millis(req.LeaseExpiredBefore),
		},
	})
	if err != nil {
		return "", err
	}
	if written {
		return idempotency.Reidentified, nil
	}
	return idempotency.ReadReidentifyRefusal(req, old), nil
}

// operate makes an operator's write, or returns the record that refused it.
func (s *Operator) operate(ctx context.Context, verb string, u *types.Update) (written bool, old *idempotency.Record, err error) {
	u.TableName, u.ReturnValuesOnConditionCheckFailure = &s.table, types.ReturnValuesOnConditionCheckFailureAllOld
	f := s.update(ctx, u)
	switch {
	case f == nil:
		return true, nil, nil
	case f.kind != refused:
		return false, nil, storeDown(verb, f.text)
	default:
		return false, decodeRow(f.old), nil
	}
}
