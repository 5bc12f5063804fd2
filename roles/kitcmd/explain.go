package kitcmd

import (
	"fmt"
	"strings"

	"aspects-poc/internal/kit/lint"
	"aspects-poc/internal/nearest"
	"aspects-poc/roles"

	"github.com/urfave/cli/v2"
)

func explain(env *roles.Env) *cli.Command {
	return &cli.Command{
		Name: "explain", Usage: "explain a finding of lint", ArgsUsage: "CODE …",
		Description: "Explains the rule with the CODE in brackets after a finding, such as version-prefix: why it exists, what snapd " +
			"says or does, what to do, a bad and a good example. Without CODE it lists all codes.",
		UsageText:       "aspects-poc registry explain version-prefix",
		SkipFlagParsing: true,
		Action:          func(c *cli.Context) error { return runExplain(env, c) },
	}
}

func runExplain(env *roles.Env, c *cli.Context) error {
	codes := roles.Args(c)
	if len(codes) == 0 {
		for _, rule := range lint.Rules() {
			if _, err := fmt.Fprintf(env.Stdout, "%-23s %-8s %s\n", rule.Code, rule.Level, rule.Summary); err != nil {
				return err
			}
		}
		return nil
	}
	var texts []string
	for _, code := range codes {
		explained, ok := lint.Explain(strings.Trim(code, "[]"))
		if !ok {
			var known []string
			for _, rule := range lint.Rules() {
				known = append(known, rule.Code)
			}
			hint := "aspects-poc registry explain lists all rules"
			if near := nearest.Names(code, known); len(near) > 0 {
				hint = "did you mean " + strings.Join(near, " or ") + "?"
			}
			return roles.Usagef("there is no rule %q: %s", code, hint)
		}
		texts = append(texts, explained.Text())
	}
	_, err := fmt.Fprint(env.Stdout, strings.Join(texts, "\n"))
	return err
}
