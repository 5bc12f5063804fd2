package fleet

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"aspects-poc/registry"
	"aspects-poc/registry/plan"
	"aspects-poc/roles/server/fleet/seal"
	"aspects-poc/roles/serverapi"
)

// secrets are the values that the confdb-schema marks as secret. Operators never see them: the exported methods of Fleet
// return a marker in the place of each, {"$secret":"set","digest":"…"}. Only Poll returns the values. The zero value, without
// a confdb-schema, knows no secrets.
type secrets struct {
	names names
	of    *plan.Names
	views []string   // those with secrets
	ring  *seal.Ring // for digests
}

// secretMember is the member of a marker that no value of a confdb can have.
const secretMember = "$secret"

// newSecrets takes the keys of seals, or a random one for nil.
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

// IsSecret reports whether a value is the marker of a secret, or a reference to one. Such an object is a value for comparisons, like a list.
func IsSecret(value any) bool {
	object, _ := value.(map[string]any)
	_, is := object[secretMember]
	return is
}

// SameSecret reports whether two values are shown secrets of one value: the marker of a device's secret and the reference of its
// target may be.
func SameSecret(a, b any) bool {
	one, _ := a.(map[string]any)
	other, _ := b.(map[string]any)
	digest, is := one[digestMember].(string)
	return is && IsSecret(a) && IsSecret(b) && other[digestMember] == digest
}

// asObject returns an object that is no marker, and no reference.
func asObject(value any) (map[string]any, bool) {
	object, is := value.(map[string]any)
	if is && IsSecret(object) {
		return nil, false
	}
	return object, is
}

// each calls hide for every secret of a configuration, and returns a copy with what hide returns. The configuration has the
// views' short names.
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

// tree returns a configuration that a device reported with markers in the place of secrets.
func (s *secrets) tree(tree map[string]any) map[string]any {
	if tree == nil || s.of == nil {
		return tree
	}
	return s.each(tree, func(_, _ string, value any) any { return s.marker(value) })
}

func (s *secrets) marker(value any) map[string]any {
	return map[string]any{secretMember: setMark, digestMember: s.digestOf(value)}
}

// ours is tree for layers and the history: these have references and markers of their own, which stay.
func (s *secrets) ours(tree map[string]any) map[string]any {
	if tree == nil || s.of == nil {
		return tree
	}
	return s.each(tree, func(_, _ string, value any) any {
		if _, is := asReference(value); is {
			return value
		}
		if marker, _, is := isMarker(value); is && len(marker) == 2 { // of the history
			return marker
		}
		return s.marker(value)
	})
}

// digestOf returns a short keyed digest, from which nobody can find the value by trial.
func (s *secrets) digestOf(value any) string { return s.ring.Digest(plainText(value)) }

// config is tree for a Config.
func (s *secrets) config(config Config) (Config, error) { return s.shown(config, s.tree) }

func (s *secrets) shown(config Config, show func(map[string]any) map[string]any) (Config, error) {
	if !slices.ContainsFunc(s.views, func(view string) bool { return strings.Contains(config.text, `"`+view+`":`) }) {
		return config, nil
	}
	tree, err := config.Tree()
	if err != nil {
		return Config{}, err
	}
	return configOf(show(tree))
}

func (s *secrets) layer(layer Layer, err error) (Layer, error) {
	if err != nil {
		return Layer{}, err
	}
	layer.Config, err = s.shown(layer.Config, s.ours)
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
	show := s.ours
	if entry.Layer.IsSecret() {
		show = s.value
	}
	for _, config := range []**Config{&entry.Before, &entry.After} {
		if *config == nil {
			continue
		}
		tree, err := (*config).Tree()
		if err != nil {
			return Entry{}, err
		}
		shown, err := configOf(show(tree))
		if err != nil {
			return Entry{}, err
		}
		*config = &shown
	}
	return entry, nil
}

// value returns the value of a named secret with a marker in its place, if it is none already, as in most stores.
func (s *secrets) value(tree map[string]any) map[string]any {
	value, there := tree[valueMember]
	if _, _, is := isMarker(value); !is && there {
		tree[valueMember] = s.marker(value)
	}
	return tree
}

// conceal returns a composition with markers. It is made once.
func (c *composition) conceal(s *secrets) (*composition, error) {
	c.concealing.Lock()
	defer c.concealing.Unlock()
	if c.concealed != nil {
		return c.concealed, nil
	}
	shown := &composition{hash: c.hash}
	var err error
	if shown.config, err = s.shown(c.merged, s.ours); err != nil {
		return nil, err
	}
	if shown.config, err = c.digested(s, shown.config); err != nil {
		return nil, err
	}
	if shown.tree, err = shown.config.Tree(); err != nil {
		return nil, err
	}
	if shown.layers, err = s.layers(c.layers); err != nil {
		return nil, err
	}
	if !shown.config.Equal(c.config) { // the hash of a short secret could be found by trial
		if shown.hash, err = serverapi.HashJSON([]byte(shown.config.String())); err != nil {
			return nil, err
		}
	}
	c.concealed = shown
	return shown, nil
}

// digested adds digests to the references in a configuration.
func (c *composition) digested(s *secrets, config Config) (Config, error) {
	if len(config.references()) == 0 {
		return config, nil
	}
	return config.edit("", func(value any, _ string) (any, bool, error) {
		name, is := asReference(value)
		if secret, there := c.named[name]; is && there {
			return map[string]any{secretMember: name, digestMember: s.digestOf(secret)}, true, nil
		}
		return value, is, nil
	})
}

