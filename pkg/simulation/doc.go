// Package simulation runs the real ingest, consumer, store, redrive and reconcile code in a scenario
// made of one seed: its clock, its queue, its table and its Stripe are simulated, and so
// is everything that can go wrong between them. It holds tests only.
//
// One schedule is one run of the scenario. A scheduler lets every process run until all of
// them wait, then picks by the seed what happens next: one of the waiting calls is
// answered, lost, answered late or refused; time passes; a process dies, is stopped or
// goes on; a message is handed out once more. So a schedule can be run again from its
// seed, step by step. What must hold is checked after every write and at the end; see
// invariants_test.go.
//
// What the scenarios are made of, each in a part of the plans:
//
//	endpoints_test.go   two endpoints with policies that change at any step
//	purge_test.go       events given up in the middle of everything
//	objects_test.go     kept rows, handlers that coalesce, clocks that jump
//	broken_test.go      rows that something else writes
//	history_test.go     what was before the begin
//	mail_test.go        messages about old states
//	versions_test.go    two releases side by side
//	net_test.go         reconcile, over events that Stripe withholds
//
// A drill is a scenario with a plan of its own and the real limits: outages of hours and
// days whose arithmetic is promised, such as a store that is away for eight hours and
// sends no healthy event to the dead-letter queue; see drills_test.go, missed_test.go
// and secretwriters_test.go. A mutant is the product with a seeded bug, which the scenarios or a
// drill must find; see mutants_test.go.
//
//	make sim                        100,000 schedules
//	make sim SCHEDULES=10000000     more of them
//	go test ./pkg/simulation -run TestSchedules -schedules 2000 -counts    how often what went wrong
//	go test ./pkg/simulation -run TestSeed -seed 4711 -v    one, with its steps
package simulation
