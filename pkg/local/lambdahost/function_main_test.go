package lambdahost

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

// TestMain makes this test binary a real Lambda function when a host starts it,
// and the host that TestHostKilled kills.
func TestMain(m *testing.M) {
	switch {
	case os.Getenv("AWS_LAMBDA_RUNTIME_API") != "":
		runAsFunction()
	case os.Getenv("LAMBDAHOST_TEST_HOST") != "":
		runAsHost()
	default:
		os.Exit(m.Run())
	}
}

// request tells the test function what to do.
type request struct {
	Do   string
	Text string
	Size int
}

func runAsFunction() {
	switch os.Getenv("AT_INIT") {
	case "exit":
		fmt.Println("exits")
		os.Exit(3)
	case "hang":
		select {}
	case "report":
		reportInitError()
	case "stubborn":
		signal.Ignore(syscall.SIGTERM)
	}
	lambda.Start(handle)
}

func handle(ctx context.Context, r request) (any, error) {
	switch r.Do {
	case "echo":
		return r.Text, nil
	case "error":
		return nil, errors.New(r.Text)
	case "panic":
		panic(r.Text)
	case "exit":
		os.Exit(r.Size)
	case "hang": // a handler that does not look at its context
		fmt.Println("hanging", os.Getpid())
		select {}
	case "pid":
		return os.Getpid(), nil
	case "big":
		return strings.Repeat("x", r.Size), nil
	case "environ":
		return os.Environ(), nil
	case "print":
		fmt.Println(r.Text)
		fmt.Fprintln(os.Stderr, "err:", r.Text)
		return nil, nil
	case "broken stream":
		return &brokenStream{bytes.NewReader([]byte("half an ans"))}, nil
	case "context":
		return describe(ctx), nil
	}
	return nil, fmt.Errorf("unknown request %q", r.Do)
}

// brokenStream is an answer that fails while it is being sent.
type brokenStream struct{ *bytes.Reader }

func (b *brokenStream) Read(p []byte) (int, error) {
	if n, err := b.Reader.Read(p); err == nil {
		return n, nil
	}
	return 0, errors.New("stream broke")
}

type invocationView struct {
	RequestID, ARN, Trace string
	Left                  time.Duration
}

func describe(ctx context.Context) invocationView {
	var v invocationView
	if lc, ok := lambdacontext.FromContext(ctx); ok {
		v.RequestID, v.ARN = lc.AwsRequestID, lc.InvokedFunctionArn
	}
	if deadline, ok := ctx.Deadline(); ok {
		v.Left = time.Until(deadline)
	}
	v.Trace = os.Getenv("_X_AMZN_TRACE_ID")
	return v
}
