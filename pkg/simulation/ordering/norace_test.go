//go:build !race

package ordering_test

// Of more than many orders every sparse one is played.
const (
	many   = 720
	sparse = 1
)
