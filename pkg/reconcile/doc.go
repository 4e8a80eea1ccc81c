// Package reconcile compares Stripe's event list with the table and enqueues what is missing:
// events whose delivery never arrived, and events whose message was lost after a failure.
//
// A pass lists windows that overlap widely with earlier ones, compares each event with its
// record (a consistent read), and enqueues the event if needed. It keeps no cursor, does
// not rely on the order of ids or on what Stripe reports as delivered, so an event that
// becomes visible late, or shares its second with a hundred others, is found by a later
// pass. It writes the start of each account's history, a note for each finished slice and a
// daily note of how it treats each account, but no records. A crash at any step costs one
// more comparison and at most a second message for an event, which its record makes
// harmless.
//
// It lists nothing that was created before the start of an account's history, and no event
// of an account that the policy of its endpoint excludes. A record or a note that cannot be
// read is counted or skipped, and blocks no other.
//
// It does not depend on a transport, a database or the system clock.
//
//	r, err := reconcile.New(reconcile.Config{Lister: stripe, Records: records, Sender: queue, …})
//	report, err := r.Run(ctx, reconcile.Frequent)
package reconcile
