// Package lambdahost runs real Lambda function binaries on this machine.
//
// A [Function] starts the binary as a process of its own, speaks Lambda's
// Runtime API (version 2018-06-01) with it on a loopback address and hands it one
// invocation at a time, as Lambda's execution environments do. Deadlines,
// headers, environment variables, size limits and error types are Lambda's, so a
// binary built with aws-lambda-go for this machine needs no change.
//
// It refuses to be more than that: no container, no memory limit, no layers, no
// extensions, no response streaming, no asynchronous invocation and no retry. A
// function sees nothing of the host's own environment variables.
//
//	f, err := lambdahost.New(lambdahost.Options{
//		Name: "ingest", Path: ".build/host/ingest",
//		Timeout: 5 * time.Second, Concurrency: 8, Stderr: os.Stderr,
//	})
//	defer f.Close(context.Background())
//	res, err := f.Invoke(ctx, []byte(`{"hello":"world"}`))
package lambdahost
