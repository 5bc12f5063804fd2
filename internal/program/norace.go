//go:build !race

package program

// Raced tells whether this test has the race detector.
const Raced = false
