// Package replay runs done events again for an operator, or shows what that would change.
//
// A replay fetches the event and encodes its message, then sets the record to run again,
// then sends the message. An event that cannot be fetched is refused and nothing is
// written; a replay that died in between is completed by repeating it. The package never
// completes or deletes an event, and does not depend on a transport or a database.
//
//	r, err := replay.New(replay.Config{Records: reader, Store: store, Events: stripe, Queue: sender, …})
//	result, err := r.Event(ctx, "evt_1")
//	preview, err := replay.Shadow{Rows: reader, …}.Event(ctx, "evt_1")
package replay
