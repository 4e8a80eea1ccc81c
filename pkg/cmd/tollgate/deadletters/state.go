package deadletters

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/limits"
	"tollgate/pkg/redrive"
	"tollgate/pkg/sqsqueue"
)

// State is what is known of the dead-letter queue without receiving its messages.
type State struct {
	Visible, Hidden int           // messages, as the queue counts them: approximately
	Lock            *redrive.Lock // of who works on the queue; nil: no operator
}

// Load reads the queue's counts and its lock.
func Load(ctx context.Context, a *verb.App) (s State, err error) {
	t, reader, err := a.Reader(ctx)
	if err != nil {
		return s, err
	}
	if s.Visible, s.Hidden, err = sqsqueue.New(sqs.NewFromConfig(t.AWS), t.QueueURL, t.DLQURL, t.Limits()).DeadLetters().Count(ctx); err != nil {
		return s, err
	}
	row, _, err := reader.Item(ctx, limits.KeyDLQLock)
	until, _ := row["lease"].(int64)
	if l := (redrive.Lock{Until: time.UnixMilli(until)}); l.Until.After(time.Now()) {
		l.By, _ = row["who"].(string)
		l.What, _ = row["what"].(string)
		s.Lock = &l
	}
	return s, err
}
