// Package eventsource feeds a function from a standard SQS queue as Lambda's
// event source mapping does.
//
// A [Source] receives messages in batches, invokes the function with them and
// deletes those that the function did not report as failed. Partial batch
// responses (ReportBatchItemFailures) are always on: a response that cannot be decoded
// fails the whole batch, and a failed message becomes visible again after its timeout.
//
// It does not support FIFO queues and filters, and does not change a message's
// visibility, which the function does. It delivers at least once, like Lambda.
//
//	s, err := eventsource.New(eventsource.Options{
//		Queue:    eventsource.NewSQS(client, queueURL),
//		QueueARN: "arn:aws:sqs:us-east-1:000000000000:events",
//		Invoker:  invoke,
//	})
//	err = s.Run(ctx) // until ctx is done
package eventsource
