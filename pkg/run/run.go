// Package run starts the three Lambda functions. The main of a function is one call:
//
//	func main() { run.Consumer(handlers.Register) }
//
// Each call reads its configuration from the environment (see package config), wires the
// adapters without a network call and serves invocations until the process ends. An
// invalid configuration is printed with all its faults, and the process exits with 1.
package run

import (
	"fmt"
	"os"

	"github.com/aws/aws-lambda-go/lambda"

	"tollgate/pkg/config"
)

// start serves the handler that wire returns.
func start(function string, wire func(config.Lookup) (lambda.Handler, error)) {
	armFailpoints(function)
	handler, err := wire(os.LookupEnv)
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s cannot start: %v\n", function, err)
		os.Exit(1)
	}
	lambda.Start(handler)
}
