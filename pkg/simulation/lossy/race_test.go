//go:build race

package lossy_test

// usual is how many events TestLossyWire has, and fewer those with a mistake: the race
// detector makes each several times slower.
const (
	usual = 80
	fewer = 24
)
