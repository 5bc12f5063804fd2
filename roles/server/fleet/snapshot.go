package fleet

import (
	"encoding/binary"
	"maps"
	"slices"
	"sync"

	layering "aspects-poc/roles/serverapi/layers"
	"aspects-poc/roles/serverapi/signed"

	"github.com/google/uuid"
)

// mostCompositions is the limit of compositions in a snapshot.
const mostCompositions = 1024

// A snapshot has the layers that concern more than one device, as of one moment, and the compositions that were made of
// them. Only the compositions change.
type snapshot struct {
	Targets
	named      namedSecrets
	book       *signed.Book // the last statement of an operator; nil for none
	signature  Signature    // signature of the book
	generation uint32       // grows with each snapshot that differs from the previous one
	present    *stack
	gate       *gate // nil if no release is active
}

func newSnapshot(targets Targets) (*snapshot, error) {
	named, err := namedOf(targets.Secrets)
	if err != nil {
		return nil, err
	}
	s := &snapshot{Targets: targets, named: named}
	if s.present, err = newStack(targets.Everyone, targets.Labels, targets.Concerns, named); err != nil {
		return nil, err
	}
	s.gate, err = newGate(targets, named)
	return s, err
}

// A stack has the layers of many devices, and the compositions that were made of them.
type stack struct {
	tiers    []tier // in the order of merging
	chooses  index  // of tiers
	concerns []Concern
	concern  index // of concerns
	named    namedSecrets

	mu       sync.RWMutex            // guards composed
	composed map[string]*composition // by the numbers of their tiers
}

// newStack returns the stack of label layers, sorted by Priority and Name, above the layer of everyone. It returns an
// error for a damaged layer at once, not only for the first device of that layer.
func newStack(everyone Layer, labels []Layer, concerns []Concern, named namedSecrets) (*stack, error) {
	l := &stack{concerns: concerns, named: named, composed: map[string]*composition{}}
	if everyone.Revision > 0 {
		labels = append([]Layer{everyone}, labels...)
	}
	for i, layer := range labels {
		tier, err := tierOf(layer)
		if err != nil {
			return nil, err
		}
		l.tiers = append(l.tiers, tier)
		l.chooses.add(i, layer.Selector)
	}
	for i, concern := range concerns {
		l.concern.add(i, concern.Selector)
	}
	return l, nil
}

// An index finds the selectors that may choose a device, without evaluating all of them. The zero value is empty.
type index struct {
	by   map[[2]string][]int // numbers of selectors, by a label that they require
	rest []int               // numbers of the other selectors
}

func (x *index) add(number int, selector Selector) {
	name, value, ok := selector.Label()
	if !ok {
		x.rest = append(x.rest, number)
		return
	}
	if x.by == nil {
		x.by = map[[2]string][]int{}
	}
	x.by[[2]string{name, value}] = append(x.by[[2]string{name, value}], number)
}

// of returns the numbers of the selectors that may choose a device with these labels, in any order.
func (x *index) of(labels Labels) []int {
	found := slices.Clip(x.rest)
	if len(x.by) > 0 {
		for name, value := range labels {
			found = append(found, x.by[[2]string{name, value}]...)
		}
	}
	return found
}

func sortLayers(list []Layer) {
	slices.SortFunc(list, func(a, b Layer) int {
		return layering.Compare(layering.Place{Name: string(a.Name), Priority: a.Priority}, layering.Place{Name: string(b.Name), Priority: b.Priority})
	})
}

// follow makes s the successor of last. If both have the same layers and secrets, s inherits the generation and the
// compositions: the new revisions then concern only single devices.
func (s *snapshot) follow(last *snapshot) {
	if s.generation = last.generation; !s.equal(last) {
		s.generation++
		return
	}
	s.present.inherit(last.present)
	if s.gate != nil {
		s.gate.before.inherit(last.gate.before)
	}
}

// inherit copies the compositions of a stack with the same layers.
func (l *stack) inherit(last *stack) {
	last.mu.RLock()
	defer last.mu.RUnlock()
	l.composed = maps.Clone(last.composed)
}

