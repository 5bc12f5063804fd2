package kitcmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	schemadoc "aspects-poc/internal/document"
	"aspects-poc/internal/kit/lint"
	"aspects-poc/roles"

	"github.com/urfave/cli/v2"
)

const (
	flagAgainst = "against"
	flagEnable  = "enable"
	flagFix     = "fix"
	flagFormat  = "format"
	flagIgnore  = "ignore"
	flagStrict  = "strict"
)

func lintCommand(env *roles.Env) *cli.Command {
	return &cli.Command{
		Name: "lint", Usage: "find faults in a confdb-schema and its snaps",
		ArgsUsage: "FILE … [SNAP …]",
		Description: "Prints what snapd would refuse, and what would work badly later. FILE is a confdb-schema: YAML, " +
			"JSON for snap sign, or a signed assertion. SNAP is a snapcraft.yaml, a snap.yaml, or a folder that " +
			"has one. Each finding has its place in the file; docs/devkit/lint.md explains every rule. Exit status: 1 if " +
			"there are errors.",
		UsageText: "aspects-poc registry lint network.yaml ./custodian ./observer\n" +
			"aspects-poc registry lint --against git:origin/main --format github --strict network.yaml\n" +
			"aspects-poc registry lint --fix network.yaml ./custodian",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: flagAgainst, Usage: "compare with the published copy `FILE|git:REV`; git:REV is the " +
				"same file in that revision, and nothing is compared if it is not there"},
			&cli.StringFlag{Name: flagFormat, Value: string(lint.Text), Usage: "write findings as `text|json|github|sarif`"},
			&cli.BoolFlag{Name: flagFix, Usage: "repair what can be repaired in the files, and print what is left"},
			&cli.BoolFlag{Name: flagStrict, Usage: "fail for warnings, too"},
			&cli.StringSliceFlag{Name: flagIgnore, Usage: "do not report findings of the rule `CODE`; errors cannot be " +
				"ignored; may be repeated"},
			&cli.StringSliceFlag{Name: flagEnable, Usage: "report findings of the rule `CODE` that is off by default; " +
				"may be repeated"},
			&cli.StringFlag{Name: flagAccount, Usage: "account `ID` that will sign, if the files do not name it"},
		},
		SkipFlagParsing: true,
		Action:          func(c *cli.Context) error { return runLint(env, c) },
	}
}

func runLint(env *roles.Env, c *cli.Context) error {
	format := lint.Format(c.String(flagFormat))
	if !slices.Contains(lint.Formats(), format) {
		return roles.Usagef("invalid value %q for --%s: want one of %v", format, flagFormat, lint.Formats())
	}
	options := lint.Options{Account: c.String(flagAccount), Ignore: c.StringSlice(flagIgnore),
		Enable: c.StringSlice(flagEnable)}
	if err := checkOptions(options); err != nil {
		return err
	}
	look := func() ([]lint.Finding, error) { return findingsOf(env, c, options) }
	var findings []lint.Finding
	var err error
	if c.Bool(flagFix) {
		findings, err = fixAll(env, look)
	} else {
		findings, err = look()
	}
	if err != nil {
		return err
	}
	if err := writeFindings(env.Stdout, env, format, findings); err != nil {
		return err
	}
	if lint.Failed(findings, c.Bool(flagStrict)) {
		return errors.New(lint.Summary(findings))
	}
	return nil
}

// findingsOf returns the findings about the files of the arguments.
func findingsOf(env *roles.Env, c *cli.Context, options lint.Options) ([]lint.Finding, error) {
	var files []string
	var findings []lint.Finding
	for _, name := range roles.Args(c) {
		if !isSnap(name) {
			files = append(files, name)
			continue
		}
		snap, err := lint.ReadSnap(name)
		if found, ok := lint.Unreadable(err); ok {
			findings = append(findings, found)
		} else if err != nil {
			return nil, err
		} else {
			options.Snaps = append(options.Snaps, snap)
		}
	}
	documents := map[string][]*schemadoc.Document{}
	for _, file := range files {
		docs, err := parseFile(file)
		if found, ok := lint.Unreadable(err); ok {
			findings = append(findings, found)
			options.Ignore = append(options.Ignore, "schema-missing") // it may be this one
		} else if err != nil {
			return nil, err
		}
		documents[file] = docs
		for _, doc := range docs {
			options.Schemas = append(options.Schemas, doc.Header("name"))
		}
	}
	switch {
	case len(files) > 0:
	case len(options.Snaps) > 0:
		findings = append(findings, lint.CheckSnaps(options)...)
	case len(findings) == 0:
		return nil, roles.Usagef("no confdb-schema given")
	}
	for _, file := range files {
		found, err := lintFile(c.Context, env, file, documents[file], options, c.String(flagAgainst))
		if err != nil {
			return nil, err
		}
		for _, f := range found {
			if !slices.ContainsFunc(findings, f.Same) {
				findings = append(findings, f)
			}
		}
	}
	return findings, nil
}

