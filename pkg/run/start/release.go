//go:build !(failpoints && unix)

package start

// armFailpoints does nothing: release builds do not import package failpoint.
func armFailpoints(string) {}
