//go:build race

package program

// Raced reports whether the test has the race detector.
const Raced = true
