// Command testrun is what make test runs: go test, with the race detector where there is a C compiler, and with temporary
// files in memory where there is room. It says which it was, shows the output of what fails, and lists at the end what was
// skipped, and which package brings what was missing.
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
	"syscall"

	"aspects-poc/internal/program"
)

func main() {
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
		// Tests want the program while the rest is still compiled, and would compile it all a second time.
		if _, err := program.Build(context.Background(), dir, len(flags) > 0); err != nil {
			return 0, err
		}
	}
	command := exec.Command("go", append(append([]string{"test", "-json"}, flags...), args...)...)
	command.Dir, command.Stderr = dir, os.Stderr
	if os.Getenv("GORACE") == "" {
		// A program with the race detector sleeps for a second before it ends, and scripts start it hundreds of times.
		variables = append(variables, "GORACE=atexit_sleep_ms=10")
	}
	command.Env = append(os.Environ(), variables...)
	output, err := command.StdoutPipe()
	if err != nil {
		return 0, err
	}
	// An interrupt reaches go test, too: what it says then is still to be shown.
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
