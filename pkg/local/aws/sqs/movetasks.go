package sqs

import (
	"context"
	"crypto/rand"
	"time"
)

type startMoveInput struct {
	SourceArn                    string
	DestinationArn               string
	MaxNumberOfMessagesPerSecond *int
}

type startMoveOutput struct{ TaskHandle string }

func (s *Service) startMessageMoveTask(_ context.Context, in startMoveInput) (startMoveOutput, error) {
	if in.SourceArn == "" {
		return startMoveOutput{}, errMissing("SourceArn")
	}
	rate := 0
	if n := in.MaxNumberOfMessagesPerSecond; n != nil {
		if *n < 1 || *n > maxMoveRate {
			return startMoveOutput{}, errOutOfRange("MaxNumberOfMessagesPerSecond", *n, 1, maxMoveRate)
		}
		rate = *n
	}
	handle := rand.Text()
	return startMoveOutput{handle}, s.do(func(t *turn) error {
		q, err := t.moveSource(in)
		if err != nil {
			return err
		}
		m := &move{ID: t.next(bucketMoves), due: t.now, moveRecord: moveRecord{
			Source: q.Name, Handle: handle, DestinationArn: in.DestinationArn, Rate: rate, Status: moveRunning,
			ToMove: int64(q.ready.len()), Started: t.now}}
		if t.err != nil {
			return nil // the turn fails as a whole
		}
		m.UpTo = t.tx.Bucket([]byte(bucketPayload)).Sequence()
		t.saveMove(m)
		tasks := append(t.moves[q.id], m)
		for ; len(tasks) > maxMovesKept; tasks = tasks[1:] {
			t.remove(bucketMoves, key(tasks[0].ID))
		}
		t.moves[q.id] = tasks
		return nil
	})
}

// moveSource finds the source of a new task and checks both ends.
func (t *turn) moveSource(in startMoveInput) (*queue, error) {
	q := t.byARN(in.SourceArn)
	if q == nil {
		return nil, errResourceNotFound("The resource that you specified for the SourceArn parameter doesn't exist.")
	}
	if !t.isDeadLetterQueue(q) {
		return nil, errInvalidParameter("Source queue must be configured as a Dead Letter Queue.")
	}
	if in.DestinationArn != "" && t.byARN(in.DestinationArn) == nil {
		return nil, errResourceNotFound("The resource that you specified for the DestinationArn parameter doesn't exist.")
	}
	if in.DestinationArn == in.SourceArn {
		return nil, errInvalidParameter("Source queue arn and destination queue arn must be different.")
	}
	if t.activeMove(q) != nil {
		return nil, errUnsupported("There is already a task running. Only one active task is allowed for a source queue arn at a given time.")
	}
	return q, nil
}

func (t *turn) isDeadLetterQueue(q *queue) bool {
	for _, source := range t.queues {
		if source.settings.redrive != nil && source.settings.redrive.target == t.arn(q.Name) {
			return true
		}
	}
	return false
}

type listMovesInput struct {
	SourceArn  string
	MaxResults *int
}

type listMovesOutput struct{ Results []moveResult }

type moveResult struct {
	TaskHandle                        string `json:",omitempty"`
	Status                            moveStatus
	SourceArn                         string
	DestinationArn                    string `json:",omitempty"`
	MaxNumberOfMessagesPerSecond      int    `json:",omitempty"`
	ApproximateNumberOfMessagesMoved  int64
	ApproximateNumberOfMessagesToMove int64
	FailureReason                     string `json:",omitempty"`
	StartedTimestamp                  int64
}

func (s *Service) listMessageMoveTasks(_ context.Context, in listMovesInput) (listMovesOutput, error) {
	count := 1
	if in.MaxResults != nil {
		count = *in.MaxResults
	}
	if count < 1 || count > maxMovesKept {
		return listMovesOutput{}, errOutOfRange("MaxResults", count, 1, maxMovesKept)
	}
	if in.SourceArn == "" {
		return listMovesOutput{}, errMissing("SourceArn")
	}
	out := listMovesOutput{Results: []moveResult{}}
	err := s.do(func(t *turn) error {
		q := t.byARN(in.SourceArn)
		if q == nil {
			return errResourceNotFound("The resource that you specified for the SourceArn parameter doesn't exist.")
		}
		tasks := t.moves[q.id]
		for i := len(tasks) - 1; i >= 0 && len(out.Results) < count; i-- {
			out.Results = append(out.Results, tasks[i].result(in.SourceArn))
		}
		return nil
	})
	return out, err
}

func (m *move) result(source string) moveResult {
	r := moveResult{Status: m.Status, SourceArn: source, DestinationArn: m.DestinationArn,
		MaxNumberOfMessagesPerSecond:     m.Rate,
		ApproximateNumberOfMessagesMoved: m.Moved, ApproximateNumberOfMessagesToMove: m.ToMove,
		FailureReason: m.FailureReason, StartedTimestamp: m.Started / int64(time.Millisecond)}
	if m.Status == moveRunning {
		r.TaskHandle = m.Handle
	}
	return r
}

type cancelMoveInput struct{ TaskHandle string }

type cancelMoveOutput struct{ ApproximateNumberOfMessagesMoved int64 }

func (s *Service) cancelMessageMoveTask(_ context.Context, in cancelMoveInput) (cancelMoveOutput, error) {
	var out cancelMoveOutput
	if in.TaskHandle == "" {
		return out, errMissing("TaskHandle")
	}
	err := s.do(func(t *turn) error {
		m := t.moveByHandle(in.TaskHandle)
		if m == nil {
			return errResourceNotFound("Task does not exist.")
		}
		if m.Status != moveRunning {
			return errUnsupported("Only a running task can be cancelled; this one is %s.", m.Status)
		}
		t.endMove(m, moveCancelled, "")
		t.saveMove(m)
		out.ApproximateNumberOfMessagesMoved = m.Moved
		return nil
	})
	return out, err
}

func (t *turn) moveByHandle(handle string) *move {
	for _, tasks := range t.moves {
		for _, m := range tasks {
			if m.Handle == handle {
				return m
			}
		}
	}
	return nil
}
