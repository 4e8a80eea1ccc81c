// Command sender is the Lambda function on the queues of deliveries: it sends each message to
// its configured destination, again until it is accepted.
package main

import "tollgate/pkg/run/runsender"

func main() { runsender.Sender() }
