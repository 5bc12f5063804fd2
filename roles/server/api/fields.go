package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"

	"aspects-poc/roles/server/fleet"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"
)

// text parses a string of 1 to limit characters.
func text(target *string, limit int) func(jsontext.Value) string {
	return func(value jsontext.Value) string {
		if value.Kind() != '"' {
			return "must be a string, not " + kindOf(value)
		}
		plain, err := jsontext.AppendUnquote(nil, value)
		switch {
		case err != nil:
			return "is not a valid string"
		case len(bytes.TrimSpace(plain)) == 0:
			return "must not be empty"
		case bytes.IndexByte(plain, 0) >= 0:
			return "must not have a character of code 0"
		case utf8.RuneCount(plain) > limit:
			return fmt.Sprintf("must not be longer than %d characters", limit)
		}
		*target = string(plain)
		return ""
	}
}

// ipAddress parses an IPv4 or IPv6 address, and stores it as written.
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

// deviceID parses a UUID.
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

// parseID parses a UUID with or without hyphens. uuid.Parse accepts more, such as any character in place of braces.
func parseID(given string) (id uuid.UUID, complaint string) {
	id, err := uuid.Parse(given)
	if err != nil || len(given) != 36 && len(given) != 32 {
		return uuid.UUID{}, fmt.Sprintf("must be a UUID, not %q", given)
	}
	return id, ""
}

// configuration parses an object.
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

// word parses a string, and cuts it to limit characters. The device's engine wrote the text, and a report must not be
// refused for a long one.
func word(target *string, limit int) func(jsontext.Value) string {
	return func(value jsontext.Value) string {
		if value.Kind() != '"' {
			return "must be a string, not " + kindOf(value)
		}
		plain, err := jsontext.AppendUnquote(nil, value)
		if err != nil {
			return "is not a valid string"
		}
		runes := []rune(strings.ReplaceAll(string(plain), "\x00", "\ufffd"))
		*target = string(runes[:min(limit, len(runes))])
		return ""
	}
}

// integer parses a whole number of at least least.
func integer(target *int64, least int64) func(jsontext.Value) string {
	return func(value jsontext.Value) string {
		if value.Kind() != '0' {
			return "must be a number, not " + kindOf(value)
		}
		n, err := strconv.ParseInt(string(value), 10, 64)
		if err != nil {
			return "must be a whole number of 64 bits, not " + clip(string(value))
		}
		if n < least {
			return fmt.Sprintf("must not be less than %d, as %d is", least, n)
		}
		*target = n
		return ""
	}
}

// labels parses a device's labels.
func labels(target *fleet.Labels) func(jsontext.Value) string {
	return func(value jsontext.Value) string {
		if value.Kind() != '{' {
			return "must be an object, not " + kindOf(value)
		}
		var given fleet.Labels
		if err := json.Unmarshal(value, &given); err != nil {
			return "must be names with strings"
		}
		if name, err := given.Check(); err != nil {
			return strings.TrimSpace("has "+name) + ": " + err.Error()
		}
		if len(given) > 0 {
			*target = given
		}
		return ""
	}
}

// selector parses a selector of labels.
func selector(target *fleet.Selector) func(jsontext.Value) string {
	return func(value jsontext.Value) string {
		var given string
		if complaint := word(&given, 10_000)(value); complaint != "" {
			return complaint
		}
		parsed, err := fleet.ParseSelector(given)
		if err != nil {
			return "cannot be read: " + err.Error()
		}
		*target = parsed
		return ""
	}
}
