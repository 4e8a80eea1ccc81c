//go:build !race

package badinput

// raced is false without the race detector; see race_test.go.
const raced = false
