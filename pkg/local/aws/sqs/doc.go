// Package sqs is an embedded, durable Amazon SQS for standard queues: the JSON
// protocol's operations over one bbolt file, to be served on loopback.
//
// It implements what AWS documents for standard queues: visibility timeouts, long
// polling, delays, retention, redrive policies, batches, message attributes and
// their digests, limits and error codes. It answers only after a change is on disk;
// concurrent changes share one write. A restart keeps messages, receive counts,
// running visibility timeouts and receipt handles.
//
// Where AWS leaves a choice, this package chooses:
//   - Oldest first, by arrival in the queue. A message that becomes visible again keeps its place.
//   - No copy appears twice while its visibility timeout runs, and none after its deletion.
//   - DeleteMessage with an older receipt of a message that was received again succeeds and deletes nothing.
//   - A move to the dead-letter queue keeps message id, receive count and enqueue time.
//   - A policy and encryption by SQS are stored and returned but not enforced. MessageGroupId is stored, without
//     fair scheduling between groups. A Number attribute keeps the zeros it was sent with.
//
// It rejects what it does not support with an error: FIFO queues, KMS keys, permissions by AddPermission, unknown
// members of a request. It does not check request signatures.
//
// # Operations
//
//	ChangeMessageVisibility     the consumer and redrive give a message back, or keep it hidden
//	CreateQueue                 the local system and tests
//	DeleteMessage               by hand and in tests
//	DeleteMessageBatch          the event source, redrive, purge
//	DeleteQueue                 by hand
//	GetQueueAttributes          queue depths, doctor
//	GetQueueUrl                 the local system, the AWS CLI
//	ListDeadLetterSourceQueues  by hand
//	ListQueueTags               by hand
//	ListQueues                  by hand
//	PurgeQueue                  by hand
//	ReceiveMessage              the event source, the verbs of dead letters
//	SendMessage                 ingest, reconcile, dead letters
//	SendMessageBatch            redrive
//	SetQueueAttributes          the local system at a changed --max-receives
//	TagQueue                    by hand
//	UntagQueue                  by hand
//
// The other operations are answered with UnknownOperationException. Dead letters are moved back by tollgate redrive,
// not by message move tasks. An event source in this process uses a [Queue] instead of requests.
//
//	s, err := sqs.Open("queues.db", sqs.Options{})
//	defer s.Close()
//	http.Serve(listener, awsjson.Handler(s.Service()))
package sqs
