package kitcmd

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"

	"aspects-poc/internal/kit/hookrun"
)

// IsSnapctl tells whether the program was called as the snapctl of hooks that dev and test run.
func IsSnapctl(argv0 string) bool { return hookrun.IsSnapctl(argv0) }

// Snapctl is the program as that snapctl, and returns its exit code.
func Snapctl(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return hookrun.Snapctl(ctx, args, os.Getenv, stdout, stderr)
}
