// Package crash kills or pauses the processes of a local system at each failpoint, under load, and
// then checks that no event is lost, applied twice or stuck, and at the points of sending, that each
// event reaches a receiver under one id. It holds tests only: they build the command and the
// functions with failpoints, run them as users do, and arm one point at a time.
//
//	go test ./pkg/local/crash                   # a few points, a few times each
//	go test -v -timeout 30m ./pkg/local/crash -all   # every point, and the matrix
package crash
