// Package start serves one Lambda function: it wires the function's handler from the
// environment and runs until the process ends. It links nothing that only one function needs.
package start

import (
	"fmt"
	"log"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"

	"github.com/aws/aws-lambda-go/lambda"

	"tollgate/pkg/config"
)

// Function serves the handler that wire returns. If wire fails, it logs the error and exits
// with 1.
func Function(function string, wire func(config.Lookup) (lambda.Handler, error)) {
	tune(os.LookupEnv)
	armFailpoints(function)
	own := newLines(os.Stderr, os.LookupEnv)
	log.SetFlags(0)
	log.SetOutput(own) // aws-lambda-go's lines
	handler, err := wired(wire, os.LookupEnv)
	if err != nil {
		own.cannotStart(function, err)
		os.Exit(1)
	}
	lambda.Start(own.within(handler))
}

// wired turns a panic, as of two handlers for one type, into an error.
func wired(wire func(config.Lookup) (lambda.Handler, error), lookup config.Lookup) (handler lambda.Handler, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	return wire(lookup)
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
