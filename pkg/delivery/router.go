package delivery

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"tollgate/pkg/destination"
	"tollgate/pkg/limits"
	"tollgate/pkg/outbox"
)

// Jobs enqueues jobs. Safe for concurrent use.
type Jobs interface {
	// SendJobs puts at most limits.SQSMaxBatch bodies into a group's queue. An error means that
	// at least one may not be there.
	SendJobs(ctx context.Context, group string, bodies []string) error
}

// History lists what is handed over to destinations with a history. Safe for concurrent use.
type History interface {
	// Note writes a delivery's row before its job is enqueued, unless it has one. An error means
	// that it may not be there.
	Note(ctx context.Context, j Job, at time.Time) error
}

// Router hands messages over: it implements [outbox.Sender]. A message that is handed over is
// marked as sent by its caller; from then on its jobs deliver it.
type Router struct {
	destinations destination.Set
	jobs         Jobs
	history      History
}

// NewRouter returns a router to destinations.
func NewRouter(all destination.Set, jobs Jobs, history History) (*Router, error) {
	if jobs == nil || history == nil {
		return nil, errors.New("router needs queues and a history")
	}
	return &Router{all, jobs, history}, nil
}

// Send enqueues a job for each destination that takes the message. After an error all of them are
// enqueued again: a delivery that is done is not begun a second time.
func (r *Router) Send(ctx context.Context, m outbox.Message) error {
	if !wellFormed(m.Key) { // it would go to the wrong destinations, or to none
		return errors.New("the message's key has no mode and account: make it by dispatch.MessageKey of a dispatch.Key")
	}
	bodies := map[string][]string{}
	for _, d := range r.destinations.Matching(m.Name, m.Live(), accountOf(m)) {
		if d.History {
			if err := r.history.Note(ctx, Job{m.Key, d.Name}, time.Now()); err != nil {
				return fmt.Errorf("note delivery: %w", err)
			}
		}
		bodies[d.Group] = append(bodies[d.Group], Job{m.Key, d.Name}.Encode())
	}
	for _, group := range slices.Sorted(maps.Keys(bodies)) {
		for some := range slices.Chunk(bodies[group], limits.SQSMaxBatch) {
			if err := r.jobs.SendJobs(ctx, group, some); err != nil {
				return fmt.Errorf("enqueue jobs of group %s: %w", group, err)
			}
		}
	}
	return nil
}
