package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// Tests write and sync thousands of small files, which is fast in memory.
const (
	memoryFolder = "/dev/shm"
	memoryNeeded = 4 << 30 // bytes: several times what the tests use
	tmpfs        = 0x01021994
	noexec       = 8
)

// memory returns the environment variables that put the tests' temporary files into memory, or none if that is impossible, and a
// line for the user that says so. A TMPDIR of the user stays. Go's own temporary files are large and stay on disk.
func memory() (variables []string, said string) {
	if chosen := os.Getenv("TMPDIR"); chosen != "" {
		return nil, "Temporary files: in " + chosen
	}
	if why := unfit(memoryFolder); why != "" {
		return nil, "Temporary files: in " + os.TempDir() + ", for " + why
	}
	variables = []string{"TMPDIR=" + memoryFolder}
	if os.Getenv("GOTMPDIR") == "" {
		variables = append(variables, "GOTMPDIR="+os.TempDir())
	}
	return variables, "Temporary files: in memory, " + memoryFolder
}

// unfit returns the reason why the tests' files cannot be in a folder, or "".
func unfit(folder string) string {
	var system syscall.Statfs_t
	if err := syscall.Statfs(folder, &system); err != nil || int64(system.Type) != tmpfs {
		return folder + " is not in memory"
	}
	switch probe, err := os.MkdirTemp(folder, "probe"); {
	case err != nil:
		return "one cannot write into " + folder
	case os.Remove(probe) != nil:
		return "one cannot remove from " + folder
	case int64(system.Flags)&noexec != 0:
		return "nothing can be run from " + folder
	}
	if free := min(system.Bavail*uint64(system.Bsize), available()); free < memoryNeeded {
		return fmt.Sprintf("only %d MB of memory are free", free>>20)
	}
	return ""
}

// available returns the available memory in bytes, or 0 if unknown.
func available() uint64 {
	file, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0
	}
	defer file.Close() //nolint:errcheck // it was only read
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var kilobytes uint64
		if text, found := strings.CutPrefix(lines.Text(), "MemAvailable:"); found {
			if _, err := fmt.Sscan(text, &kilobytes); err == nil {
				return kilobytes << 10
			}
		}
	}
	return 0
}
