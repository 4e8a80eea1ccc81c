//go:build !race

package lossy_test

// usual is how many events TestLossy has, fewer those with a mistake, and crew how
// many workers are awake.
const (
	usual = 300
	fewer = 40
	crew  = 24
)
