package main

import (
	"bytes"
	"cmp"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"aspects-poc/packaging/compile"
)

// goLicence is the licence of the Go library. Distributions store it elsewhere than beside the library.
//
//go:embed go-licence.txt
var goLicence string

// A notice has the licence texts of one part of the binary.
type notice struct {
	part  string
	texts []string
}

// notices returns the licence texts of everything in the binary of an architecture: the Go library, the modules, and
// the scripts of the fleet page. It returns an error for a module without a licence file.
func notices(ctx context.Context, root, arch string) ([]byte, error) {
	modules, err := compile.Modules(ctx, root, arch, compile.Whole)
	if err != nil {
		return nil, err
	}
	// The licence files are in the whole modules. compile copies only some files of a module.
	command := exec.CommandContext(ctx, "go", append([]string{"list", "-m", "-json=Path,Version,Dir"}, modules...)...)
	command.Dir = root
	out, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("cannot find the modules that are linked in: %w", err)
	}
	list, err := moduleNotices(out)
	if err != nil {
		return nil, err
	}
	texts, err := licences(filepath.Join(root, "roles", "server", "page", "static", "vendor"))
	if err != nil {
		return nil, fmt.Errorf("cannot find the licence of the fleet page's scripts: %w", err)
	}
	list = append(list, notice{"the fleet page's scripts", texts}, notice{"the Go standard library", []string{goLicence}})
	// The module's licence does not cover the Swagger UI files inside it.
	list = append(list, notice{"Swagger UI, inside github.com/swaggo/files",
		[]string{"Copyright SmartBear Software Inc., Apache License 2.0: the text is that of the file LICENSE.\n"}})
	slices.SortStableFunc(list, func(a, b notice) int { return cmp.Compare(a.part, b.part) })
	var text bytes.Buffer
	text.WriteString("This program is licensed under the Apache License 2.0 (file LICENSE). It contains:\n")
	for _, n := range list {
		fmt.Fprintf(&text, "\n%s\n%s\n\n%s", n.part, strings.Repeat("=", len(n.part)), strings.Join(n.texts, "\n"))
	}
	return text.Bytes(), nil
}

// moduleNotices returns the notices of the modules in the output of go list -m -json. It returns an error for a module
// without a licence file.
func moduleNotices(listed []byte) ([]notice, error) {
	var list []notice
	for decoder := json.NewDecoder(bytes.NewReader(listed)); ; {
		var m struct{ Path, Version, Dir string }
		if err := decoder.Decode(&m); errors.Is(err, io.EOF) {
			return list, nil
		} else if err != nil {
			return nil, fmt.Errorf("cannot find the modules that are linked in: %w", err)
		}
		texts, err := licences(m.Dir)
		if err != nil {
			return nil, fmt.Errorf("cannot find the licence of %s: %w", m.Path, err)
		}
		list = append(list, notice{m.Path + " " + m.Version, texts})
	}
}

var licenceFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|unlicense)`)

// licences returns the texts of the licence files in a folder. It returns an error if there is none.
func licences(dir string) ([]string, error) {
	found, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var texts []string
	for _, file := range found {
		if file.IsDir() || !licenceFile.MatchString(file.Name()) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, file.Name()))
		if err != nil {
			return nil, err
		}
		texts = append(texts, strings.TrimRight(string(text), "\n")+"\n")
	}
	if len(texts) == 0 {
		return nil, fmt.Errorf("%s has none", dir)
	}
	return texts, nil
}
