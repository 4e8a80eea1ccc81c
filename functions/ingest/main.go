// Command ingest is the Lambda function behind API Gateway: it verifies a Stripe delivery,
// enqueues it and answers.
package main

import "tollgate/pkg/run"

func main() { run.Ingest() }
