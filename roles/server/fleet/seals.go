package fleet

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"aspects-poc/internal/jsonvalue"
	"aspects-poc/roles/server/fleet/seal"

	"github.com/google/uuid"
)

// In a store a secret of a layer or a report is an object with two members: sealedMember is the sealed value, and
// digestMember is the kept digest for a layer (see domain). A secret text beside a configuration, such as the reason of
// a device, begins with sealedPrefix. The history has no secrets but markers in their places, with the ID of the
// digest's key in keyMember.
const (
	sealedMember = "$sealed"
	digestMember = "digest"
	keyMember    = "key"
	sealedPrefix = "$sealed:"

	setMark = "set" // the value of secretMember in the marker of a value
)

// seals seal and open the secrets in a store. The place of a secret is its owner, which is a layer or a device's
// report, and its path there without indexes, because elements of a list move. A nil *seals changes nothing.
type seals struct {
	ring    *seal.Ring
	names   names
	secrets *secrets
	// foreign means that nothing was ever sealed in this store, so that a text which cannot be opened is a device's
	// own.
	foreign bool
	lost    func(place string) // if not nil, called for each secret that cannot be opened and is left out
	digests map[string]string  // in a renewal with several keys: any digest of a layer's secret -> the present one
}

func ofLayer(name LayerName) string { return "layer " + string(name) }

func ofSecret(name string) string { return "secret " + name }

const reportPlace = "report "

func ofReport(id uuid.UUID) string { return reportPlace + id.String() }

// A pending is a value in a tree that is not sealed yet, or an object that is ready.
type pending struct{ value, ready any }

// plainText returns the text of a value that is sealed and digested.
func plainText(value any) []byte {
	text, _ := json.Marshal(value) // JSON shapes always encode
	return text
}

// walk replaces the values in a tree for which replace returns true. It does not enter values that it has replaced.
func walk(value any, place string, replace func(value any, place string) (any, bool, error)) (any, error) {
	if next, replaced, err := replace(value, place); replaced || err != nil {
		return next, err
	}
	var err error
	switch value := value.(type) {
	case map[string]any:
		for name, inner := range value {
			if value[name], err = walk(inner, place+"."+strconv.Quote(name), replace); err != nil {
				return nil, err
			}
			if value[name] == gone {
				delete(value, name)
			}
		}
	case []any:
		left := value[:0]
		for _, inner := range value {
			next, err := walk(inner, place+"[]", replace)
			if err != nil {
				return nil, err
			}
			if next != gone {
				left = append(left, next)
			}
		}
		return left, nil
	}
	return value, nil
}

// gone is the replacement for a value that walk must leave out.
var gone any = new(pending)

func (c Config) has(member string) bool { return strings.Contains(c.text, `"`+member+`":`) }

// edit is walk for a configuration.
func (c Config) edit(owner string, replace func(value any, place string) (any, bool, error)) (Config, error) {
	tree, err := c.Tree()
	if err != nil {
		return Config{}, err
	}
	edited, err := walk(tree, owner, replace)
	if err != nil {
		return Config{}, err
	}
	return configOf(edited.(map[string]any))
}

// isSealed returns the object of a sealed value.
func isSealed(value any) (map[string]any, bool) {
	object, _ := value.(map[string]any)
	_, is := object[sealedMember]
	return object, is
}

// isMarker returns the marker of a secret, as the history has it: with a key in a store, and otherwise without.
func isMarker(value any) (marker map[string]any, key string, is bool) {
	marker, _ = value.(map[string]any)
	_, isText := marker[digestMember].(string)
	key, stored := marker[keyMember].(string)
	is = isText && marker[secretMember] == setMark && (len(marker) == 2 || len(marker) == 3 && stored)
	return marker, key, is
}

// Marked returns a store's configuration with markers in the places of sealed values, for the history.
func (c Config) Marked() Config {
	if !c.has(sealedMember) {
		return c
	}
	marked, err := c.edit("", func(value any, _ string) (any, bool, error) {
		object, is := isSealed(value)
		if !is {
			return nil, false, nil
		}
		sealed, _ := object[sealedMember].(string)
		return map[string]any{secretMember: setMark, digestMember: object[digestMember], keyMember: seal.KeyOf(sealed)}, true, nil
	})
	if err != nil {
		return c // the reader reports the fault
	}
	return marked
}

// open returns a store's configuration with its values opened.
func (s *seals) open(owner string, config Config) (Config, error) {
	if s == nil || !config.has(sealedMember) {
		return config, nil
	}
	return config.edit(owner, func(value any, place string) (any, bool, error) {
		object, is := isSealed(value)
		if !is {
			return nil, false, nil
		}
		opened, err := s.openValue(object, place)
		return opened, true, err
	})
}

