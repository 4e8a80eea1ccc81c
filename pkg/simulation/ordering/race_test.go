//go:build race

package ordering_test

// Of more than many orders every sparse one is played: the race detector makes each ten
// times slower. Every place has its turn all the same.
const (
	many   = 120
	sparse = 23
)
