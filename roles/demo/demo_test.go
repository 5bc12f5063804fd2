package demo_test

import (
	"bytes"
	"strings"
	"testing"

	"aspects-poc/registry"
	"aspects-poc/roles"
	"aspects-poc/roles/control"
	"aspects-poc/roles/demo"
	"aspects-poc/roles/registrycmd"
	"aspects-poc/roles/reporting"
	"aspects-poc/roles/server"
	"aspects-poc/roles/vpn"
)

func list() []roles.Role {
	list := []roles.Role{server.Role, control.Role, vpn.Role, reporting.Role, registrycmd.Role}
	return append(list, demo.New(list...))
}

func TestOnce(t *testing.T) {
	var stdout, stderr bytes.Buffer
	env := &roles.Env{
		Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr,
		Getenv: func(string) string { return "" }, Open: registry.Open,
	}
	args := []string{"aspects-poc", "demo", "--once", "--listen", "127.0.0.1:0"}
	code := roles.Run(t.Context(), env, args, list()...)
	t.Logf("exit status %d\n%s\n%s", code, stdout.String(), stderr.String())
}
