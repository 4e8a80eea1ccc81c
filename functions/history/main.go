// Command history is the Lambda function behind the API's path /deliveries: it tells a
// destination's receiver what was sent to it.
package main

import "tollgate/pkg/run/runhistory"

func main() { runhistory.History() }
