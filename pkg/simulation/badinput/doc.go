// Package badinput sends the corpus of testdata/bad through the real function handler, a real queue
// over a socket and the real consumer: each input gets the answer and the end that its line names.
// No input is answered 5xx, and no unsigned one 2xx. It holds tests only.
//
// A line of the corpus is one input with its expectation; testdata/bad/README.md describes the
// notation. The expectation holds for every form of a gateway's event, and with the record in memory
// and in the table.
//
//	go test ./pkg/simulation/badinput
//	go test ./pkg/simulation/badinput -run 'TestCorpus/json/created'
package badinput
