package verb

import (
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"tollgate/pkg/dynamostore"
	"tollgate/pkg/redrive"
	"tollgate/pkg/sqsqueue"
)

// DLQ returns what the verbs on dead letters share, without the queue: the lock and its operator.
func (a *App) DLQ(t Target, verb string) (*redrive.DLQ, *dynamostore.Operator, error) {
	operator, err := t.Writer()
	if err != nil {
		return nil, nil, err
	}
	return &redrive.DLQ{
		Locks: operator, Operator: Operator(), Verb: verb, Ended: ended,
		OnTakeover: func(l redrive.Lock) {
			fmt.Fprintf(a.Err, "stale lock: the process of %s by %s has ended; taking it over\n", l.What, l.By)
		},
		OnUnreleased: func(n int) {
			fmt.Fprintf(a.Err, "%d dead letters could not be released; they are hidden for up to 2 minutes\n", n)
		},
		Limits: t.Limits(), TimeScale: t.TimeScale,
	}, operator, nil
}

// DeadLetters returns what the verbs on the events' dead-letter queue share. records complete the
// causes of dead letters.
func (a *App) DeadLetters(t Target, records redrive.Records, verb string) (*redrive.DLQ, error) {
	dlq, operator, err := a.DLQ(t, verb)
	if err != nil {
		return nil, err
	}
	queue := sqsqueue.New(sqs.NewFromConfig(t.AWS), t.QueueURL, t.DLQURL, t.Limits()).DeadLetters()
	dlq.Queue, dlq.Mover, dlq.Records, dlq.Store = queue, queue, records, operator
	return dlq, nil
}

// Locked adds a hint to the error of a lock that another operator has.
func Locked(err error) error {
	if held, ok := errors.AsType[*redrive.LockedError](err); ok {
		if held.Lock.By == Operator() {
			return Hint(err, "another job of this console works on it: wait for it, or stop it")
		}
		return Hint(err, "try again when it is done; if its process died, the lock expires at %s", held.Lock.Until.UTC().Format("15:04:05 UTC"))
	}
	return err
}
