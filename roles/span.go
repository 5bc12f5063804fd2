package roles

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
)

// A span is the value of a SpanFlag.
type span time.Duration

// SpanFlag returns a flag for a duration that may begin with days, such as 30d or 1d12h. SpanOf has its value.
func SpanFlag(name, usage string) cli.Flag {
	return &cli.GenericFlag{Name: name, Usage: usage, Value: new(span)}
}

// SpanOf returns the value of a SpanFlag; 0 if it is not given.
func SpanOf(c *cli.Context, name string) time.Duration {
	given, _ := c.Generic(name).(*span)
	if given == nil {
		return 0
	}
	return time.Duration(*given)
}

// Set reads a duration.
func (s *span) Set(text string) error {
	var days int64
	rest := text
	if number, behind, found := strings.Cut(text, "d"); found {
		parsed, err := strconv.ParseInt(number, 10, 64)
		if err != nil || parsed < 0 || parsed > math.MaxInt64/int64(24*time.Hour)-1 || behind != "" && strings.HasPrefix(behind, "-") {
			return errSpan
		}
		if days, rest = parsed, behind; rest == "" {
			rest = "0s"
		}
	}
	parsed, err := time.ParseDuration(rest)
	sum := time.Duration(days)*24*time.Hour + parsed
	if err != nil || days > 0 && sum < parsed {
		return errSpan
	}
	*s = span(sum)
	return nil
}

var errSpan = errors.New("want a duration such as 30d, 12h or 90m")

// String returns "" for nothing, so that help shows no default.
func (s *span) String() string {
	if *s == 0 {
		return ""
	}
	return time.Duration(*s).String()
}
