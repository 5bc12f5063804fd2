package fleet

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"aspects-poc/registry"
	"aspects-poc/registry/plan"
	"aspects-poc/roles/server/fleet/quote"
	"aspects-poc/roles/server/fleet/seal"
	"aspects-poc/roles/serverapi"
	"aspects-poc/roles/serverapi/layers"

	"github.com/google/uuid"
)

// secrets knows which values are secret by the confdb-schema. Operators never see them: the exported methods of Fleet
// return a marker in the place of each, {"$secret":"set","digest":"…"}. Only Poll returns the values. The zero value,
// without a confdb-schema, knows no secrets.
type secrets struct {
	names names
	of    *plan.Names
	views []string   // the views with secrets
	ring  *seal.Ring // for digests
}

// secretMember is the member that makes an object a marker. No confdb value can have it.
const secretMember = layers.SecretMember

// newSecrets returns the secrets of a schema. It uses the keys of seals, or a random key for nil.
func newSecrets(names names, seals *seals) *secrets {
	s := &secrets{names: names, of: names.of}
	if seals != nil {
		s.ring = seals.ring
	} else {
		s.ring = seal.Random()
	}
	if s.of != nil {
		s.views = slices.DeleteFunc(s.of.Views(), func(view string) bool { return !s.of.Secret(view, "") })
	}
	return s
}

// IsSecret reports whether a value is the marker of a secret, or a reference to one. Comparisons treat such an object
// as a single value, like a list.
func IsSecret(value any) bool { return layers.IsSecret(value) }

// SameSecret reports whether two shown secrets stand for the same value, such as the marker in a device's report and
// the reference in its target.
func SameSecret(a, b any) bool {
	one, _ := a.(map[string]any)
	other, _ := b.(map[string]any)
	digest, is := one[digestMember].(string)
	return is && IsSecret(a) && IsSecret(b) && other[digestMember] == digest
}

// each calls hide for every secret of a configuration, and returns a copy with the results of hide. The configuration
// must have the short names of views.
func (s *secrets) each(tree map[string]any, hide func(view, request string, value any) any) map[string]any {
	shown := make(map[string]any, len(tree))
	for view, document := range tree {
		shown[view] = document
		if slices.Contains(s.views, view) {
			shown[view] = s.of.Conceal(view, document, func(request string, value any) any { return hide(view, request, value) })
		}
	}
	return shown
}

// marker returns the marker of a secret in a domain, at a place as in each.
func (s *secrets) marker(in domain, view, request string, value any) map[string]any {
	return markerOf(s.show(in, placeKey(view, request), s.digestOf(value)))
}

func markerOf(digest string) map[string]any {
	return map[string]any{secretMember: setMark, digestMember: digest}
}

// reported returns the showing of a device's report. Every value in the place of a secret is a secret.
func (s *secrets) reported(id uuid.UUID) showing {
	return func(view, request string, value any) any { return s.marker(ofDevice(id), view, request, value) }
}

// layered returns the showing of a layer or its history. References stay. The history has markers with kept digests.
func (s *secrets) layered(name LayerName) showing {
	return func(view, request string, value any) any {
		if _, is := asReference(value); is {
			return value
		}
		if digest, is := keptDigest(value); is {
			return markerOf(s.show(inLayer(name), placeKey(view, request), digest))
		}
		return s.marker(inLayer(name), view, request, value)
	}
}

// targeted returns the showing of a device's target after conceal.
func (s *secrets) targeted(id uuid.UUID) showing {
	return func(view, request string, value any) any {
		object, _ := value.(map[string]any)
		digest, is := object[digestMember].(string)
		switch _, refers := asReference(value); {
		case !is && refers: // the secret is lost
			return value
		case !is || !IsSecret(object):
			return s.marker(ofDevice(id), view, request, value)
		}
		return map[string]any{secretMember: object[secretMember], digestMember: s.show(ofDevice(id), placeKey(view, request), digest)}
	}
}

// A showing returns what operators see of a secret, at a place as in each.
type showing func(view, request string, value any) any

