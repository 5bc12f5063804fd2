package kitcmd_test

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"

	"aspects-poc/roles"
	"aspects-poc/roles/kitcmd"

	"github.com/urfave/cli/v2"
)

type outcome struct {
	Code           int
	Stdout, Stderr string
}

// run runs "aspects-poc registry ARGS", where no registry can be opened: the kit opens none.
func run(t *testing.T, args ...string) outcome {
	t.Helper()
	var stdout bytes.Buffer
	code, stderr := runTo(t.Context(), &stdout, args...)
	return outcome{code, stdout.String(), stderr}
}

func runTo(ctx context.Context, stdout io.Writer, args ...string) (code int, errors string) {
	var stderr bytes.Buffer
	env := &roles.Env{Stdin: strings.NewReader(""), Stdout: stdout, Stderr: &stderr, Getenv: func(string) string { return "" }}
	registry := roles.Role{Name: "registry", Tool: true, Command: func(env *roles.Env) *cli.Command {
		return &cli.Command{Subcommands: kitcmd.Commands(env)}
	}}
	return roles.Run(ctx, env, append([]string{"aspects-poc", "registry"}, args...), registry), stderr.String()
}
