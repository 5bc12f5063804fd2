package roles

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"aspects-poc/internal/durable"
	"aspects-poc/internal/regular"

	"github.com/urfave/cli/v2"
	"go.yaml.in/yaml/v3"
)

// ConfigureHook returns the configure hook of a role's snap. It accepts `snap set SNAP KEY=VALUE…` for the named
// flags of the run command and for log-level. It checks values as the flags are checked, stores them in the
// configuration file of run, and restarts the daemon if the file has changed. It does not access confdb: plugs may
// not be connected yet, and a custodian would wait for itself.
func ConfigureHook(spec func(env *Env) RunSpec, keys ...string) Hook {
	keys = append(slices.Clone(keys), flagLogLevel)
	return Hook{Name: "configure", Run: func(ctx context.Context, call *HookCall) error {
		if call.ConfigFile == "" {
			return errors.New("cannot store the configuration: SNAP_DATA is not set")
		}
		set, err := call.Config(ctx, keys...)
		if err != nil {
			return err
		}
		texts := map[string][]string{}
		for key, value := range set {
			if texts[key], err = plainTexts(value); err != nil {
				return fmt.Errorf("invalid value of %s: %w", key, err)
			}
		}
		if err := checkValues(ctx, call.Env, spec(call.Env), texts); err != nil {
			return err
		}
		undo, err := writeValues(call.ConfigFile, texts)
		if err != nil || undo == nil {
			return err
		}
		if _, err := call.Restart(ctx, DaemonService); err != nil {
			return errors.Join(err, undo())
		}
		return nil
	}}
}

// plainTexts returns a value from snapd as texts of flag values: one, or one for each item of a list.
func plainTexts(value any) ([]string, error) {
	switch value := value.(type) {
	case string:
		return []string{value}, nil
	case bool, json.Number:
		return []string{fmt.Sprint(value)}, nil
	case []any:
		if len(value) == 0 {
			return nil, errors.New("the list is empty")
		}
		var texts []string
		for _, item := range value {
			text, err := plainTexts(item)
			if err != nil || len(text) != 1 {
				return nil, errors.New("want a list of plain values")
			}
			texts = append(texts, text...)
		}
		return texts, nil
	default:
		return nil, errors.New("want a plain value or a list of them")
	}
}

// checkValues returns the run command's error for these values.
func checkValues(ctx context.Context, env *Env, spec RunSpec, texts map[string][]string) error {
	command := RunCommand(env, spec)
	flags := flag.NewFlagSet(command.Name, flag.ContinueOnError)
	for _, f := range command.Flags {
		if err := f.Apply(flags); err != nil {
			return err
		}
	}
	c := cli.NewContext(&cli.App{Metadata: map[string]any{}}, flags, &cli.Context{Context: ctx})
	c.Command = command
	for _, f := range command.Flags {
		key := f.Names()[0]
		slice, ok := f.(cli.DocGenerationSliceFlag)
		if len(texts[key]) > 1 && (!ok || !slice.IsSliceFlag()) {
			return fmt.Errorf("invalid value of %s: want one value, not a list of %d", key, len(texts[key]))
		}
		for _, text := range texts[key] {
			if err := c.Set(key, text); err != nil {
				return fmt.Errorf("invalid value %q for %s: %s", text, key, wanted(f, err))
			}
		}
	}
	settings, err := NewSettings(env, c)
	if err == nil && spec.Check != nil {
		err = spec.Check(c, settings)
	}
	if err == nil {
		return nil
	}
	message := err.Error()
	for key := range texts {
		message = strings.ReplaceAll(message, "--"+key, key) // here it is an option of snap set
	}
	return errors.New(message)
}

// configHeader is the first line of files that the configure hook may replace.
const configHeader = "# Written by the configure hook: change it with snap set.\n"

// writeValues writes the values to the file and returns a function that restores the previous content. undo is nil if
// nothing changed. It returns an error for a file that somebody else wrote, and does not replace it.
func writeValues(path string, texts map[string][]string) (undo func() error, err error) {
	before, err := regular.Read(path)
	absent := errors.Is(err, fs.ErrNotExist)
	if err != nil && !absent {
		return nil, fmt.Errorf("cannot store the configuration: %w", err)
	}
	ours := absent || bytes.HasPrefix(before, []byte(configHeader))
	switch {
	case len(texts) == 0 && (absent || !ours):
		return nil, nil
	case !ours:
		return nil, fmt.Errorf("cannot store the configuration: %s was written by somebody else (move it away)", path)
	}
	restore := func() error {
		if absent {
			return durable.Remove(path)
		}
		return durable.Write(path, before, 0o644)
	}
	if len(texts) == 0 {
		return restore, durable.Remove(path)
	}
	values := map[string]any{}
	for key, list := range texts {
		if values[key] = list; len(list) == 1 {
			values[key] = list[0]
		}
	}
	content, err := yaml.Marshal(values) // sorts the keys
	if err != nil {
		return nil, err
	}
	if content = append([]byte(configHeader), content...); bytes.Equal(content, before) {
		return nil, nil
	}
	return restore, durable.Write(path, content, 0o644)
}