func (s *snapshot) equal(other *snapshot) bool {
	waiting := func(c Concern) int64 {
		if c.Waiting == nil {
			return c.Revision
		}
		return *c.Waiting
	}
	concern := func(a, b Concern) bool {
		return a.Revision == b.Revision && waiting(a) == waiting(b) && a.Selector.String() == b.Selector.String()
	}
	// Equal revisions mean equal layers, except after an older copy has replaced the database. So all layers are
	// compared.
	layer := func(a, b Layer) bool {
		return a.Name == b.Name && a.Revision == b.Revision && a.Priority == b.Priority && a.Authorship == b.Authorship &&
			a.Selector.String() == b.Selector.String() && a.Config.Equal(b.Config)
	}
	secret := func(a, b Secret) bool { return a.Name == b.Name && a.Revision == b.Revision && a.Value.Equal(b.Value) }
	return s.gate.admitsAs(other.gate) && s.Signed == other.Signed && s.sameBook(other) && slices.EqualFunc(s.Concerns, other.Concerns, concern) && layer(s.Everyone, other.Everyone) &&
		slices.EqualFunc(s.Labels, other.Labels, layer) && slices.EqualFunc(s.Secrets, other.Secrets, secret)
}

func (s *snapshot) sameBook(other *snapshot) bool {
	return (s.book == nil) == (other.book == nil) && (s.book == nil || s.book.Signed == other.book.Signed)
}

// A Target is the configuration that a device should have.
type Target struct {
	wanted
	Config Config
	Hash   string
	Layers []Layer // in the order of merging
	// Latest is the authorship of the last change among Layers and their secrets.
	Latest Authorship
	// Signing says whether an operator has signed the target.
	Signing Signing

	tree        map[string]any
	composition *composition
}

// revisionOf returns the last revision that concerned devices with these labels.
func (l *stack) revisionOf(labels Labels) (revision int64) {
	for _, i := range l.concern.of(labels) {
		if concern := &l.concerns[i]; concern.Revision > revision && concern.Selector.Matches(labels) {
			revision = concern.Revision
		}
	}
	return revision
}

// A wanted identifies the target that a device should have.
type wanted struct {
	Revision int64 // 0 if no layer has ever concerned the device
	// Since is the first revision with this configuration: later revisions only have new signatures.
	Since int64
}

// desired returns the target that a device should have. own is the device's OwnRevision.
func (s *snapshot) desired(id uuid.UUID, labels Labels, own int64) wanted {
	return s.wanted(labels, own, id, s.gate.withholds(id, labels))
}

// wanted is desired with the knowledge whether the active release withholds its changes from the device.
func (s *snapshot) wanted(labels Labels, own int64, id uuid.UUID, withheld bool) wanted {
	layers, signed := s.present, s.Signed
	if withheld {
		layers = s.gate.before
		if _, own = s.gate.ownOf(id, nil, own); signed > s.gate.release.ID {
			signed-- // it was stored during the release
		}
	}
	since := max(layers.revisionOf(labels), own)
	return wanted{Revision: max(since, signed), Since: since}
}

// of returns the target of a device.
func (s *snapshot) of(device Device) (Target, error) {
	c, err := s.compose(device)
	if err != nil {
		return Target{}, err
	}
	target := Target{
		wanted: s.desired(device.ID, device.Labels, device.OwnRevision),
		Config: c.config, Hash: c.hash, Layers: c.layers, tree: c.tree, composition: c,
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

// compose returns the present composition of a device.
func (s *snapshot) compose(device Device) (*composition, error) {
	if !s.gate.withholds(device.ID, device.Labels) {
		return s.present.compose(device.Labels, device.Own)
	}
	own, _ := s.gate.ownOf(device.ID, device.Own, device.OwnRevision)
	return s.gate.before.compose(device.Labels, own)
}

// compose returns the composition of a device with these labels and its own layer; nil for none.
func (l *stack) compose(labels Labels, own *Layer) (*composition, error) {
	chosen := l.chooses.of(labels)
	chosen = slices.DeleteFunc(slices.Clone(chosen), func(i int) bool { return !l.tiers[i].Selector.Matches(labels) })
	slices.Sort(chosen)
	if own != nil { // no other device has this composition
		tier, err := tierOf(*own)
		if err != nil {
			return nil, err
		}
		return compose(append(l.pick(chosen), tier), l.named)
	}
	name := make([]byte, 0, 64)
	for _, i := range chosen {
		name = binary.AppendUvarint(name, uint64(i)) //nolint:gosec // not negative
	}
	l.mu.RLock()
	c := l.composed[string(name)]
	l.mu.RUnlock()
	if c != nil {
		return c, nil
	}
	c, err := compose(l.pick(chosen), l.named)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.composed) >= mostCompositions {
		for other := range l.composed { // devices poll in turn, so all are worth the same
			delete(l.composed, other)
			break
		}
	}
	l.composed[string(name)] = c
	return c, nil
}

func (l *stack) pick(numbers []int) []tier {
	tiers := make([]tier, len(numbers), len(numbers)+1)
	for i, number := range numbers {
		tiers[i] = l.tiers[number]
	}
	return tiers
}
