//go:build !race

package lossy_test

// usual is how many events TestLossyWire has, fewer those with a mistake, and crew how
// many workers are awake.
const (
	usual = 300
	fewer = 40
	crew  = 24
)
