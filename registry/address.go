package registry

import (
	"fmt"
	"os/user"
	"path/filepath"
	"slices"
	"strings"

	"aspects-poc/registry/embedded"
)

// filePath returns the path in a file: address. It replaces "~" by the home folder, since most shells do not do so
// after "file:".
func filePath(rest string, getenv func(string) string) (string, error) {
	refuse := func(reason, remedy string) (string, error) {
		return "", &Error{Op: "open", Kind: ErrBadRequest, Reason: reason, Remedy: remedy}
	}
	first, below, _ := strings.Cut(rest, "/")
	switch {
	case rest == "":
		path, err := embedded.DefaultPath(getenv)
		if err != nil {
			return refuse(err.Error(), "")
		}
		return path, nil
	case strings.TrimSpace(rest) != rest:
		return refuse(fmt.Sprintf("the path %q begins or ends with a space", rest), "")
	case strings.HasPrefix(rest, "//") && !strings.HasPrefix(rest, "///"):
		return refuse(fmt.Sprintf("%q names another machine, %q", "file:"+rest, strings.SplitN(rest, "/", 4)[2]),
			"file:PATH, or file:///PATH for one that begins with /")
	case strings.HasPrefix(rest, "$"):
		return refuse(fmt.Sprintf("the variable %s is not expanded", first), "file:~/PATH for your home folder")
	case strings.HasSuffix(rest, "/") || slices.Contains([]string{".", ".."}, filepath.Base(rest)):
		return refuse(fmt.Sprintf("%q names a folder", rest), "name a file in it: file:"+filepath.Join(rest, "confdb.json"))
	case strings.HasPrefix(first, "~"):
		home, err := homeOf(first[1:], getenv)
		if err != nil {
			return refuse(err.Error(), "file:./"+rest+" for what is called so")
		}
		if below == "" {
			return refuse(fmt.Sprintf("%q names a folder", rest), "name a file in it: file:"+first+"/confdb.json")
		}
		return filepath.Join(home, below), nil
	}
	return rest, nil
}

// homeOf returns the home folder of a user; "" means the user who runs the program.
func homeOf(name string, getenv func(string) string) (string, error) {
	if name == "" {
		if home := getenv("HOME"); filepath.IsAbs(home) {
			return home, nil
		}
		return "", fmt.Errorf("no home folder for ~: HOME is not set")
	}
	found, err := user.Lookup(name)
	if err != nil {
		return "", fmt.Errorf("no home folder for ~%s: there is no user %q", name, name)
	}
	return found.HomeDir, nil
}

// unknownAddress returns the error for an unknown address, with the likely correction.
func unknownAddress(address string) error {
	known := []string{"auto"}
	for _, s := range schemes() {
		known = append(known, s.name+":")
	}
	e := &Error{Op: "open", Kind: ErrBadRequest, Reason: fmt.Sprintf("unknown registry address %q; known are %s",
		address, strings.Join(known, ", "))}
	name, rest, colon := strings.Cut(address, ":")
	lower := strings.ToLower(name)
	switch {
	case colon && lower != name && slices.Contains(known, lower+":"):
		e.Remedy = lower + ":" + rest
	case !colon && slices.Contains(known, lower+":"):
		e.Remedy = lower + ":"
	case !colon && lower == "auto":
		e.Remedy = "auto"
	case name != "" && strings.ContainsAny(name, "/~") || filepath.Ext(address) == ".json":
		e.Remedy = "file:" + address
	}
	return e
}