// writeFindings writes findings to a stream. On a terminal it uses colours.
func writeFindings(w io.Writer, env *roles.Env, format lint.Format, findings []lint.Finding) error {
	if format == lint.GitHub || format == lint.SARIF {
		findings = slices.Clone(findings)
		for i := range findings {
			findings[i].File = fromWorkspace(env, findings[i].File)
		}
	}
	if format != lint.Text {
		return lint.Write(w, format, findings, roles.Version)
	}
	paint := env.Paint(w)
	return lint.WriteText(w, findings, func(level lint.Level, word string) string {
		switch level {
		case lint.Error:
			return paint.Bad(word)
		case lint.Warning:
			return paint.Warn(word)
		default:
			return paint.Note(word)
		}
	})
}

// fromWorkspace returns a file's path for GitHub: relative to the folder that the workflow has checked out.
func fromWorkspace(env *roles.Env, file string) string {
	workspace := env.Getenv("GITHUB_WORKSPACE")
	if workspace == "" || filepath.IsAbs(file) {
		return file
	}
	dir, err := os.Getwd()
	if err != nil {
		return file
	}
	below, err := filepath.Rel(workspace, dir)
	if err != nil || !filepath.IsLocal(below) {
		return file
	}
	return filepath.Join(below, file)
}

func checkOptions(options lint.Options) error {
	if err := validAccount(options.Account); err != nil {
		return err
	}
	for _, code := range options.Enable {
		if !slices.ContainsFunc(lint.Rules(), func(r lint.Rule) bool { return r.Code == code && r.Off }) {
			return roles.Usagef("invalid value %q for --%s: want a rule that is off by default", code, flagEnable)
		}
	}
	for _, code := range options.Ignore {
		i := slices.IndexFunc(lint.Rules(), func(r lint.Rule) bool { return r.Code == code })
		switch {
		case i < 0:
			return roles.Usagef("invalid value %q for --%s: there is no such rule", code, flagIgnore)
		case lint.Rules()[i].Level == lint.Error:
			return roles.Usagef("invalid value %q for --%s: it is an error, and snapd would not ignore it", code, flagIgnore)
		}
	}
	return nil
}

// isSnap reports whether an argument names a snap. Otherwise it names a confdb-schema.
func isSnap(name string) bool {
	if base := filepath.Base(name); strings.HasPrefix(base, "snapcraft.yaml") || strings.HasPrefix(base, "snap.yaml") {
		return true
	}
	info, err := os.Stat(name)
	return err == nil && info.IsDir()
}

func lintFile(ctx context.Context, env *roles.Env, file string, docs []*schemadoc.Document, options lint.Options, against string) ([]lint.Finding, error) {
	var before []*schemadoc.Document
	if against != "" && docs != nil {
		var err error
		if before, err = published(ctx, env, file, against); err != nil {
			return nil, err
		}
	}
	var findings []lint.Finding
	for _, doc := range docs {
		doc.FillAccount(options.Account)
		options.Against = counterpart(before, doc)
		findings = append(findings, lint.Check(doc, options)...)
	}
	return findings, nil
}

// counterpart returns the confdb-schema in list to compare doc with: the one with its name, or the only one.
func counterpart(list []*schemadoc.Document, doc *schemadoc.Document) *schemadoc.Document {
	if len(list) == 1 {
		return list[0]
	}
	for _, other := range list {
		if other.Header("name") == doc.Header("name") {
			return other
		}
	}
	return nil
}

// published reads the published copy of a file. It returns nil if the revision does not have the file.
func published(ctx context.Context, env *roles.Env, file, against string) ([]*schemadoc.Document, error) {
	rev, isRev := strings.CutPrefix(against, "git:")
	if !isRev {
		text, err := os.ReadFile(against)
		if err != nil {
			return nil, fmt.Errorf("cannot read the published copy: %w", err)
		}
		return schemadoc.ParseSchemas(against, text)
	}
	if rev == "" || strings.HasPrefix(rev, "-") {
		return nil, roles.Usagef("invalid value %q for --%s: want git:REV, such as git:HEAD", against, flagAgainst)
	}
	if _, err := git(ctx, file, "rev-parse", "--verify", "--quiet", rev+"^{commit}"); err != nil {
		return nil, fmt.Errorf("cannot find the revision %s in git: %w", rev, err)
	}
	name := rev + ":./" + filepath.ToSlash(filepath.Base(file))
	if _, err := git(ctx, file, "cat-file", "-e", name); err != nil {
		_, err := fmt.Fprintf(env.Stderr, "%s is not in %s: nothing to compare with\n", file, rev)
		return nil, err
	}
	text, err := git(ctx, file, "show", name)
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", name, err)
	}
	return schemadoc.ParseSchemas(name, text)
}

// git runs git in the folder of a file.
func git(ctx context.Context, file string, args ...string) ([]byte, error) {
	command := exec.CommandContext(ctx, "git", append([]string{"-C", filepath.Dir(file)}, args...)...)
	var complaint bytes.Buffer
	command.Stderr = &complaint
	out, err := command.Output()
	if text := strings.TrimSpace(complaint.String()); err != nil && text != "" {
		return nil, errors.New(text)
	}
	return out, err
}
