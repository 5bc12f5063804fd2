package facts

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

var validOption = regexp.MustCompile(`^(?:[a-z0-9]+-?)*[a-z](?:-?[a-z0-9])*$`)

// Option returns an option of a configuration, by its path with dots.
func Option(config map[string]any, key string) (value any, found bool) {
	value = config
	for part := range strings.SplitSeq(key, ".") {
		object, ok := value.(map[string]any)
		if !ok {
			return nil, false
		}
		if value, found = object[part]; !found {
			return nil, false
		}
	}
	return value, true
}

// MissingOption returns the shortest beginning of an option's path that a configuration does not have.
func MissingOption(config map[string]any, key string) string {
	for i, char := range key {
		if _, there := Option(config, key[:i]); char == '.' && !there {
			return key[:i]
		}
	}
	return key
}

// Patched returns a configuration with options set, by paths with dots; nil unsets. The given one stays as it is.
func Patched(config map[string]any, values map[string]any) (map[string]any, error) {
	for _, key := range sortedKeys(values) {
		parts := strings.Split(key, ".")
		for _, part := range parts {
			if !validOption.MatchString(part) {
				return nil, BadRequest(fmt.Sprintf("invalid option name: %q", part))
			}
		}
		var err error
		if config, err = patch(config, parts, key, values[key]); err != nil {
			return nil, err
		}
	}
	return config, nil
}

func patch(config map[string]any, parts []string, key string, value any) (map[string]any, error) {
	config = maps.Clone(config)
	if config == nil {
		config = map[string]any{}
	}
	name := parts[0]
	if len(parts) == 1 {
		if config[name] = value; value == nil {
			delete(config, name)
		}
		return config, nil
	}
	inner, isObject := config[name].(map[string]any)
	if !isObject && config[name] != nil {
		if value == nil {
			return config, nil
		}
		above := strings.TrimSuffix(key, "."+strings.Join(parts[1:], "."))
		return nil, BadRequest(fmt.Sprintf("option %q is not a map", above))
	}
	inner, err := patch(inner, parts[1:], key, value)
	if err != nil {
		return nil, err
	}
	if _, there := config[name]; there || len(inner) > 0 {
		config[name] = inner // as on snapd: an option remains when its last part is unset
	}
	return config, nil
}

// systemOptions are the options of the system that can be set: those that people set to use confdb. Only the
// first has an effect. snapd has many more, but refuses the flags of earlier generations of confdb.
var systemOptions = map[string]bool{
	"experimental.confdb": true, "experimental.confdb-control": true, "experimental.parallel-instances": true,
	"experimental.user-daemons": true, "experimental.hotplug": true, "store.access": true, "refresh.retain": true,
	"refresh.timer": true, "refresh.hold": true,
}

// SetSystem sets options of the system as `snap set system` does, by paths with dots; nil unsets. It returns an *Error for
// an option that snapd does not have, and for a value of a flag that is neither true nor false.
func (d *Draft) SetSystem(values map[string]any) error {
	for _, key := range sortedKeys(values) {
		if !systemOptions[key] {
			return BadRequest(fmt.Sprintf("cannot set %q: unsupported system option", Core+"."+key))
		}
		if strings.HasPrefix(key, "experimental.") && !isFlag(values[key]) {
			return BadRequest(fmt.Sprintf("%s can only be set to 'true' or 'false'", key))
		}
	}
	_, err := d.Configure(Core, values)
	return err
}

// isFlag reports whether snapd accepts a value for a flag: a bool or its text. An empty text unsets.
func isFlag(value any) bool {
	switch value := value.(type) {
	case nil, bool:
		return true
	case string:
		return value == "" || value == "true" || value == "false"
	}
	return false
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