func (s *seals) openValue(object map[string]any, place string) (any, error) {
	sealed, _ := object[sealedMember].(string)
	text, err := s.ring.Open(place, sealed)
	if err != nil {
		return nil, fmt.Errorf("cannot open the secret of %s: %w", place, err)
	}
	var value any
	err = jsonvalue.Decode(text, &value)
	return value, err
}

// sealLayer is seal for a layer. It does not change references.
func (s *seals) sealLayer(name LayerName, config Config) (Config, error) {
	if s == nil {
		return config, nil
	}
	return s.sealAfter(ofLayer(name), config, func(value any, _ string) (any, bool, error) {
		_, is := asReference(value)
		return &pending{ready: value}, is, nil
	})
}

// sealSecret returns the value of a named secret in its sealed form, with the present key.
func (s *seals) sealSecret(name string, config Config) (Config, error) {
	if s == nil {
		return config, nil
	}
	tree, err := config.Tree()
	if err != nil {
		return Config{}, err
	}
	value, there := tree[valueMember]
	if !there {
		return config, nil
	}
	place := ofSecret(name) + "." + strconv.Quote(valueMember) // as in open
	if object, is := isSealed(value); is {
		if value, err = s.openValue(object, place); err != nil && s.lost != nil {
			s.lost(ofSecret(name))
			return Config{}, nil
		}
		if err != nil {
			return Config{}, err
		}
	}
	return configOf(map[string]any{valueMember: s.sealPending(&pending{value: value}, place)})
}

// seal returns a configuration in its sealed form. It also seals objects that look like sealed values, because a device
// may report anything.
func (s *seals) seal(owner string, config Config) (Config, error) {
	if s == nil {
		return config, nil
	}
	return s.sealAfter(owner, config, func(value any, _ string) (any, bool, error) {
		object, is := isSealed(value)
		return &pending{value: object}, is, nil
	})
}

// sealAfter calls prepare for a configuration, and then seals its secrets.
func (s *seals) sealAfter(owner string, config Config, prepare func(value any, place string) (any, bool, error)) (Config, error) {
	hasSecrets := slices.ContainsFunc(s.secrets.views, config.has)
	if !hasSecrets && !config.has(sealedMember) && !config.has(secretMember) {
		return config, nil
	}
	tree, err := config.Tree()
	if err != nil {
		return Config{}, err
	}
	prepared, err := walk(tree, owner, prepare)
	if err != nil {
		return Config{}, err
	}
	tree = s.secrets.each(prepared.(map[string]any), func(_, _ string, value any) any {
		if done, is := value.(*pending); is {
			return done
		}
		return &pending{value: sealAll(value)}
	})
	sealed, err := walk(tree, owner, func(value any, place string) (any, bool, error) {
		done, is := value.(*pending)
		if !is {
			return nil, false, nil
		}
		return s.sealPending(done, place), true, nil
	})
	if err != nil {
		return Config{}, err
	}
	return configOf(sealed.(map[string]any))
}

// sealAll returns a value in which all pending values are sealed.
func sealAll(value any) any {
	value, _ = walk(value, "", func(value any, _ string) (any, bool, error) { // replace returns no error
		inner, is := value.(*pending)
		if !is {
			return nil, false, nil
		}
		if inner.ready != nil {
			return inner.ready, true, nil
		}
		return inner.value, true, nil
	})
	return value
}

func (s *seals) sealPending(value *pending, place string) any {
	if value.ready != nil {
		return value.ready
	}
	text := plainText(value.value)
	if s.digests != nil {
		for _, digest := range s.ring.Digests(text) {
			s.digests[digest] = s.ring.Digest(text)
		}
	}
	sealed := map[string]any{sealedMember: s.ring.Seal(place, text)}
	if !strings.HasPrefix(place, reportPlace) { // a reader of the database could compare the digest of a guess in a report
		sealed[digestMember] = s.ring.Digest(text)
	}
	return sealed
}

// A text is a text of a report, beside its configuration, that may have a secret. The hash of a target with a secret is
// one, because a short secret could be found by trial.
type text struct {
	what string
	of   *string
}

func textsOf(report *Report) [3]text {
	return [...]text{{"hash", &report.Running.Hash}, {"path", &report.Attempted.Path}, {"reason", &report.Attempted.Reason}}
}

