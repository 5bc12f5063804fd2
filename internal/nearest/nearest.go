// Package nearest finds the known names that are similar to an unknown one. Its function is Names.
package nearest

import (
	"strings"

	"github.com/xrash/smetrics" // urfave/cli imports it too
)

// Names returns the known names most similar to name, or nil if none is similar. Case, hyphens and underscores do not
// count: dryRun and DRY_RUN equal dry-run.
func Names(name string, known []string) []string {
	var near []string
	given := plain(name)
	best := min(1+len(given)/4, len(given)-1) // a single letter is similar to nothing
	for _, candidate := range known {
		want := plain(candidate)
		away := smetrics.WagnerFischer(given, want, 1, 1, 1) // inserted, deleted or replaced letters
		if strings.HasPrefix(candidate, name+"-") || len(want) > 2 && strings.HasPrefix(given, want) {
			away = min(away, 1) // a part is missing, or something was added
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
