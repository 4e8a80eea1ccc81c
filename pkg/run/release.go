//go:build !(failpoints && unix)

package run

// armFailpoints does nothing: release builds do not import package failpoint.
func armFailpoints(string) {}
