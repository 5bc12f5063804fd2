package fleet

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"aspects-poc/roles/serverapi/signed"
)

// mostCompositions is the limit of compositions in a snapshot.
const mostCompositions = 1024

// A snapshot has the layers that concern more than one device, as of one moment, and the compositions made of them so far.
// Only the compositions change.
type snapshot struct {
	Targets
	named      namedSecrets
	book       *signed.Book // the last statement of an operator; nil for none
	signature  Signature    // of the book
	generation uint32       // grows with each snapshot that differs from the one before

	mu       sync.RWMutex            // guards composed
	composed map[string]*composition // by the indexes of the label layers in it
}

func newSnapshot(targets Targets) (*snapshot, error) {
	named, err := namedOf(targets.Secrets)
	if err != nil {
		return nil, err
	}
	s := &snapshot{Targets: targets, named: named, composed: map[string]*composition{}}
	// A damaged layer is an error now, not only for the first device that it concerns.
	layers := slices.Clone(targets.Labels)
	if targets.Everyone.Revision > 0 {
		layers = append(layers, targets.Everyone)
	}
	_, err = compose(layers, named)
	return s, err
}

// follow makes s the successor of last. If both have the same layers and secrets, s takes over the generation and the compositions: then
// the new revisions concern only single devices.
func (s *snapshot) follow(last *snapshot) {
	if s.generation = last.generation; !s.equal(last) {
		s.generation++
		return
	}
	last.mu.RLock()
	defer last.mu.RUnlock()
	s.composed = maps.Clone(last.composed)
}

func (s *snapshot) equal(other *snapshot) bool {
	concern := func(a, b Concern) bool { return a.Revision == b.Revision && a.Selector.String() == b.Selector.String() }
	// Equal revisions mean equal layers, except after an older copy has replaced the database. So compare all.
	layer := func(a, b Layer) bool {
		return a.Name == b.Name && a.Revision == b.Revision && a.Priority == b.Priority && a.Authorship == b.Authorship &&
			a.Selector.String() == b.Selector.String() && a.Config.Equal(b.Config)
	}
	secret := func(a, b Secret) bool { return a.Name == b.Name && a.Revision == b.Revision && a.Value.Equal(b.Value) }
	return s.Signed == other.Signed && s.sameBook(other) && slices.EqualFunc(s.Concerns, other.Concerns, concern) && layer(s.Everyone, other.Everyone) &&
		slices.EqualFunc(s.Labels, other.Labels, layer) && slices.EqualFunc(s.Secrets, other.Secrets, secret)
}

func (s *snapshot) sameBook(other *snapshot) bool {
	return (s.book == nil) == (other.book == nil) && (s.book == nil || s.book.Signed == other.book.Signed)
}

// A Target is the configuration that a device should have.
type Target struct {
	Revision int64 // 0: no layer has ever concerned the device
	Config   Config
	Hash     string
	Layers   []Layer // in the order of merging
	// Latest is the authorship of what was changed last among Layers and the secrets that they refer to.
	Latest Authorship
	// Signing says whether an operator has signed it.
	Signing Signing

	tree        map[string]any
	composition *composition
}

// revisionOf returns the last revision that concerned devices with these labels.
func (s *snapshot) revisionOf(labels Labels) (revision int64) {
	for _, concern := range s.Concerns {
		if concern.Revision > revision && concern.Selector.Matches(labels) {
			revision = concern.Revision
		}
	}
	return revision
}

// of returns the target of a device.
func (s *snapshot) of(device Device) (Target, error) {
	c, err := s.compose(device)
	if err != nil {
		return Target{}, err
	}
	target := Target{
		Revision: max(s.revisionOf(device.Labels), device.OwnRevision),
		Config:   c.config, Hash: c.hash, Layers: c.layers, tree: c.tree, composition: c,
	}
	last := int64(0)
	for _, layer := range c.layers {
		if layer.Revision > last {
			last, target.Latest = layer.Revision, layer.Authorship
		}
	}
	for _, name := range c.names {
		if secret := s.secret(name); secret.Revision > last {
			last, target.Latest = secret.Revision, secret.Authorship
		}
	}
	return target, s.sign(device, &target)
}

func (s *snapshot) compose(device Device) (*composition, error) {
	var name strings.Builder
	var layers []Layer
	if s.Everyone.Revision > 0 {
		layers = append(layers, s.Everyone)
	}
	for i, layer := range s.Labels {
		if layer.Selector.Matches(device.Labels) {
			layers = append(layers, layer)
			name.WriteString(strconv.Itoa(i))
			name.WriteByte(',')
		}
	}
	if device.Own != nil { // no other device has this composition
		return compose(append(layers, *device.Own), s.named)
	}
	s.mu.RLock()
	c := s.composed[name.String()]
	s.mu.RUnlock()
	if c != nil {
		return c, nil
	}
	c, err := compose(layers, s.named)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.composed) >= mostCompositions {
		for other := range s.composed { // devices poll in turn, so none is worth more than another
			delete(s.composed, other)
			break
		}
	}
	s.composed[name.String()] = c
	return c, nil
}
