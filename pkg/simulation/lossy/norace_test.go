//go:build !race

package lossy_test

// usual is how many events TestLossyWire has, and fewer those with a mistake.
const (
	usual = 300
	fewer = 40
)
