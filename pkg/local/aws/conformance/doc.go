// Package conformance states what DynamoDB, SQS and Secrets Manager do, as
// named checks that run through the real AWS SDK clients against an endpoint.
//
// It holds tests only. Every check names one documented rule and the page of
// AWS's documentation that states it, works on a table, queue or secret of its
// own and can run with all others at the same time. A target is something the checks run
// against, each with one test function:
//
//	TestEmbedded   the embedded services of pkg/local/aws; no deviation is allowed
//	TestMoto       moto 5.2.1, the command moto_server; all three services
//	TestDynalite   dynalite 4.0.0 from npm; DynamoDB
//	TestLocalSQS   local-aws-sqs 2.0.2 from npm; SQS
//	TestFauxqs     fauxqs 1.9.2 from npm; SQS
//	TestEndpoint   whatever listens at TOLLGATE_CONFORMANCE_ENDPOINT
//	TestAWS        AWS itself, in the region TOLLGATE_CONFORMANCE_AWS
//
// The targets between are independent implementations: what they and the
// embedded services agree on is not our own reading of the documentation
// alone. Each has a table of known deviations (deviations_*_test.go) that says
// who is right. A failing check that is not listed breaks the run, and so does
// a listed check that passes, unless the deviation says that it is a race.
//
//	go test ./pkg/local/aws/conformance                       # all that is there
//	go test ./pkg/local/aws/conformance -run 'TestMoto/sqs/'  # some checks of one target
//	pkg/local/aws/conformance/install-oracles.sh              # the npm ones into .build/oracles
//	TOLLGATE_CONFORMANCE_AWS=eu-west-1 go test ./pkg/local/aws/conformance -run TestAWS -timeout 20m
//
// TestExpressionsAgainstDynalite and FuzzExpressionsAgainstDynalite give random
// items, conditions and updates to the embedded DynamoDB and to dynalite and
// compare decision and result; -expressions N and -fuzz make them
// longer:
//
//	go test ./pkg/local/aws/conformance -run TestExpressions -expressions 100000
//	go test ./pkg/local/aws/conformance -run '^$' -fuzz FuzzExpressions -fuzztime 10m -fuzzminimizetime 1x
//
// Environment:
//
//	TOLLGATE_ORACLES            "required": an oracle that is absent is a failure, not a skipped test
//	TOLLGATE_ORACLES_DIR        folder that holds node_modules with the npm oracles, default .build/oracles of the module
//	TOLLGATE_CONFORMANCE_ENDPOINT  base URL of any other implementation; every failure counts
//	TOLLGATE_CONFORMANCE_SERVICES  comma list of what that endpoint serves, default dynamodb,sqs,secretsmanager
//	TOLLGATE_CONFORMANCE_AWS    a region: run against AWS with the usual credentials; costs a few cents,
//	                            makes tables, queues and secrets named tollgate-conf-* and deletes them
//
// The package refuses to judge speed, durability or access rights.
package conformance
