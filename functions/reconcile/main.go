// Command reconcile is the Lambda function on the schedule: it enqueues events that Stripe
// lists and the table lacks, sends the outbox, and compares the kept rows with Stripe. It logs
// each message instead of sending it: replace outbox.NewLogSender with your own [outbox.Sender].
package main

import (
	"tollgate/pkg/handlers"
	"tollgate/pkg/outbox"
	"tollgate/pkg/run"
)

func main() { run.Reconcile(handlers.Register, outbox.NewLogSender) }
