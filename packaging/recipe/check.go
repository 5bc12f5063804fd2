package recipe

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// check returns an error for a project that snapcraft or snapd would refuse. It needs no snapcraft: it has the rules of
// snapcraft's published project schema, and of checks that the schema does not have. It is stricter than snapcraft,
// since it knows only the keys that our recipe uses.
func (p *Project) check() error {
	c := &checker{}
	c.keys(p.root, "", projectKeys)
	for _, key := range []string{"name", "version", "summary", "description", "base", "build-base", "confinement",
		"grade", "compression", "platforms", "environment", "apps", "parts"} {
		if get(p.root, key) == nil {
			c.add("%s is missing", key)
		}
	}
	c.match(p.root, "", "name", snapName, "lower-case letters, digits and single hyphens between them, one letter at least, "+
		"40 characters at most")
	c.match(p.root, "", "version", version, "letters, digits and :.+~- between them, 32 characters at most")
	c.length(p.root, "title", 2, 40)
	c.length(p.root, "summary", 1, 78)
	c.oneOf(p.root, "", "base", "bare")
	c.oneOf(p.root, "", "build-base", "core24")
	c.oneOf(p.root, "", "grade", "devel", "stable")
	c.oneOf(p.root, "", "confinement", "strict")
	c.oneOf(p.root, "", "compression", "lzo", "xz")
	if _, err := items(get(p.root, "assumes"), "assumes"); err != nil {
		c.errs = append(c.errs, err)
	}
	c.environment(get(p.root, "environment"))
	c.platforms(get(p.root, "platforms"))
	c.plugs(get(p.root, "plugs"))
	c.apps(get(p.root, "apps"), text(p.root, "name"))
	c.hooks(get(p.root, "hooks"))
	for name, part := range pairs(get(p.root, "parts")) {
		if part.Kind != yaml.MappingNode || get(part, "plugin") == nil {
			c.add("parts.%s has no plugin", name)
		}
	}
	return errors.Join(c.errs...)
}

var (
	snapName = regexp.MustCompile(`^(?:[a-z0-9]+-?)*[a-z](?:-?[a-z0-9])*$`)
	version  = regexp.MustCompile(`^[A-Za-z0-9](?:[A-Za-z0-9:.+~-]{0,30}[A-Za-z0-9+~])?$`)
	command  = regexp.MustCompile(`^[A-Za-z0-9/. _#:$-]+$`)
	duration = regexp.MustCompile(`^[0-9]+(?:ns|us|ms|s|m)$`)
	anyName  = regexp.MustCompile(`^[a-z](?:-?[a-z0-9])*$`)
	view     = regexp.MustCompile(`^[a-z](?:-?[a-z0-9])*/[a-z](?:-?[a-z0-9])*$`)
	account  = regexp.MustCompile(`^(?:[a-z0-9A-Z]{32}|[-a-z0-9]{2,28})$`)
	// hook matches the names of hooks that snapd 2.69 and later run for every snap. Other hooks have a plug in their
	// names.
	hook     = regexp.MustCompile(`^(?:install|default-configure|configure|pre-refresh|post-refresh|remove|check-health)$`)
	viewHook = regexp.MustCompile(`^(change-view|save-view|load-view|query-view|observe-view|connect-plug|disconnect-plug)-(.+)$`)
)

type checker struct{ errs []error }

func (c *checker) add(format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf(format, args...))
}

func (c *checker) keys(node *yaml.Node, where string, known []string) {
	for key := range pairs(node) {
		if !slices.Contains(known, key) {
			c.add("unknown key %s%s; known are %s", where, key, strings.Join(known, ", "))
		}
	}
}

func (c *checker) match(node *yaml.Node, where, key string, pattern *regexp.Regexp, want string) {
	value := get(node, key)
	if value == nil {
		return
	}
	if found := text(node, key); value.Tag == "!!str" && pattern.MatchString(found) && (key != "name" || len(found) <= 40) {
		return
	}
	c.add("%s%s is %q: want %s", where, key, value.Value, want)
}

