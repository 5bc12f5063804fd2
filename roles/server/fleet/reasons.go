package fleet

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"aspects-poc/roles/server/fleet/quote"
)

// mostLooked is the largest number of entries of the history in which a poll looks for former secrets.
const mostLooked = 100

// withhold returns an attempt without a reason or a path that may have a secret. It decides when the report arrives:
// later an operator may have replaced the secret, and nobody could recognise it any more. When the device repeats its
// last report, the same parts are left out.
func (f *Fleet) withhold(ctx context.Context, last Device, report Report, targets *snapshot, target Target) (Attempted, error) {
	attempt := report.Attempted
	if len(f.secrets.views) == 0 || attempt.Reason == "" && attempt.Path == "" {
		return attempt, nil
	}
	attempt.Path = f.names.shortPath(attempt.Path)
	if kept := last.Attempted; attempt.repeats(kept) {
		attempt.Path, attempt.Reason = kept.Path, kept.Reason
		return attempt, nil
	}
	known, err := f.secrets.knownTo(target, report)
	if err != nil {
		return Attempted{}, err
	}
	leads, inSchema := f.secrets.leads(attempt.Path)
	attempt.Path = cutAt(known.places, f.secrets.cut(attempt.Path))
	said := attempt.Reason
	if !inSchema { // the path may be any text
		said += "\n" + attempt.Path
	}
	switch {
	case said == "", inSchema && harmless.MatchString(said):
		return attempt, nil
	case leads, known.quotedIn(said):
		return attempt.without(inSchema), nil
	}
	former, err := f.formerSecrets(ctx, last, report, targets, target, known)
	if former {
		attempt = attempt.without(inSchema)
	}
	return attempt, err
}

// without returns an attempt without its reason, and without its path unless pathStays is true.
func (a Attempted) without(pathStays bool) Attempted {
	a.Reason = leftOut
	if !pathStays {
		a.Path = ""
	}
	return a
}

// repeats reports whether an attempt is the stored one, of which parts may have been left out.
func (a Attempted) repeats(stored Attempted) bool {
	return a.Revision == stored.Revision && a.Outcome == stored.Outcome && a.At == stored.At &&
		(a.Reason == stored.Reason || stored.Reason == leftOut) &&
		(cutAt([]string{stored.Path}, a.Path) == stored.Path || stored.Path == "" && stored.Reason == leftOut)
}

// A familiar has the known secrets of a device: those of all its layers, and those that it shows. digests has only the
// former. Otherwise a device could report guesses, and a reader would see from the left out texts which of them is a
// secret.
type familiar struct {
	places  []string
	values  []any
	digests map[string]bool // kept digests
}

func (k *familiar) quotedIn(text string) bool {
	return slices.ContainsFunc(k.values, quote.Of(text).Quotes)
}

func (s *secrets) knownTo(target Target, report Report) (*familiar, error) {
	known := &familiar{digests: map[string]bool{}}
	configs := []Config{report.Config}
	for _, layer := range target.Layers { // also values that a later layer overrides
		configs = append(configs, layer.Config)
	}
	for i, config := range configs {
		tree, err := config.Tree()
		if err == nil && i > 0 {
			err = target.composition.named.resolve(tree)
		}
		if err != nil {
			return nil, err
		}
		known.places = append(known.places, s.places(tree)...)
		s.each(tree, func(_, _ string, value any) any {
			known.values = append(known.values, value)
			if i > 0 {
				known.digests[s.digestOf(value)] = true
			}
			return value
		})
	}
	return known, nil
}

// formerSecrets reports whether a device may have had a secret that is not among the known ones, by the target that it
// tried or the one that it runs.
func (f *Fleet) formerSecrets(
	ctx context.Context, device Device, report Report, targets *snapshot, target Target, known *familiar,
) (bool, error) {
	since := report.Attempted.Revision
	if running := report.Running.Revision; running > 0 {
		since = min(since, running)
	}
	switch {
	case report.Attempted.Revision > targets.Revision: // no target of this store
		return true, nil
	case since >= target.Revision:
		return false, nil
	}
	entries, err := f.store.Entries(ctx, "", 0, mostLooked)
	if err != nil {
		return false, err
	}
	for _, entry := range entries {
		own := entry.Layer.Device() == device.ID
		switch {
		case entry.Revision <= since:
			return false, nil
		case entry.Action == Relabeled && own: // any label layer may have chosen the device
			if former, err := known.lacks(f.secrets, targets); former || err != nil {
				return former, err
			}
			continue
		case entry.Before == nil, entry.Layer.IsDevice() && !own:
			continue
		}
		if former, err := known.misses(f.secrets, targets.named, *entry.Before); former || err != nil {
			return former, err
		}
	}
	return len(entries) == mostLooked, nil
}

// lacks reports whether a label layer has a secret that is not among the known ones.
func (k *familiar) lacks(s *secrets, targets *snapshot) (lacking bool, err error) {
	for _, layer := range targets.Labels {
		tree, err := targets.named.tree(layer.Config)
		if err != nil {
			return false, err
		}
		s.each(tree, func(_, _ string, value any) any {
			lacking = lacking || !k.digests[s.digestOf(value)]
			return value
		})
	}
	return lacking, nil
}

// misses reports whether a configuration of the history had a secret that is not among the known ones. A change of a
// named secret has its own entry in the history.
func (k *familiar) misses(s *secrets, named namedSecrets, before Config) (missing bool, err error) {
	if !before.has(secretMember) {
		return false, nil
	}
	_, err = before.edit("", func(value any, _ string) (any, bool, error) {
		if !IsSecret(value) {
			return nil, false, nil
		}
		marker, _, is := isMarker(value)
		digest, _ := marker[digestMember].(string)
		if name, refers := asReference(value); refers {
			var present any
			present, is = named[name]
			digest = s.digestOf(present)
		}
		missing = missing || !is || !k.digests[digest]
		return value, true, nil
	})
	return missing, err
}

var steps = regexp.MustCompile(`\.?[^.\[]+|\[\d*\]`)

// cut cuts a path in a target, or a storage path, at the first value on it that is a secret by the confdb-schema.
func (s *secrets) cut(path string) string {
	view, request, _ := strings.Cut(path, ".")
	if !slices.Contains(s.of.Views(), view) {
		path, _ = s.of.CutStorage(path)
		return path
	}
	if !slices.Contains(s.views, view) {
		return path
	}
	ends := steps.FindAllStringIndex(request, -1)
	var document any = true
	for _, end := range slices.Backward(ends) {
		if step := request[end[0]:end[1]]; step[0] == '[' {
			document = []any{document}
		} else {
			document = map[string]any{strings.TrimPrefix(step, "."): document}
		}
	}
	s.of.Conceal(view, document, func(place string, value any) any {
		path = view
		if depth := len(steps.FindAllString(place, -1)); depth > 0 {
			path += "." + request[:ends[depth-1][1]]
		}
		return value
	})
	return path
}
