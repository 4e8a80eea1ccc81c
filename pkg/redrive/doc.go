// Package redrive is the operator's side of the dead-letter queue: reading dead letters
// without harm, saying why each gave up, sending them to the queue of events again,
// giving them up for good, and keeping two operators from working on the queue at once.
//
// Reading hides messages for a while and gives them back; no payload is kept or shown
// unless a caller takes it from the visit. A [Move] deletes nothing that is not stored in
// the queue of events, and a [Purge] nothing whose event is not done. Both take only
// what a [Survey] has planned. The package knows no transport and no database, and makes
// no use of SQS's own move of a queue: that knows neither filter nor outcome, and one
// way that works the same everywhere is enough.
//
//	err := redrive.Exclusive(ctx, claims, "ann@laptop", "redrive", func(ctx context.Context) error {
//		plan, _, err := redrive.Survey(ctx, queue, records, redrive.Selection{Filter: filter}, redrive.Options{})
//		if err != nil {
//			return err
//		}
//		moved, err := redrive.Move{Queue: queue, Mover: mover, Records: records}.Run(ctx, plan, redrive.Options{})
//		if err != nil {
//			return err
//		}
//		tally, err := redrive.Await{Records: records}.Run(ctx, moved.Letters)
//		return err
//	})
package redrive
