package roles

import (
	"log/slog"

	"aspects-poc/internal/plain"
)

// newLogger returns the program's logger. It leaves out timestamps if journald reads Stderr, since journald adds its
// own.
func newLogger(env *Env, level, format string) (*slog.Logger, error) {
	options := &slog.HandlerOptions{ReplaceAttr: short}
	var threshold slog.Level
	if err := threshold.UnmarshalText([]byte(level)); err != nil {
		return nil, Usagef("invalid value %q for --log-level: want debug, info, warn or error", level)
	}
	options.Level = threshold
	switch format {
	case "json":
		return slog.New(slog.NewJSONHandler(env.Stderr, options)), nil
	case "text":
		if env.Getenv("JOURNAL_STREAM") != "" {
			options.ReplaceAttr = func(groups []string, attr slog.Attr) slog.Attr {
				if attr.Key == slog.TimeKey && len(groups) == 0 {
					return slog.Attr{}
				}
				return short(groups, attr)
			}
		}
		return slog.New(slog.NewTextHandler(env.Stderr, options)), nil
	default:
		return nil, Usagef("invalid value %q for --log-format: want text or json", format)
	}
}

// longestText is the longest text in a log line, in bytes. Many texts quote what a server or a device has sent.
const longestText = 1000

// short clips the text of a log line's attribute.
func short(_ []string, attr slog.Attr) slog.Attr {
	text := ""
	switch attr.Value.Kind() {
	case slog.KindString:
		text = attr.Value.String()
	case slog.KindAny:
		if err, ok := attr.Value.Any().(error); ok && err != nil {
			text = err.Error()
		}
	}
	if len(text) > longestText {
		attr.Value = slog.StringValue(plain.Clip(text, longestText))
	}
	return attr
}
