//go:build !race

package program

const raced = false // this test has the race detector
