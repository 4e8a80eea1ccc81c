// Package replay runs a done event again on an operator's word, and shows beforehand
// what that would change.
//
// The event's bytes are fetched and made into a message first, then the record is set to
// run again, then the message is sent: what cannot be fetched is refused with nothing
// written, and a run that died in between is finished by the same run once more. It
// never makes an event done, deletes nothing, and knows no transport and no database.
//
//	r, err := replay.New(replay.Config{Records: reader, Store: store, Events: stripe, Queue: sender, …})
//	result, err := r.Event(ctx, "evt_1")
//	preview, err := replay.Shadow{Rows: reader, …}.Event(ctx, "evt_1")
package replay
