// Package start serves one Lambda function: it wires the function's handler from the
// environment and runs until the process ends. It links nothing that only one function needs.
package start

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"

	"github.com/aws/aws-lambda-go/lambda"

	"tollgate/pkg/config"
)

// Function serves the handler that wire returns. If wire fails, it prints the error and exits
// with 1.
func Function(function string, wire func(config.Lookup) (lambda.Handler, error)) {
	tune(os.LookupEnv)
	armFailpoints(function)
	handler, err := wire(os.LookupEnv)
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s cannot start: %v\n", function, err)
		os.Exit(1)
	}
	lambda.Start(handler)
}

const (
	// memoryOfCPU is the memory in MB with which Lambda gives a function one whole CPU; with
	// less it gives a share of one.
	memoryOfCPU = 1769
	// garbagePercent collects garbage seldom: a function's live heap is a few megabytes of the
	// memory that is paid for.
	garbagePercent = 400
)

// tune fits Go's runtime to the function's memory. With a share of a CPU, threads that run
// goroutines in parallel only wake each other up. A heap that nears the memory is collected as
// often as needed. GOMAXPROCS, GOGC and GOMEMLIMIT override it.
func tune(lookup config.Lookup) {
	text, _ := lookup("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
	memory, err := strconv.ParseInt(text, 10, 64)
	if err != nil || memory <= 0 {
		return // not on Lambda
	}
	unset := func(name string) bool { _, set := lookup(name); return !set }
	if unset("GOMAXPROCS") && memory < memoryOfCPU {
		runtime.GOMAXPROCS(1)
	}
	if unset("GOGC") {
		debug.SetGCPercent(garbagePercent)
	}
	if unset("GOMEMLIMIT") {
		debug.SetMemoryLimit(memory << 20 / 4 * 3)
	}
}
