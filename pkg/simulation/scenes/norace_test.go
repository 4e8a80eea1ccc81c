//go:build !race

package scenes_test

// seeds is how many times each scene is played, and tries how many times one with a
// mistake.
const (
	seeds = 1000
	tries = 40
)
