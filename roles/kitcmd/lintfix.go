package kitcmd

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"aspects-poc/internal/durable"
	"aspects-poc/internal/kit/edit"
	"aspects-poc/internal/kit/lint"
	"aspects-poc/roles"
)

// fixRounds is the largest number of rounds of fixAll. A fix may depend on another one, or reveal a fault.
const fixRounds = 20

// fixAll makes the fixes of findings, prints them, and looks for findings again, until there is nothing to fix. It
// returns the remaining findings.
func fixAll(env *roles.Env, look func() ([]lint.Finding, error)) ([]lint.Finding, error) {
	var done []*edit.Fix
	for range fixRounds {
		findings, err := look()
		if err != nil {
			return nil, err
		}
		var fixes []*edit.Fix
		told := map[*edit.Fix]lint.Finding{}
		for _, f := range findings {
			if f.Fix != nil && !slices.ContainsFunc(done, f.Fix.Same) {
				fixes = append(fixes, f.Fix)
				told[f.Fix] = f
			}
		}
		taken, _ := edit.Choose(fixes)
		if len(taken) == 0 {
			return findings, nil
		}
		if err := makeFixes(taken); err != nil {
			return nil, err
		}
		for _, fix := range taken {
			done = append(done, fix)
			f := told[fix]
			if _, err := fmt.Fprintf(env.Stderr, "%s:%d: fixed: %s [%s]\n", f.File, f.Line, fix.Title, f.Code); err != nil {
				return nil, err
			}
		}
	}
	return nil, errors.New("cannot fix everything: each fix makes another one necessary")
}

// makeFixes writes fixes to disk. It prepares all texts before it writes the first file.
func makeFixes(fixes []*edit.Fix) error {
	edits, texts := map[string][]edit.Edit{}, map[string][]byte{}
	var files []string
	for _, fix := range fixes {
		for _, e := range fix.Edits {
			if edits[e.File] == nil {
				files = append(files, e.File)
			}
			edits[e.File] = append(edits[e.File], e)
		}
		for _, made := range fix.Create {
			if err := vacant(made.Name); err != nil {
				return err
			}
		}
		for _, moved := range fix.Rename {
			if err := vacant(moved.To); err != nil {
				return err
			}
		}
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("cannot fix: %w", err)
		}
		mark := []byte("\xef\xbb\xbf") // positions do not count it
		rest, marked := bytes.CutPrefix(text, mark)
		changed, err := edit.Apply(rest, edits[file])
		if err != nil {
			return fmt.Errorf("cannot fix %s: %w", file, err)
		}
		if marked {
			changed = slices.Concat(mark, changed)
		}
		texts[file] = changed
	}
	for _, file := range files {
		if err := rewrite(file, texts[file]); err != nil {
			return fmt.Errorf("cannot fix %s: %w", file, err)
		}
	}
	for _, fix := range fixes {
		if err := moveFiles(fix); err != nil {
			return fmt.Errorf("cannot fix: %w", err)
		}
	}
	return nil
}

// moveFiles makes files, renames files, and makes files executable, as the fix says.
func moveFiles(fix *edit.Fix) error {
	for _, made := range fix.Create {
		mode := fs.FileMode(0o644)
		if made.Executable {
			mode = 0o755
		}
		if err := durable.Create(made.Name, []byte(made.Text), mode); err != nil {
			return err
		}
	}
	for _, moved := range fix.Rename {
		if err := os.Rename(moved.From, moved.To); err != nil {
			return err
		}
	}
	for _, file := range fix.Executable {
		info, err := os.Stat(file)
		if err != nil {
			return err
		}
		if err := os.Chmod(file, info.Mode().Perm()|0o111); err != nil {
			return err
		}
	}
	return nil
}

// vacant returns an error if a path exists.
func vacant(path string) error {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot fix: %s is there already", path)
	}
	return nil
}
