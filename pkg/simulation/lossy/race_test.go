//go:build race

package lossy_test

// usual is how many events TestLossy has, fewer those with a mistake, and crew how
// many workers are awake: the race detector makes each several times slower.
const (
	usual = 80
	fewer = 24
	crew  = 8
)
