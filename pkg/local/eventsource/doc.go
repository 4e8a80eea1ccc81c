// Package eventsource feeds a function from a standard SQS queue as Lambda's
// event source mapping does.
//
// A [Source] receives messages in batches, invokes the function with them and
// deletes those that the function did not report as failed. Partial batch
// responses (ReportBatchItemFailures) are always on, and read as Lambda documents
// them: a response that cannot be read fails the whole batch, and a message that
// failed is left alone and comes back when its visibility ends.
//
// It refuses FIFO queues, filters, and changing a message's visibility: that is
// the function's own affair. It promises at least once, like Lambda.
//
//	s, err := eventsource.New(eventsource.Options{
//		Queue:    eventsource.NewSQS(client, queueURL),
//		QueueARN: "arn:aws:sqs:us-east-1:000000000000:events",
//		Invoker:  eventsource.InvokerFunc(invoke),
//	})
//	err = s.Run(ctx) // until ctx is done
package eventsource
