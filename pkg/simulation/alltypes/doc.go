// Package alltypes sends every event type that Stripe documents through the real ingest handler,
// message format, consumer and handlers, in three API versions: each event ends applied, ignored or
// parked, none crashes or is retried, and none is applied with zeros decoded from a body of another
// version. It holds tests only.
//
//	go test ./pkg/simulation/alltypes
package alltypes
