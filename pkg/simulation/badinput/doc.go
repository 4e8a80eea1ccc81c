// Package badinput takes the corpus of testdata/bad through the real function handler,
// a real queue over a socket and the real consumer: whatever arrives gets the answer and
// the end that its line names. No input is answered 5xx, and none that is not signed
// gets a 2xx. It holds tests only.
//
// A line of the corpus is one input, with its own expectation; the notation is told in
// testdata/bad/README.md. What a line says about an event holds in every form in which
// a gateway can hand it over, and with the record in memory as in the table.
//
//	go test ./pkg/simulation/badinput
//	go test ./pkg/simulation/badinput -run 'TestCorpus/json/created'
package badinput
