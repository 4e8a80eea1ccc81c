// Package crash holds the tests that end the processes of a whole local system at each
// point where it matters, under load, and then ask for nothing lost, nothing done twice
// and nothing stuck. It has no code of its own: it builds the command and the functions
// with failpoints, runs them as users do, and arms one point at a time.
//
//	go test ./pkg/local/crash                   # a few points, a few times each
//	go test -v -timeout 30m ./pkg/local/crash -all   # every point, and the matrix
package crash
