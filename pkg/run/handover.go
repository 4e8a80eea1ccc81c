package run

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"tollgate/pkg/config"
	"tollgate/pkg/delivery"
	"tollgate/pkg/dispatch"
	"tollgate/pkg/outbox"
	"tollgate/pkg/sqsqueue"
)

// sendsOn makes a mux forward the events that destinations take, and returns the router that
// hands messages over to them; nil without destinations.
func sendsOn(mux *dispatch.Mux, to config.Sending, queues aws.Config, history delivery.History) (*delivery.Router, error) {
	if len(to.Destinations) == 0 {
		return nil, nil
	}
	delivery.Forward(mux, to.Destinations)
	return delivery.NewRouter(to.Destinations, sqsqueue.NewJobs(sqs.NewFromConfig(queues), to.QueueURL), history)
}

// handOver returns what the consumer calls after a commit, nil without destinations.
func handOver(marks outbox.Marks, router *delivery.Router) func(context.Context, dispatch.Effects) error {
	if router == nil {
		return nil
	}
	return outbox.HandOver(marks, router)
}
