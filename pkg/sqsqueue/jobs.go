package sqsqueue

import (
	"context"
	"errors"
	"fmt"

	"tollgate/pkg/queue"
)

// Jobs enqueues jobs of deliveries, each group's into a queue of its own. It is safe for
// concurrent use.
type Jobs struct {
	client Client
	url    func(group string) string
}

// NewJobs works on the queues with the URLs that url returns. Pass a client that retries.
func NewJobs(client Client, url func(group string) string) *Jobs { return &Jobs{client, url} }

// SendJobs stores at most ten bodies with one request. After an error any may be stored.
func (j *Jobs) SendJobs(ctx context.Context, group string, bodies []string) error {
	messages := make([]queue.Message, len(bodies))
	for i, body := range bodies {
		messages[i] = queue.Message{ID: *entryID(i), Body: body}
	}
	refused, err := sendBatch(ctx, j.client, j.url(group), messages)
	errs := []error{err}
	for _, m := range messages {
		if why := refused[m.ID]; why != nil {
			errs = append(errs, fmt.Errorf("send job %s: %w", m.ID, why))
		}
	}
	return errors.Join(errs...)
}
