// Package alltypes takes every event type that Stripe documents through the real ingest
// handler, the real message format and the real consumer with the handlers of package
// handlers, in three API versions: each event ends applied, ignored or parked, none
// crashes or comes back, and none is applied with the zeros that a body of another
// version decodes into. It holds tests only.
//
//	go test ./pkg/simulation/alltypes
package alltypes
