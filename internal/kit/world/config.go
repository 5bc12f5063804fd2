package world

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

var validOption = regexp.MustCompile(`^(?:[a-z0-9]+-?)*[a-z](?:-?[a-z0-9])*$`)

// Option finds an option of a configuration by its path with dots.
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

// MissingOption is the shortest part of an option's path, from its beginning, that a configuration does not have.
func MissingOption(config map[string]any, key string) string {
	for i, char := range key {
		if _, there := Option(config, key[:i]); char == '.' && !there {
			return key[:i]
		}
	}
	return key
}

// patched returns a configuration with options set by paths with dots; nil unsets. The old one stays as it is.
func patched(config map[string]any, values map[string]any) (map[string]any, error) {
	for _, key := range slices.Sorted(maps.Keys(values)) {
		parts := strings.Split(key, ".")
		for _, part := range parts {
			if !validOption.MatchString(part) {
				return nil, badRequest(fmt.Sprintf("invalid option name: %q", part))
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
		return nil, badRequest(fmt.Sprintf("option %q is not a map", above))
	}
	inner, err := patch(inner, parts[1:], key, value)
	if err != nil {
		return nil, err
	}
	if _, there := config[name]; there || len(inner) > 0 {
		config[name] = inner // as on snapd an option stays whose last part is unset
	}
	return config, nil
}