// shown returns a configuration as operators see it.
func (s *secrets) shown(config Config, show showing) (Config, error) {
	if !slices.ContainsFunc(s.views, func(view string) bool { return strings.Contains(config.text, `"`+view+`":`) }) {
		return config, nil
	}
	tree, err := config.Tree()
	if err != nil {
		return Config{}, err
	}
	return configOf(s.each(tree, show))
}

func (s *secrets) layer(layer Layer, err error) (Layer, error) {
	if err != nil {
		return Layer{}, err
	}
	layer.Config, err = s.shown(layer.Config, s.layered(layer.Name))
	return layer, err
}

func (s *secrets) layers(list []Layer) ([]Layer, error) {
	shown := make([]Layer, len(list))
	for i, layer := range list {
		var err error
		if shown[i], err = s.layer(layer, nil); err != nil {
			return nil, err
		}
	}
	return shown, nil
}

func (s *secrets) entry(entry Entry) (Entry, error) {
	for _, config := range []**Config{&entry.Before, &entry.After} {
		if *config == nil {
			continue
		}
		tree, err := (*config).Tree()
		if err != nil {
			return Entry{}, err
		}
		if name, is := entry.Layer.secret(); is {
			tree = s.value(name, tree)
		} else {
			tree = s.each(tree, s.layered(entry.Layer))
		}
		shown, err := configOf(tree)
		if err != nil {
			return Entry{}, err
		}
		*config = &shown
	}
	return entry, nil
}

// value returns an entry's value of a named secret with a marker in its place.
func (s *secrets) value(name string, tree map[string]any) map[string]any {
	if value, there := tree[valueMember]; there {
		digest, is := keptDigest(value)
		if !is {
			digest = s.digestOf(value)
		}
		tree[valueMember] = markerOf(s.show(ofName(name), "", digest))
	}
	return tree
}

// conceal returns a composition with markers that have kept digests. It is made once for all devices of the
// composition. Its layers are as operators see them. So is its hash, which nobody can compute from what operators see.
func (c *composition) conceal(s *secrets) (*composition, error) {
	c.concealing.Lock()
	defer c.concealing.Unlock()
	if c.concealed != nil {
		return c.concealed, nil
	}
	shown := &composition{hash: c.hash}
	var err error
	shown.config, err = s.shown(c.merged, func(_, _ string, value any) any {
		name, is := asReference(value)
		if !is {
			return markerOf(s.digestOf(value))
		}
		if secret, there := c.named[name]; there {
			return map[string]any{secretMember: name, digestMember: s.digestOf(secret)}
		}
		return value
	})
	if err != nil {
		return nil, err
	}
	if shown.tree, err = shown.config.Tree(); err != nil {
		return nil, err
	}
	if shown.layers, err = s.layers(c.layers); err != nil {
		return nil, err
	}
	if !shown.config.Equal(c.config) { // a short secret could be found by trial in the hash
		if shown.hash, err = serverapi.HashJSON([]byte(shown.config.String())); err != nil {
			return nil, err
		}
	}
	c.concealed = shown
	return shown, nil
}

// view returns a view of a device without the configuration of its target, and without reasons that may quote a secret.
func (s *secrets) view(view View) (View, error) {
	plain := view.Target
	shown, err := plain.composition.conceal(s)
	if err != nil {
		return View{}, err
	}
	view.differing = func() ([]string, error) { return s.differing(plain, view.Report.Config) }
	view.Attempted = s.attempted(view.Attempted, plain.tree)
	view.Running.Hash = s.running(view.ID, view.Running.Hash, plain.Hash, shown.hash)
	view.Own = nil
	view.Target.Config, view.Target.Hash, view.Target.Layers, view.Target.tree = Config{}, shown.hash, shown.layers, nil
	view.Target.composition = shown
	return view, nil
}

// configs adds the configuration of the target to a view, and replaces the reported one by what operators see.
func (s *secrets) configs(view View) (_ View, err error) {
	if view.Config, err = s.shown(view.Config, s.reported(view.ID)); err != nil {
		return View{}, err
	}
	target := &view.Target
	target.Config, target.tree, err = target.composition.on(s, view.ID)
	return view, err
}

