package snapctl

import (
	"bufio"
	"context"
	"maps"
	"os"
	"regexp"
	"strings"
	"sync"

	"aspects-poc/internal/snapdhttp"
)

// features are the abilities of this snapd's snapctl, from its help text: the flags of `get` identify the generation in
// every version. The help text needs no cookie, and it is right even if a packager changed the version number.
type features struct {
	flags map[string]bool // flags of `get`, such as "--view"
}

// generations lists the flag that each generation introduced, newest first. The facts come from the source of the snapd
// releases; 2.77.1 and 2.68.3 were also observed.
var generations = []struct{ flag, name string }{
	{"--wait-for", "snapctl of 2.76 and later"},
	{"--with", "snapctl of 2.74"},
	{"--default", "snapctl of 2.72"},
	{"--previous", "snapctl of 2.69"},
	{"--pristine", "snapctl of 2.68"},
}

func (f *features) generation() string {
	for _, generation := range generations {
		if f.flags[generation.flag] {
			return generation.name
		}
	}
	return "snapctl without views"
}

// An ability stores the features between the calls. The zero value has none.
type ability struct {
	mu    sync.Mutex
	known *features // nil: not detected yet
}

func (a *ability) get() *features {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.known
}

func (a *ability) set(f *features) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.known = f
}

// forget discards the features. Call it when an answer is lost: snapd may have restarted in another version.
func (a *ability) forget() { a.set(nil) }

// without records that snapd does not know a flag. It returns false if that was recorded before.
func (a *ability) without(flag string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.known == nil || !a.known.flags[flag] {
		return false
	}
	less := &features{flags: maps.Clone(a.known.flags)}
	less.flags[flag] = false
	a.known = less
	return true
}

// detect returns snapd's features. It asks snapd once, and again after ability.forget.
func (b *Backend) detect(ctx context.Context) (*features, error) {
	if known := b.ability.get(); known != nil {
		return known, nil
	}
	help, err := b.call(ctx, "get", "--help")
	if err != nil {
		return nil, err
	}
	if help.refusal != nil {
		return nil, snapdhttp.Explain(*help.refusal, snapdhttp.Request{Op: "open"})
	}
	f := &features{flags: map[string]bool{}}
	for _, flag := range longFlag.FindAllString(help.stdout, -1) {
		f.flags[flag] = true
	}
	b.ability.set(f)
	return f, nil
}

var longFlag = regexp.MustCompile(`--[a-z][a-z-]*[a-z]`)

var unknownFlagText = regexp.MustCompile("unknown flag `([a-z-]+)'")

// unknownFlag returns the flag of an "unknown flag" refusal, with its dashes, or "".
func unknownFlag(message string) string {
	if match := unknownFlagText.FindStringSubmatch(message); match != nil {
		return "--" + match[1]
	}
	return ""
}

// version returns snapd's version: from `snapctl version`, else from Options.InfoFile, else "".
func (b *Backend) version(ctx context.Context) (string, error) {
	got, err := b.call(ctx, "version")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(got.stdout) { // snapd refuses the command before 2.73
		if fields := strings.Fields(line); len(fields) == 2 && fields[0] == "snapd" {
			return fields[1], nil
		}
	}
	file, err := os.Open(b.options.InfoFile)
	if err != nil {
		return "", nil // an unknown version is no failure
	}
	defer func() { _ = file.Close() }() // only read
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if version, found := strings.CutPrefix(lines.Text(), "VERSION="); found {
			return version, nil
		}
	}
	return "", nil
}
