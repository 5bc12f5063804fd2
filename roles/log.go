package roles

import (
	"log/slog"
)

// newLogger returns the program's logger. It leaves out timestamps if journald reads Stderr, since journald adds its
// own.
func newLogger(env *Env, level, format string) (*slog.Logger, error) {
	options := &slog.HandlerOptions{}
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
				return attr
			}
		}
		return slog.New(slog.NewTextHandler(env.Stderr, options)), nil
	default:
		return nil, Usagef("invalid value %q for --log-format: want text or json", format)
	}
}