// on returns a concealed composition's configuration as operators see it for a device.
func (c *composition) on(s *secrets, id uuid.UUID) (Config, map[string]any, error) {
	config, err := s.shown(c.config, s.targeted(id))
	if err != nil {
		return Config{}, nil, err
	}
	tree, err := config.Tree()
	return config, tree, err
}

// running returns the hash of what a device runs as operators see it: the hash of its target, or a keyed digest,
// because the target of an earlier revision may have had a secret.
func (s *secrets) running(id uuid.UUID, hash, target, shown string) string {
	switch {
	case hash == target:
		return shown
	case hash == "" || len(s.views) == 0:
		return hash
	}
	return "digest=" + s.show(runBy(id), "", s.digestOf(hash))
}

// differing lists the paths of values that contradict a target. A path ends at a secret.
func (s *secrets) differing(target Target, reported Config) ([]string, error) {
	shown, err := reported.Tree()
	if err != nil {
		return nil, err
	}
	places := s.places(target.tree)
	var paths []string
	for _, difference := range contradictions(target.tree, shown) {
		paths = append(paths, cutAt(places, difference.Path))
	}
	return slices.Compact(paths), nil
}

func (s *secrets) places(tree map[string]any) []string {
	var places []string
	s.each(tree, func(view, request string, value any) any {
		places = append(places, strings.TrimSuffix(view+"."+request, "."))
		return value
	})
	return places
}

// cutAt cuts a path at the secret into which it leads.
func cutAt(places []string, path string) string {
	for _, place := range places {
		if rest, inside := strings.CutPrefix(path, place); inside && (rest == "" || rest[0] == '.' || rest[0] == '[') {
			return place
		}
	}
	return path
}

// harmless matches whole reasons of an engine that quote nothing.
var harmless = regexp.MustCompile(`^(expected ` + typeNames + ` type but value was (null|bool|number|string|object|array)|` +
	`cannot accept null value for "` + typeNames + `" type|no matching rule)$`)

const typeNames = `(any|array|bool|int|map|number|string)`

// quoted reports whether a text may quote a secret of a configuration.
func (s *secrets) quoted(text string, tree map[string]any) bool {
	index, found := quote.Of(text), false
	s.each(tree, func(_, _ string, value any) any {
		found = found || index.Quotes(value)
		return value
	})
	return found
}

// leads reports whether a path leads to a secret, or into a value with one. The path may be a path in a target or a
// storage path. A rule counts that matches the beginning of the path. known is false if the confdb-schema has no such
// view and no such storage, so that the value may be anything.
func (s *secrets) leads(path string) (leads, known bool) {
	if s.of == nil || path == "" {
		return false, true
	}
	view, request, _ := strings.Cut(path, ".")
	if slices.Contains(s.views, view) {
		for request != "" && !s.of.Matches(view, request) {
			request = request[:max(0, strings.LastIndexAny(request, ".["))]
		}
		leads = s.of.Secret(view, request)
	}
	_, stored := s.of.CutStorage(path)
	return leads || stored && s.of.SecretStorage(path), stored || slices.Contains(s.of.Views(), view)
}

// leftOut replaces a reason that may quote a secret, in the store and in answers.
const leftOut = "the reason may quote a secret and is left out"

// attempted returns an attempt without a reason that quotes a secret of the present target. Take has already removed
// such reasons from reports, except from those that an earlier version has stored.
func (s *secrets) attempted(attempt Attempted, target map[string]any) Attempted {
	if attempt.Reason == "" || len(s.views) == 0 {
		return attempt
	}
	attempt.Path = cutAt(s.places(target), s.cut(attempt.Path))
	if leads, _ := s.leads(attempt.Path); !harmless.MatchString(attempt.Reason) && (leads || s.quoted(attempt.Reason, target)) {
		attempt.Reason = leftOut
	}
	return attempt
}

