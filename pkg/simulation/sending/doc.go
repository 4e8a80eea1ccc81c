// Package sending runs the real router, sender and store of deliveries in seeded worlds: the clock,
// the queue, the table and the receivers are simulated, and so is every fault between them. It holds
// tests only.
//
// In a world a consumer hands messages over and may die at any call; a sweep hands over what it left.
// Two or three senders with skewed clocks are killed, paused and run late; calls lose their requests
// or answers, or are applied after their caller went on; jobs are received twice; receivers are slow,
// down, throttling, refusing or gone. Then faults end, an operator enables destinations and redrives
// dead letters. Invariants are checked after every write, at every send and at the end; see
// check_test.go. Every draw is a function of the seed, the process and the call, and every call takes
// a time of its own, so a seed always gives the same world.
//
//	go test ./pkg/simulation/sending -worlds 20000
//	go test ./pkg/simulation/sending -run TestWorld -seed 4711 -v    the steps of one
package sending
