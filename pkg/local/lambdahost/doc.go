// Package lambdahost runs real Lambda function binaries on this machine.
//
// A [Function] starts the binary as a process, serves Lambda's Runtime API
// (version 2018-06-01) to it on a loopback address and gives it one invocation at
// a time, as Lambda's execution environments do. Deadlines,
// headers, environment variables, size limits and error types are Lambda's, so a
// binary built with aws-lambda-go for this machine needs no change.
//
// It does not provide containers, memory limits, layers, extensions, response
// streaming, asynchronous invocation or retries. A function does not inherit the
// host's environment variables.
//
//	f, err := lambdahost.New(lambdahost.Options{
//		Name: "ingest", Path: ".build/host/ingest",
//		Timeout: 5 * time.Second, Concurrency: 8, Stderr: os.Stderr,
//	})
//	defer f.Close(context.Background())
//	res, err := f.Invoke(ctx, []byte(`{"hello":"world"}`))
package lambdahost
