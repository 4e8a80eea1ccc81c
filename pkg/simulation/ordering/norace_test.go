//go:build !race

package ordering_test

// With more than many orders, one in sparse is played.
const (
	many   = 720
	sparse = 1
)
