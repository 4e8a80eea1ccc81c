// Package reconcile compares Stripe's event list with the table and enqueues what is missing:
// events whose delivery never arrived, and events whose message was lost after a failure.
//
// A pass lists windows that reach far over the last ones, compares each event with its
// record, read consistently, and sends what needs it. It keeps no cursor, trusts no order of
// ids and does not rely on what Stripe reports as delivered, so an event that becomes visible
// late, or shares its second with a hundred others, is only seen later. It writes the begin
// of each account's history, a note of each slice that it finished, a daily note of how it
// treats each account, and nothing else: no record, no placeholder. A crash at any step costs
// one more comparison and at most a second message for an event, which its record makes
// harmless.
//
// It lists nothing that was created before the begin of an account's history, and no event of
// an account that the policy of its endpoint excludes. A record or a note that cannot be read
// is counted or skipped, and blocks no other.
//
// It knows no transport, no database and no clock of its own.
//
//	r, err := reconcile.New(reconcile.Config{Lister: stripe, Records: records, Sender: queue, …})
//	report, err := r.Run(ctx, reconcile.Frequent)
package reconcile
