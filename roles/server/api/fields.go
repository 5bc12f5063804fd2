package api

import (
	"fmt"
	"net/netip"
	"strings"
	"unicode/utf8"

	"aspects-poc/roles/server/fleet"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"
)

// text takes a string of 1 to limit characters.
func text(target *string, limit int) func(jsontext.Value) string {
	return func(value jsontext.Value) string {
		if value.Kind() != '"' {
			return "must be a string, not " + kindOf(value)
		}
		plain, err := jsontext.AppendUnquote(nil, value)
		switch {
		case err != nil:
			return "is not a valid string"
		case strings.TrimSpace(string(plain)) == "":
			return "must not be empty"
		case utf8.RuneCount(plain) > limit:
			return fmt.Sprintf("must not be longer than %d characters", limit)
		}
		*target = string(plain)
		return ""
	}
}

// ipAddress takes an address of IPv4 or IPv6, as it is written.
func ipAddress(target *string) func(jsontext.Value) string {
	return func(value jsontext.Value) string {
		var given string
		if complaint := text(&given, 100)(value); complaint != "" {
			return complaint
		}
		if _, err := netip.ParseAddr(given); err != nil {
			return fmt.Sprintf("must be an IPv4 or IPv6 address, not %q", given)
		}
		*target = given
		return ""
	}
}

// deviceID takes a UUID.
func deviceID(target *uuid.UUID) func(jsontext.Value) string {
	return func(value jsontext.Value) string {
		var given string
		if complaint := text(&given, 100)(value); complaint != "" {
			return complaint
		}
		id, complaint := parseID(given)
		*target = id
		return complaint
	}
}

// parseID reads a UUID with its hyphens or without. uuid.Parse takes more: braces, which it does not look at.
func parseID(given string) (id uuid.UUID, complaint string) {
	id, err := uuid.Parse(given)
	if err != nil || len(given) != 36 && len(given) != 32 {
		return uuid.UUID{}, fmt.Sprintf("must be a UUID, not %q", given)
	}
	return id, ""
}

// configuration takes an object.
func configuration(target *fleet.Config) func(jsontext.Value) string {
	return func(value jsontext.Value) string {
		if value.Kind() != '{' {
			return "must be an object, not " + kindOf(value)
		}
		config, err := fleet.ParseConfig(value)
		if err != nil {
			return "cannot be taken: " + err.Error()
		}
		*target = config
		return ""
	}
}
