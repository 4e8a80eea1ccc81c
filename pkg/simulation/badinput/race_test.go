//go:build race

package badinput

// raced is true with the race detector, which is slow: each input is then sent in two forms, a large
// one in one.
const raced = true
