//go:build !race

package scenes_test

// seeds is how many times each scene is played.
const seeds = 1000
