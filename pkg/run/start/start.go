// Package start serves one Lambda function: it wires the function's handler from the
// environment and runs until the process ends. It links nothing that only one function needs.
package start

import (
	"fmt"
	"os"

	"github.com/aws/aws-lambda-go/lambda"

	"tollgate/pkg/config"
)

// Function serves the handler that wire returns. If wire fails, it prints the error and exits
// with 1.
func Function(function string, wire func(config.Lookup) (lambda.Handler, error)) {
	armFailpoints(function)
	handler, err := wire(os.LookupEnv)
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s cannot start: %v\n", function, err)
		os.Exit(1)
	}
	lambda.Start(handler)
}
