package dynamostore

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tollgate/pkg/idempotency"
)

// The failure: UpdateItem of EVT#<id>, refused with ALL_OLD. It holds while the fence
// does. It counts the failure and puts the record into the index of records that are
// not done.
//
// Inputs: :now in ms; :shard; :err, at most limits.MaxErrorText bytes; :left receives
// that the message has left, 0 when a dead letter exists or is about to; :reason of a
// permanent failure only; :hist the failed attempts that the claim returned, and this one.
const (
	failSet = "SET st=:failed, upd=:now, #open=:shard, fails=if_not_exists(fails,:zero)+:one, " +
		"err=:err, rc_left=:left, hist=:hist"
	failReason = ", reason=:reason"
	failRemove = " REMOVE lease"

	failTransient = failSet + failRemove
	failPermanent = failSet + failReason + failRemove
)

// Fail records an attempt's failure. Every error wraps idempotency.ErrStoreDown, that of a
// throttled item idempotency.ErrThrottled as well; the failure may have been written all
// the same. That of a run without a claim puts the record; see unclaimed.go.
func (s *Store) Fail(ctx context.Context, c *idempotency.Claim, failure idempotency.Failure) (idempotency.FailResult, error) {
	u := s.fenced(c, failTransient, item{
		":failed": str(string(idempotency.Failed)), ":now": millis(failure.Now), ":shard": str(idempotency.Shard(c.EventID)),
		":err": str(bounded(failure.Err)), ":left": num(int64(max(failure.ReceivesLeft, 0))), ":zero": num(0), ":one": num(1),
		":hist": historyString(c.Failed(failure)),
	})
	u.ExpressionAttributeNames = openName()
	if failure.Reason != "" {
		u.UpdateExpression = aws.String(failPermanent)
		u.ExpressionAttributeValues[":reason"] = str(bounded(failure.Reason))
	}
	record := types.TransactWriteItem{Update: u}
	if c.Unclaimed != nil {
		record = types.TransactWriteItem{Put: s.failedAtOnce(c, failure)}
	}
	f := s.write(ctx, record)
	if f == nil {
		return idempotency.FailResult{Verdict: idempotency.FailWritten}, nil
	}
	if f.kind != refused {
		return idempotency.FailResult{}, f.down("fail")
	}
	old, err := f.record("fail", c.EventID)
	if err != nil {
		return idempotency.FailResult{}, err
	}
	return idempotency.ReadFailRefusal(c, old), nil
}
