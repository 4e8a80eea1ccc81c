//go:build race

package scenes_test

// seeds is how many times each scene is played, and tries how many times one with a
// mistake: the race detector makes each ten times
// slower.
const (
	seeds = 100
	tries = 12
)