func (c *checker) oneOf(node *yaml.Node, where, key string, values ...string) {
	if get(node, key) != nil && !slices.Contains(values, text(node, key)) {
		c.add("%s%s is %q: want %s", where, key, text(node, key), strings.Join(values, " or "))
	}
}

func (c *checker) length(node *yaml.Node, key string, shortest, longest int) {
	if value := get(node, key); value != nil && (len(value.Value) < shortest || len(value.Value) > longest) {
		c.add("%s has %d characters: want %d to %d", key, len(value.Value), shortest, longest)
	}
}

func (c *checker) environment(node *yaml.Node) {
	for _, name := range []string{"LD_LIBRARY_PATH", "PATH"} {
		if node != nil && get(node, name) == nil {
			c.add("environment has no %s: snapcraft would add one; null keeps it out", name)
		}
	}
}

func (c *checker) platforms(node *yaml.Node) {
	known := architectures()
	for name, platform := range pairs(node) {
		where := "platforms." + name
		if !slices.Contains(known, name) {
			c.add("%s is no architecture; known are %s", where, strings.Join(known, ", "))
		}
		c.keys(platform, where+".", []string{"build-on", "build-for"})
		if _, err := items(get(platform, "build-on"), where+".build-on"); err != nil || get(platform, "build-on") == nil {
			c.add("%s.build-on is no list of architectures", where)
		}
		if target, err := items(get(platform, "build-for"), where+".build-for"); err != nil || !slices.Equal(target, []string{name}) {
			c.add("%s.build-for is not [%s]", where, name)
		}
	}
}

func (c *checker) plugs(node *yaml.Node) {
	for name, plug := range pairs(node) {
		where := "plugs." + name
		if !anyName.MatchString(name) {
			c.add("%s is no name of a plug", where)
		}
		if plug.Kind != yaml.MappingNode || text(plug, "interface") == "" {
			c.add("%s has no interface; a plug without attributes belongs to its app", where)
			continue
		}
		if text(plug, "interface") != "confdb" {
			continue
		}
		c.keys(plug, where+".", []string{"interface", "account", "view", "role"})
		if !account.MatchString(text(plug, "account")) {
			c.add("%s.account is %q: want an account ID", where, text(plug, "account"))
		}
		c.match(plug, where+".", "view", view, "SCHEMA/VIEW")
		c.oneOf(plug, where+".", "role", "custodian")
		if _, own, ok := strings.Cut(text(plug, "view"), "/"); !ok || own != name {
			c.add("%s is a plug for view %q: they share one name, which hooks are named after", where, text(plug, "view"))
		}
		if get(plug, "role") != nil || text(plug, "view") != "" {
			continue
		}
		c.add("%s.view is missing", where)
	}
}

func (c *checker) apps(node *yaml.Node, name string) {
	if node != nil && (get(node, name) == nil || get(node, "daemon") == nil) {
		c.add("apps are %s: want %s and daemon", strings.Join(keys(node), ", "), name)
	}
	for name, app := range pairs(node) {
		where := "apps." + name + "."
		c.keys(app, where, appKeys)
		if get(app, "command") == nil {
			c.add("%scommand is missing", where)
		}
		c.match(app, where, "command", command, "letters, digits, spaces and /._#:$-")
		for _, key := range []string{"start-timeout", "stop-timeout", "restart-delay"} {
			c.match(app, where, key, duration, "a duration such as 5s")
		}
		c.oneOf(app, where, "daemon", "simple", "oneshot", "notify")
		c.oneOf(app, where, "restart-condition", "on-failure", "always", "never")
		c.oneOf(app, where, "refresh-mode", "endure", "restart")
		c.oneOf(app, where, "install-mode", "enable", "disable")
		if _, err := items(get(app, "plugs"), where+"plugs"); err != nil {
			c.errs = append(c.errs, err)
		}
	}
}

func (c *checker) hooks(node *yaml.Node) {
	for name, entry := range pairs(node) {
		if !hook.MatchString(name) && !viewHook.MatchString(name) {
			c.add("hooks.%s: snapd has no such hook", name)
		}
		c.keys(entry, "hooks."+name+".", hookKeys)
	}
}
