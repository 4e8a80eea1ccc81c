//go:build race

package badinput

// raced tells that the race detector slows everything down: each input then goes two of
// its ways, and megabytes one.
const raced = true
