// Command testrun is the runner of make test. It runs go test with the race detector if there is a C compiler, and
// with temporary files in memory if there is room, and says so. It shows the output of failures, and at the end lists
// skipped tests and the packages that they need.
//
//	go run ./internal/testrun [FLAG of go test | PACKAGE]...
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"aspects-poc/internal/program"
)

func main() {
	// make build has it, too: then both share what is compiled.
	if flags := goEnv("GOFLAGS"); !slices.Contains(strings.Fields(flags), "-trimpath") {
		_ = os.Setenv("GOFLAGS", strings.TrimSpace(flags+" -trimpath")) // the name is one
	}
	code, err := run(".", os.Stdout, os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "testrun:", err)
		code = 1
	}
	os.Exit(code)
}

// run runs the tests of the module in a folder and returns the exit code of go test.
func run(dir string, out io.Writer, args []string) (int, error) {
	flags, said := race()
	variables, where := memory()
	fmt.Fprintln(out, said+"\n"+where)
	if len(args) == 0 {
		args = []string{"./..."}
		// Tests build the program while go test compiles the rest. Without this build, both would compile the same packages.
		if _, err := program.Build(context.Background(), dir, len(flags) > 0); err != nil {
			return 0, err
		}
	}
	// Tests spend half of their time waiting, so twice as many run at a time.
	// With the race detector on a busy machine, a package takes longer than the ten minutes that go test gives it.
	flags = append(flags, "-p", strconv.Itoa(2*runtime.GOMAXPROCS(0)), "-timeout", "20m")
	command := exec.Command("go", append(append([]string{"test", "-json"}, flags...), args...)...) // a later -p or -timeout counts
	command.Dir, command.Stderr = dir, os.Stderr
	if os.Getenv("GORACE") == "" {
		// With the race detector a program sleeps for a second at its end, and scripts start it hundreds of times.
		variables = append(variables, "GORACE=atexit_sleep_ms=10")
	}
	command.Env = append(os.Environ(), variables...)
	output, err := command.StdoutPipe()
	if err != nil {
		return 0, err
	}
	// go test gets an interrupt too, and its last output is still shown.
	signal.Ignore(os.Interrupt, syscall.SIGTERM)
	if err := command.Start(); err != nil {
		return 0, err
	}
	report := newReport(out)
	if err := report.read(output); err != nil {
		return 0, errors.Join(err, command.Process.Kill(), command.Wait())
	}
	report.summary()
	var exit *exec.ExitError
	if err := command.Wait(); err != nil && !errors.As(err, &exit) {
		return 0, err
	}
	return command.ProcessState.ExitCode(), nil
}
