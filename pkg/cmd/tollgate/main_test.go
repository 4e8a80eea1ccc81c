package main

import (
	"os"
	"testing"
)

// asCommand makes the test binary the command itself, for tests that need a process.
const asCommand = "TOLLGATE_TEST_AS_COMMAND"

// asVersion is the release of such a command.
const asVersion = "TOLLGATE_TEST_AS_VERSION"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		if v := os.Getenv(asVersion); v != "" {
			version = v
		}
		main()
	}
	os.Exit(m.Run())
}
