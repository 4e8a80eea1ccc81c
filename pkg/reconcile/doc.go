// Package reconcile compares Stripe's event list with the table and enqueues what is missing:
// events whose delivery never arrived, and events whose message was lost after a failure.
//
// A pass lists windows that overlap widely with earlier ones, compares each event with its
// record, and enqueues the event if needed. It keeps no cursor, does
// not rely on the order of ids or on what Stripe reports as delivered, so an event that
// becomes visible late, or shares its second with a hundred others, is found by a later
// pass. It writes the start of each account's history, a note for each finished slice and a
// daily note of how it treats each account, but no records. A crash at any step costs one
// more comparison and at most a second message for an event, which its record makes
// harmless.
//
// It enqueues no event of a type that is paused or being resumed. Such an event makes no slice
// unfinished, and its slice is compared again by later passes: the run of [Reconciler.Backfill]
// that ends the pause enqueues what the passes left.
//
// It lists nothing that was created before the start of an account's history, and no event
// of an account that the policy of its endpoint excludes. A record or a note that cannot be
// read is counted or skipped, and blocks no other.
//
// Most records are read once. The note of a slice has the number of its events and a hash of
// their ids, if each was done or in the index of open records. A later pass, of any tier, that
// lists the same events reads only the records of those that the index has now, and lists and
// compares the slice again if it differs. The frequent tier does not even list a slice that
// was accounted for Limits.Reconcile.Late after its end and has no open event; the others list
// all, for what Stripe's list shows later than that. This relies on two rules: a record
// leaves done only by a replay, which puts it into the index; and it leaves the index only
// when it is done, a purge included. Who deletes a record by hand must delete the note too.
//
// Per event it costs 0.6 read units of the table and 18 of Stripe's list, at any volume, and
// some 5 cents a month for the notes of an account. At 5 lists of 100 events a second the
// tiers compare each slice in time up to 10 million events a month: the passes of 13 minutes
// leave slices of the long tiers, and the frequent passes catch up. At 100 million they do not;
// at 20 lists a second they do:
//
//	go test ./pkg/dynamostore -run '^$' -bench ReconcileCost -benchtime 1x
//
// It does not depend on a transport, a database or the system clock.
//
//	r, err := reconcile.New(reconcile.Config{Lister: stripe, Records: records, Sender: queue, …})
//	report, err := r.Run(ctx, reconcile.Frequent)
package reconcile
