//go:build failpoints && unix

package start

import (
	"os"

	"tollgate/pkg/failpoint"
)

// armFailpoints lets crash tests kill or pause the function at its calls.
func armFailpoints(function string) { failpoint.Wire(function, os.LookupEnv, os.Setenv) }
