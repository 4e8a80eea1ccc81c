package dynamostore

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tollgate/pkg/idempotency"
)

// The replay: UpdateItem of EVT#<id>, refused with ALL_OLD. It holds while the record
// is done in the generation that the operator saw. The attempt number stays, so that
// an attempt of the old generation cannot write in the new one.
//
// Inputs: :gen and :next = :gen + 1; :now in ms; :shard; :who and :why.
const (
	replaySet = "SET st=:failed, gen=:next, upd=:now, #open=:shard, fails=:zero, replay_by=:who, replay_why=:why" +
		" REMOVE exp, err, hist, reason, purged, purge_by"
	replayWhen = "st=:done AND gen=:gen"
)

// Replay makes a done event run again at its next message, which the caller sends
// afterwards. Errors wrap idempotency.ErrNoLongerDone, or idempotency.ErrStoreDown,
// after which the same request may be made again.
func (s *Operator) Replay(ctx context.Context, req idempotency.ReplayRequest) error {
	written, old, err := s.operate(ctx, "replay", &types.Update{
		Key: recordKey(req.EventID), UpdateExpression: aws.String(replaySet), ConditionExpression: aws.String(replayWhen),
		ExpressionAttributeNames: openName(),
		ExpressionAttributeValues: item{
			":done": str(string(idempotency.Done)), ":failed": str(string(idempotency.Failed)),
			":gen": num(req.Generation), ":next": num(req.Generation + 1), ":now": millis(req.Now),
			":shard": str(idempotency.Shard(req.EventID)), ":zero": num(0), ":who": str(req.By), ":why": str(bounded(req.Why)),
		},
	})
	switch {
	case err != nil || written:
		return err
	case old != nil && old.Broken != "":
		return storeDown("replay", old.Broken)
	default:
		return idempotency.ReadReplayRefusal(req, old)
	}
}
