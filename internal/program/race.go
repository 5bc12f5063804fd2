//go:build race

package program

const raced = true // this test has the race detector
