// Package sqs is an embedded, durable Amazon SQS for standard queues: the JSON
// protocol's operations over one bbolt file, to be served on loopback.
//
// What AWS documents for standard queues holds here: visibility timeouts, long
// polling, delays, retention, redrive policies, message move tasks, batches,
// message attributes and their digests, limits and error codes. An answer is
// given only after its change is on disk; what happened at the same time shares
// one write. A restart keeps messages, receive counts, running visibility
// timeouts, receipt handles and move tasks.
//
// Where AWS leaves a choice, this package chooses:
//   - Oldest first, by arrival in the queue. A message that becomes visible again keeps its place.
//   - No copy appears twice while its visibility timeout runs, and none after its deletion.
//   - DeleteMessage with an older receipt of a message that was received again succeeds and deletes nothing.
//   - A move to the dead-letter queue keeps message id, receive count and enqueue time.
//   - A move task moves what is visible in its source at its start, oldest first, at the given rate
//     (500 a second if none is given). It goes on after a restart: to a caller it runs inside the service.
//     It becomes FAILED with CouldNotDetermineMessageSource at a message that has no original source when no
//     destination was given, and with AWS.SimpleQueueService.NonExistentQueue when the destination is gone.
//   - A policy, and encryption by SQS, are stored and shown but not enforced. MessageGroupId is carried, fair
//     scheduling between groups is not imitated. A Number attribute keeps the zeros it was sent with.
//
// It refuses what it does not do with an error: FIFO queues, KMS keys, permissions by AddPermission, unknown
// members of a request. Request signatures are not checked.
//
//	s, err := sqs.Open("queues.db", sqs.Options{})
//	defer s.Close()
//	http.Serve(listener, awsjson.Handler(s.Service()))
package sqs
