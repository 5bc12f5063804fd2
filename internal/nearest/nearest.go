// Package nearest finds the names that somebody may have meant who wrote one that is not known.
package nearest

import (
	"strings"

	"github.com/xrash/smetrics" // which urfave/cli has, too
)

// Names returns the known names that are most like a name, or nothing where none is like it. Case, hyphens and underscores
// make no difference: dryRun and DRY_RUN are as near to dry-run as can be.
func Names(name string, known []string) []string {
	var near []string
	given := plain(name)
	best := min(1+len(given)/4, len(given)-1) // another letter is not like a letter
	for _, candidate := range known {
		want := plain(candidate)
		away := smetrics.WagnerFischer(given, want, 1, 1, 1) // letters put in, left out or exchanged
		if strings.HasPrefix(candidate, name+"-") || len(want) > 2 && strings.HasPrefix(given, want) {
			away = min(away, 1) // a part is left out, or something is put behind it
		}
		if away > best {
			continue
		}
		if away < best {
			best, near = away, nil
		}
		near = append(near, candidate)
	}
	return near
}

func plain(name string) string {
	return strings.NewReplacer("-", "", "_", "").Replace(strings.ToLower(name))
}
