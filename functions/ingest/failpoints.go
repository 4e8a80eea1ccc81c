//go:build failpoints && unix

package main

import (
	"os"

	"tollgate/pkg/failpoint"
)

// A build for crash tests has points at which it can be ended.
var _ = failpoint.Wire("ingest", os.LookupEnv, os.Setenv)
