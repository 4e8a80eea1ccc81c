//go:build !race

package badinput

// raced tells that the race detector is off: see race_test.go.
const raced = false
