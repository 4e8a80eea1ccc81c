// Package simulation runs the real ingest, consumer, store, redrive, purge, replay and reconcile
// code in seeded scenarios: the clock, the queue, the table, Secrets Manager and Stripe are
// simulated, and so is every fault between them. It holds tests only.
//
// A schedule is the scenario of one seed. A scheduler lets every process run until all of them
// wait, then draws the next step: it answers, loses, delays or refuses one of the pending calls,
// advances the clock, kills, pauses or resumes a process, or delivers a message again. A seed
// always gives the same steps. Invariants are checked after every write and at the end; see
// invariants_test.go.
//
// Dimensions of a scenario, each a part of its plan:
//
//	outages_test.go     full and partial outages, brief refusals
//	faults_test.go      single faults: requests without an answer, hot items, expired signatures
//	secrets_test.go     a webhook secret that cannot be fetched or used
//	endpoints_test.go   two endpoints whose policies change at any step
//	purge_test.go       purges at any step
//	pausing_test.go     pauses of event types and of everything, resumed at any step
//	objects_test.go     kept rows, coalescing, a slow or lagging Stripe, revoked accounts
//	broken_test.go      rows written by another program
//	history_test.go     events from before the system's start
//	mail_test.go        messages about old states
//	versions_test.go    two releases at once
//	reconcile_test.go   reconcile, over events that Stripe withholds
//
// The sender has worlds of its own, in package sending.
//
// Scenarios with a fixed plan and the real limits test promised numbers, such as an outage of the
// store of eight hours that sends no healthy event to the dead-letter queue; see
// fixedplan_test.go and the tests that use it. A mutant is the product with a seeded bug, which
// TestSchedules or a named test must find; see mutants_test.go.
//
//	make sim                        100,000 schedules
//	make sim SCHEDULES=10000000     more of them
//	go test ./pkg/simulation -run TestSchedules -schedules 2000 -counts    how often each fault occurred
//	go test ./pkg/simulation -run TestSeed -seed 4711 -v    the steps of one
package simulation