func (s *seals) sealText(id uuid.UUID, text text) {
	*text.of = sealedPrefix + s.ring.Seal(ofReport(id)+" "+text.what, []byte(*text.of))
}

// openText opens a text, and reports whether it was sealed.
func (s *seals) openText(id uuid.UUID, text text) (bool, error) {
	sealed, is := strings.CutPrefix(*text.of, sealedPrefix)
	if !is {
		return false, nil
	}
	place := ofReport(id) + " " + text.what
	opened, err := s.ring.Open(place, sealed)
	if err != nil && s.lost != nil && !s.foreign {
		s.lost(place)
		*text.of = ""
		return true, nil
	}
	if err != nil && !s.foreign {
		return false, fmt.Errorf("cannot open the secret of %s: %w", place, err)
	}
	if err == nil {
		*text.of = string(opened)
	}
	return true, nil
}

func (s *seals) sealReport(id uuid.UUID, report *Report) (err error) {
	if s == nil {
		return nil
	}
	for _, text := range textsOf(report) {
		if *text.of != "" && (len(s.secrets.views) > 0 || strings.HasPrefix(*text.of, sealedPrefix)) {
			s.sealText(id, text)
		}
	}
	report.Config, err = s.seal(ofReport(id), report.Config)
	return err
}

func (s *seals) openReport(id uuid.UUID, report *Report) (err error) {
	if s == nil {
		return nil
	}
	for _, text := range textsOf(report) {
		if _, err := s.openText(id, text); err != nil {
			return err
		}
	}
	report.Config, err = s.open(ofReport(id), report.Config)
	return err
}

// openEntry is open for a configuration of the history.
func (s *seals) openEntry(config Config) (Config, error) {
	if s == nil || !config.has(secretMember) {
		return config, nil
	}
	return config.edit("", func(value any, _ string) (any, bool, error) {
		marker, _, is := isMarker(value)
		if is {
			delete(marker, keyMember)
		}
		return marker, is, nil
	})
}

// renew seals the secrets of a holding with the first key, whether or not they are sealed.
func (s *seals) renew(of Holding) (err error) {
	switch {
	case of.Layer != nil:
		of.Layer.Config, err = s.renewConfig(ofLayer(of.Layer.Name), of.Layer.Config, true)
	case of.Secret != nil:
		of.Secret.Value, err = s.sealSecret(of.Secret.Name, of.Secret.Value)
	case of.Entry != nil:
		for _, config := range []*Config{of.Entry.Before, of.Entry.After} {
			if config != nil && err == nil {
				if of.Entry.Layer.IsSecret() && !config.has(secretMember) { // from the time before seals
					*config, err = s.sealSecret("", *config)
				} else {
					*config, err = s.renewConfig(ofLayer(of.Entry.Layer), *config, true)
				}
				*config = config.Marked()
			}
		}
	case of.Device != nil:
		for _, text := range textsOf(&of.Device.Report) {
			sealed, err := s.openText(of.Device.ID, text)
			if err != nil {
				return err
			}
			if *text.of != "" && (sealed || len(s.secrets.views) > 0) {
				s.sealText(of.Device.ID, text)
			}
		}
		of.Device.Config, err = s.renewConfig(ofReport(of.Device.ID), of.Device.Config, false)
	}
	return err
}

// renewConfig seals the secrets of a configuration with the first key. In a configuration of a layer or the history
// (ours), references and markers stay.
func (s *seals) renewConfig(owner string, config Config, ours bool) (Config, error) {
	return s.sealAfter(owner, s.names.short(config), func(value any, place string) (any, bool, error) {
		if object, is := isSealed(value); is {
			opened, err := s.openValue(object, place)
			switch {
			case err != nil && s.foreign:
				opened, err = object, nil
			case err != nil && s.lost != nil:
				s.lost(place)
				return gone, true, nil
			}
			return &pending{value: opened}, true, err
		}
		if !ours {
			return nil, false, nil
		}
		if _, is := asReference(value); is {
			return &pending{ready: value}, true, nil
		}
		marker, key, is := isMarker(value)
		if !is {
			return nil, false, nil
		}
		if key != s.ring.ID() {
			marker[keyMember], marker[digestMember] = s.ring.ID(), s.digestAgain(marker[digestMember].(string))
		}
		return &pending{ready: marker}, true, nil
	})
}

// digestAgain returns the digest with the present key for one with a former key. If the value is gone, it is a digest
// of the former digest, so that equal digests stay equal.
func (s *seals) digestAgain(former string) string {
	if digest, known := s.digests[former]; known {
		return digest
	}
	return s.ring.Digest([]byte(former))
}
