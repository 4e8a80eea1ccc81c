// Package queue encodes an envelope as the body of a queue message and decodes it, and
// defines the message that a consumer receives. It does not depend on a transport.
//
//	body, err := queue.Encode(env)
//	env, err := queue.Decode(msg.Body)   // queue.ErrUndecodable or queue.ErrNewer
//
// # The message body, version 1
//
// One JSON object whose every byte is printable ASCII (0x20 to 0x7E): SQS refuses some
// characters that JSON allows, for example U+FFFE. It is complete, as a redriven message is a
// new message without the old attributes.
//
//	member         JSON     holds                                        left out when
//	v              number   1, the version of this format                never
//	id             string   the event's id                               never
//	object         string   "event" or "v2.core.event" (thin)            never
//	type           string   the event's type                             never
//	endpoint       string   the endpoint's name in the delivery's path   empty
//	account        string   connected account, a thin event's context    empty
//	livemode       bool                                                  never
//	api_version    string   in which the body is written                 empty
//	created        number   seconds since 1970                           never
//	created_raw    string   a thin event's created as written            empty
//	received_at    number   milliseconds since 1970                      never
//	object_id      string   id of the event's object, \u-escaped         empty
//	src            string   "webhook", "eventbridge", "reconcile",       never
//	                        "backfill", "replay"
//	body_encoding  string   "base64", "zstd+base64" or "none"            never
//	body           string   the bytes that Stripe signed, so encoded     "none"
//
// A body of more than 64 KiB is compressed. Above 4 MiB of body, or 1,000,000 bytes of
// message after compression, and when there is no body (nil), the message is id-only:
// body_encoding is "none" and the consumer fetches the event from Stripe. A body of no
// bytes (empty, not nil) is refused by both directions: it is not an event.
//
// A reader refuses a message without a required member, and a body that unpacks to more
// than 4 MiB. It ignores unknown members.
//
// # Events of EventBridge
//
// With the stage's option eventbridge a rule puts the events of Stripe's partner event bus into
// the queue, as EventBridge writes them: an object with version "0", source
// ("aws.partner/stripe.com/" and the destination's id), time, and Stripe's event as detail. Such a
// message is read as an envelope of the endpoint "eventbridge" with the source "eventbridge". It has
// no signature: who may write to the queue is decided by the queue's policy, for both forms.
//
// # Newer versions
//
// Old and new processes run side by side during a deploy and after a rollback. So a change
// takes two deploys, readers first: the release that reads a new v or a new src is deployed
// everywhere before the one that writes it. Every change of the form, a new member too, is
// a new v: tests compare this release's messages with the golden ones of their v.
//
// A message with a higher v, or with a src that is unknown here, is [ErrNewer], whatever
// shape its other members have: it waits for a newer consumer, an hour for each receive,
// and becomes a dead letter at its last receive. Another v (0, a fraction, text) is
// [ErrUndecodable].
//
// testdata/wire/v<version> holds messages and records as the release wrote them that
// introduced the version; every later release must read them.
package queue
