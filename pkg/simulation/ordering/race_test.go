//go:build race

package ordering_test

// With more than many orders, one in sparse is played, as the race detector makes each ten times
// slower. Every place still gets its accidents.
const (
	many   = 120
	sparse = 23
)
