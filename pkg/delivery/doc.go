// Package delivery sends outbox messages to the configured destinations: at least once, each
// with an id that stays the same in every attempt.
//
// [Router] hands a message over: one job per matching destination goes into a queue. [Sender]
// handles batches of jobs. An attempt is begun under a lease, so no send begins while another
// attempt's lease holds; a sender that was paused past its own check may send again. A job is
// acknowledged only when its delivery's row is done or a copy is in the dead-letter queue.
package delivery