// refusal returns the error of a target without quotations of its secrets.
func (s *secrets) refusal(err error, target map[string]any) error {
	refused, ok := err.(*TargetError)
	if !ok || len(s.views) == 0 {
		return err
	}
	leads, _ := s.leads(refused.Path)
	var engine *registry.Error
	switch {
	case !errors.As(refused.Err, &engine):
	case engine.Kind == registry.ErrInvalid && engine.Path != "": // its storage path
		leads = s.of.SecretStorage(engine.Path)
	default:
		for _, request := range engine.Requests {
			at, _ := s.leads(engine.View.View + "." + request)
			leads = leads || at
		}
	}
	if leads = leads && (engine == nil || !harmless.MatchString(engine.Reason)); !leads && !s.quoted(refused.Text, target) {
		return err
	}
	path := cutAt(s.places(target), refused.Path)
	return &TargetError{Path: path, Text: fmt.Sprintf("cannot set %q: the confdb-schema does not take it; the reason may quote a secret and "+
		"is left out", path)}
}

var inList = regexp.MustCompile(`\[\d*\]`)

// marked reports whether a configuration may have markers.
func (s *secrets) marked(config Config) bool { return config.has(secretMember) }

// reveal replaces the markers in a configuration by the layer's present values. A marker must be at the place of its
// secret, or elsewhere in the same list. kept reports whether there are such markers; missing has the sorted paths of
// the other markers. References stay. The error is a *TargetError for a reference at a place without a secret in the
// confdb-schema.
func (s *secrets) reveal(name LayerName, config, present Config) (_ Config, kept bool, missing []string, err error) {
	layer, err := present.Tree()
	if err != nil {
		return Config{}, false, nil, err
	}
	given, err := s.names.short(config).Tree()
	if err != nil {
		return Config{}, false, nil, err
	}
	r := revealer{known: map[string]any{}, places: map[string]bool{}}
	s.each(layer, func(view, request string, value any) any {
		place := placeKey(view, request)
		r.known[place+s.show(inLayer(name), place, s.digestOf(value))] = value
		return value
	})
	s.each(given, func(view, request string, value any) any {
		if _, is := asReference(value); is {
			r.places[placeKey(view, request)] = true
		}
		return value
	})
	tree, err := config.Tree()
	if err != nil {
		return Config{}, false, nil, err
	}
	for view, document := range tree {
		tree[view] = r.in(document, s.names.shortName(view), "")
	}
	if r.misplaced != nil {
		return Config{}, false, nil, r.misplaced
	}
	slices.Sort(r.missing)
	revealed, err := configOf(tree)
	return revealed, r.kept, r.missing, err
}

// placeKey returns the same text for all elements of a list.
func placeKey(view, request string) string {
	return view + "\x00" + inList.ReplaceAllString(request, "[]") + "\x00"
}

type revealer struct {
	known     map[string]any  // secrets by place and digest
	places    map[string]bool // places of references
	kept      bool
	missing   []string
	misplaced error
}

func (r *revealer) in(value any, view, request string) any {
	switch value := value.(type) {
	case map[string]any:
		path := strings.TrimSuffix(view+"."+request, ".")
		if name, is := asReference(value); is {
			if err := CheckSecretName(name); err != nil {
				r.misplaced = &TargetError{Path: path, Text: fmt.Sprintf("cannot use a secret at %s: %s", path, err)}
			} else if !r.places[placeKey(view, request)] {
				r.misplaced = &TargetError{Path: path, Text: fmt.Sprintf("cannot use the secret %s at %s: the confdb-schema has no secret there; "+
					"a reference stands in the place of a whole secret", jsonText(name), path)}
			}
			return map[string]any{secretMember: name}
		}
		if IsSecret(value) {
			digest, _ := value[digestMember].(string)
			secret, found := r.known[placeKey(view, request)+digest]
			if !found || len(value) != 2 || value[secretMember] != setMark {
				r.missing = append(r.missing, path)
			}
			r.kept = true
			return secret
		}
		for name, inner := range value {
			value[name] = r.in(inner, view, strings.TrimPrefix(request+"."+name, "."))
		}
	case []any:
		for i, inner := range value {
			value[i] = r.in(inner, view, request+"[]")
		}
	}
	return value
}
