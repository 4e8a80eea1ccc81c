//go:build race

package scenes_test

// seeds is how many times each scene is played: the race detector makes each ten times slower.
const seeds = 100
