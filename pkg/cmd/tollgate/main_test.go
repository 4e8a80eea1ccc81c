package main

import (
	"os"
	"testing"
)

// asCommand makes the test binary the command itself, for tests that need a process.
const asCommand = "TOLLGATE_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
	}
	os.Exit(m.Run())
}
