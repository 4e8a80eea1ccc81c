// Package sqsqueue is the adapter to Amazon SQS and to the Lambda trigger that reads
// from it: a [Sender] for who puts envelopes on the queue, a [Consumer] for who takes
// messages off it, [DeadLetters] and [DeadLetterMover] for the operator of its dead-letter
// queue. It decides nothing about a message, and polls nothing: Lambda's event source
// mapping does.
//
//	sender := sqsqueue.NewSender(client, queueURL, limits.AWS())
//	err := sender.Send(ctx, envelope, trace)
package sqsqueue
