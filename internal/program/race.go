//go:build race

package program

// Raced reports whether this program was built with the race detector.
const Raced = true
