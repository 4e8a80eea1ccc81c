// Command ingest is the Lambda function behind API Gateway: it verifies a Stripe delivery,
// enqueues it and answers.
package main

import "tollgate/pkg/run/runingest"

func main() { runingest.Ingest() }
