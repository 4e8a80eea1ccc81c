// Package redrive is the operator's side of the dead-letter queue: it lists dead letters with
// their causes, sends them to the queue of events again, purges them, and keeps two operators
// from working on the queue at once.
//
// Reading hides messages for a while and shows them again; no payload is kept.
// [DLQ.Redrive] deletes nothing that is not stored in the queue of events, and [DLQ.Purge]
// nothing whose event is neither done nor marked as purged. Both process only what a [Plan]
// selected. The package does not depend on a transport or a database, and does not use
// SQS's own redrive, which has no filter and reports no outcomes.
//
//	d := &redrive.DLQ{Queue: queue, Mover: mover, Records: records, Locks: locks, Operator: "ann@laptop", Verb: "redrive", Limits: limits.AWS()}
//	plan, err := d.Plan(ctx, redrive.Selection{Filter: filter})
//	if err != nil {
//		return err
//	}
//	result, err := d.Redrive(ctx, plan, redrive.Options{Canary: 5, Wait: true, OnOutcomes: show})
package redrive