// view returns a view of a device with markers, and without reasons that may quote a secret.
func (s *secrets) view(view View) (View, error) {
	plain := view.Target
	shown, err := plain.composition.conceal(s)
	if err != nil {
		return View{}, err
	}
	view.differing = func() ([]string, error) { return s.differing(plain, view.Report.Config) }
	view.Attempted = s.attempted(view.Attempted, plain.tree)
	view.Running.Hash = s.running(view.Running.Hash, plain.Hash, shown.hash)
	view.Own = nil
	view.Target.Config, view.Target.Hash, view.Target.Layers, view.Target.tree = shown.config, shown.hash, shown.layers, shown.tree
	view.Target.composition = shown
	return view, nil
}

// running returns the hash of what a device runs as operators see it: that of its target, or a keyed digest, because the
// target of an earlier revision may have had a secret.
func (s *secrets) running(hash, target, shown string) string {
	switch {
	case hash == target:
		return shown
	case hash == "" || len(s.views) == 0:
		return hash
	}
	return "digest=" + s.digestOf(hash)
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

// cutAt cuts a path at the secret that it leads into.
func cutAt(places []string, path string) string {
	for _, place := range places {
		if rest, inside := strings.CutPrefix(path, place); inside && (rest == "" || rest[0] == '.' || rest[0] == '[') {
			return place
		}
	}
	return path
}

// harmless are the endings of an engine's reasons that quote no value.
var harmless = regexp.MustCompile(`(type but value was (null|bool|number|string|object|array)|cannot accept null value for "\w+" type|no matching rule)$`)

// fragments returns the texts in the secrets of a configuration, which must not be quoted.
func (s *secrets) fragments(tree map[string]any) []string {
	var texts []string
	var collect func(value any)
	collect = func(value any) {
		switch value := value.(type) {
		case string:
			texts = append(texts, value)
			texts = append(texts, strings.Trim(strconv.Quote(value), `"`))
		case json.Number:
			texts = append(texts, value.String())
		case []any:
			for _, element := range value {
				collect(element)
			}
		case map[string]any:
			for key, entry := range value {
				texts = append(texts, key)
				collect(entry)
			}
		}
	}
	s.each(tree, func(_, _ string, value any) any { collect(value); return value })
	return slices.DeleteFunc(texts, func(text string) bool { return text == "" })
}

// quotes reports whether a text may quote a secret: one of the configuration, or at a place that leads to one.
func (s *secrets) quotes(text string, leads bool, tree map[string]any) bool {
	return leads && !harmless.MatchString(text) ||
		slices.ContainsFunc(s.fragments(tree), func(fragment string) bool { return strings.Contains(text, fragment) })
}

// leads reports whether a path in a target leads to a secret, or into what has one. A rule decides that matches the beginning
// of the path.
func (s *secrets) leads(path string) bool {
	view, request, _ := strings.Cut(path, ".")
	if !slices.Contains(s.views, view) {
		return false
	}
	for request != "" && !s.of.Matches(view, request) {
		request = request[:max(0, strings.LastIndexAny(request, ".["))]
	}
	return s.of.Secret(view, request)
}

// leftOut is stored and shown in the place of a reason that may quote a secret.
const leftOut = "the reason may quote a secret and is left out"

// attempted returns what became of an attempt without a reason that quotes a secret of the present target. Take has decided
// about reports already; those that an earlier version stored have only this.
func (s *secrets) attempted(attempt Attempted, target map[string]any) Attempted {
	if attempt.Reason == "" || len(s.views) == 0 {
		return attempt
	}
	if s.quotes(attempt.Reason, attempt.Path != "" && s.leads(attempt.Path), target) {
		attempt.Reason = leftOut
	}
	attempt.Path = cutAt(s.places(target), attempt.Path)
	return attempt
}

// refusal returns the error of a target without what may be quoted of its secrets.
func (s *secrets) refusal(err error, target map[string]any) error {
	refused, ok := err.(*TargetError)
	if !ok || len(s.views) == 0 {
		return err
	}
	leads := s.leads(refused.Path)
	var engine *registry.Error
	switch {
	case !errors.As(refused.Err, &engine):
	case engine.Kind == registry.ErrInvalid && engine.Path != "": // its storage path
		leads = s.of.SecretStorage(engine.Path)
	default:
		for _, request := range engine.Requests {
			leads = leads || s.leads(engine.View.View+"."+request)
		}
	}
	if !s.quotes(refused.Text, leads, target) {
		return err
	}
	path := cutAt(s.places(target), refused.Path)
	return &TargetError{Path: path, Text: fmt.Sprintf("cannot set %q: the confdb-schema does not take it; the reason may quote a secret and "+
		"is left out", path)}
}

var inList = regexp.MustCompile(`\[\d*\]`)

// marked reports whether a configuration may have markers.
func (s *secrets) marked(config Config) bool { return config.has(secretMember) }

// reveal replaces the markers in a configuration by the present values of the layer that they stand for. A marker has to
// stand where its secret stands, or elsewhere in the same list. kept tells whether there are some, and missing are the paths of
// the others, sorted. References stay; the error is a *TargetError if the confdb-schema has no secret in the place of one.
func (s *secrets) reveal(config, present Config) (_ Config, kept bool, missing []string, err error) {
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
		r.known[placeKey(view, request)+s.digestOf(value)] = value
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

// placeKey is the same for all elements of a list.
func placeKey(view, request string) string {
	return view + "\x00" + inList.ReplaceAllString(request, "[]") + "\x00"
}

type revealer struct {
	known     map[string]any  // secrets by their places and digests
	places    map[string]bool // of references
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
