//go:build race

package ordering_test

// Of more than many orders every sparse one is played: the race detector makes each ten
// times slower. What is coprime to the length has every place in its turn.
const (
	many   = 120
	sparse = 23
)
