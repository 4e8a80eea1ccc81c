// Command consumer is the Lambda function on the queue: it dispatches each event and
// commits its handler's effects exactly once.
package main

import (
	"tollgate/pkg/handlers"
	"tollgate/pkg/run"
)

func main() { run.Consumer(handlers.Register) }
