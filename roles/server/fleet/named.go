package fleet

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"aspects-poc/roles/serverapi/layers"
)

// The limits of named secrets.
const (
	MostSecrets   = 1000
	MaxSecretSize = 64 << 10 // bytes of the value as JSON
)

// A Secret is a named secret. Layers refer to its value with {"$secret":"NAME"}. A reference is no secret: it stays in
// the layer and in the history, and operators see it.
type Secret struct {
	Name     string
	Value    Config // has the member "value"; empty if no key opens the value any more
	Revision int64  // of its last change
	Authorship
}

const valueMember = "value"

// SecretValue returns a JSON value in the form of Secret.Value.
func SecretValue(text []byte) (Config, error) {
	return ParseConfig(slices.Concat([]byte(`{"`+valueMember+`":`), text, []byte(`}`)))
}

// CheckSecretName returns an error for an invalid name of a secret.
func CheckSecretName(name string) error {
	switch {
	case strings.Contains(name, "/"):
		return fmt.Errorf("a secret's name must not have a slash: %q", name)
	case name == setMark, name == "unset":
		return fmt.Errorf("a secret's name must not be %q: markers have this word in the place of a name", name)
	}
	return layers.CheckWord("a secret's name", name)
}

const secretNames = "secrets/"

// HistoryName returns the name under which the history has the changes of a secret.
func HistoryName(secret string) LayerName { return LayerName(secretNames + secret) }

// IsSecret reports whether the name is the HistoryName of a secret, and no layer.
func (n LayerName) IsSecret() bool { return strings.HasPrefix(string(n), secretNames) }

func (n LayerName) secret() (name string, is bool) { return strings.CutPrefix(string(n), secretNames) }

// ReferenceTo returns the text with which a stored configuration refers to a secret. For "" it returns the beginning of
// all such texts.
func ReferenceTo(name string) string {
	if name == "" {
		return `{"` + secretMember + `":"`
	}
	return ReferenceTo("") + name + `"}`
}

var references = regexp.MustCompile(regexp.QuoteMeta(ReferenceTo("")) + `([^"\\]*)"\}`)

// references returns the sorted names of the secrets to which a layer's configuration refers.
func (c Config) references() []string {
	names := map[string]bool{}
	for _, found := range references.FindAllStringSubmatch(c.text, -1) {
		names[found[1]] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// asReference returns the name of the secret to which a value refers. A reference may have the digest of an answer.
func asReference(value any) (name string, is bool) {
	object, _ := value.(map[string]any)
	name, is = object[secretMember].(string)
	_, digest := object[digestMember].(string)
	return name, is && name != setMark && (len(object) == 1 || len(object) == 2 && digest)
}

// namedSecrets are values by name. They are immutable.
type namedSecrets map[string]any

func namedOf(list []Secret) (namedSecrets, error) {
	named := namedSecrets{}
	for _, secret := range list {
		tree, err := secret.Value.Tree()
		if err != nil {
			return nil, fmt.Errorf("the secret %s is damaged: %w", secret.Name, err)
		}
		if value, there := tree[valueMember]; there {
			named[secret.Name] = value
		}
	}
	return named, nil
}

// resolve replaces the references in a tree by the values. It leaves out a secret without a value, as a layer's secret
// that no key opens.
func (n namedSecrets) resolve(tree map[string]any) error {
	_, err := walk(tree, "", func(value any, _ string) (any, bool, error) {
		name, is := asReference(value)
		if !is {
			return nil, false, nil
		}
		if secret, there := n[name]; there {
			return secret, true, nil
		}
		return gone, true, nil
	})
	return err
}

// config is resolve for the configuration of a layer.
func (n namedSecrets) config(config Config) (Config, error) {
	if len(config.references()) == 0 {
		return config, nil
	}
	tree, err := n.tree(config)
	if err != nil {
		return Config{}, err
	}
	return configOf(tree)
}

// tree returns the tree of a layer's configuration with values in the places of references.
func (n namedSecrets) tree(config Config) (map[string]any, error) {
	tree, err := config.Tree()
	if err == nil {
		err = n.resolve(tree)
	}
	return tree, err
}

// secret returns a named secret; with revision 0 if there is none.
func (t Targets) secret(name string) Secret {
	for _, secret := range t.Secrets {
		if secret.Name == name {
			return secret
		}
	}
	return Secret{Name: name}
}

// Uses identifies the layers that refer to a secret at a moment.
type Uses struct {
	Layers int
	Last   int64 // the last of the layers' revisions
}

func (u *Uses) add(layer Layer) {
	u.Layers++
	u.Last = max(u.Last, layer.Revision)
}

// A SecretChange is the wanted state of a named secret.
type SecretChange struct {
	Secret // its Revision is ignored
	Remove bool
	Match  *int64 // as in Change
	Uses   Uses   // by the layers that were checked
}

// Apply returns the secret after the change with a revision, and the entry of the history. before is the present
// secret, with revision 0 if there is none. uses is the present use by layers. A change without effect returns before
// and no entry. Errors: those of Store.ChangeSecret.
func (c SecretChange) Apply(before Secret, uses Uses, revision int64) (Secret, *Entry, error) {
	there := before.Revision > 0
	switch {
	case c.Match != nil && *c.Match != before.Revision:
		return Secret{}, nil, &StaleError{Revision: before.Revision}
	case c.Remove && !there:
		return Secret{}, nil, ErrUnknownSecret
	case uses != c.Uses:
		return Secret{}, nil, ErrStale
	case !c.Remove && there && c.Value.Equal(before.Value):
		return before, nil, nil
	}
	after := c.Secret
	after.Revision, after.At = revision, toSecond(after.At)
	entry := &Entry{Revision: revision, Authorship: after.Authorship, Layer: HistoryName(c.Name), Action: Set, After: &after.Value}
	if there {
		entry.Before = &before.Value
	}
	if c.Remove {
		entry.Action, entry.After = Removed, nil
	}
	return after, entry, nil
}

// A ShownSecret is a named secret as operators see it.
type ShownSecret struct {
	Name     string
	Digest   string // "" if the value is lost
	Revision int64
	Authorship
	Layers []LayerName // the layers that refer to it; not from SetSecret
}

// A UsedError says that a secret cannot be removed because layers refer to it.
type UsedError struct {
	Name   string
	Layers []LayerName
}

func (e *UsedError) Error() string {
	return fmt.Sprintf("cannot delete the secret %s: it is named in %s; change these layers first", e.Name, Listed(e.Layers, 20))
}

// Listed returns the names of the first few layers, and the number of the others.
func Listed[T ~string](layers []T, few int) string {
	var names []string
	for _, layer := range layers[:min(few, len(layers))] {
		names = append(names, string(layer))
	}
	text := strings.Join(names, ", ")
	if more := len(layers) - few; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// Secrets returns the named secrets, sorted by name, with the layers that refer to each.
func (f *Fleet) Secrets(ctx context.Context) ([]ShownSecret, error) {
	if err := f.targets.refresh(ctx); err != nil {
		return nil, err
	}
	targets := f.targets.Load()
	uses := map[string][]LayerName{}
	err := f.eachReferring(ctx, targets, "", func(layer Layer) error {
		for _, name := range layer.Config.references() {
			if !slices.Contains(uses[name], layer.Name) {
				uses[name] = append(uses[name], layer.Name)
			}
		}
		return nil
	})
	list := []ShownSecret{}
	for _, secret := range targets.Secrets {
		shown := f.secrets.named(secret, targets.named)
		shown.Layers = uses[secret.Name]
		list = append(list, shown)
	}
	return list, err
}

func (s *secrets) named(secret Secret, named namedSecrets) ShownSecret {
	shown := ShownSecret{Name: secret.Name, Revision: secret.Revision, Authorship: secret.Authorship}
	if value, there := named[secret.Name]; there {
		shown.Digest = s.show(ofName(secret.Name), "", s.digestOf(value))
	}
	return shown
}

// SecretRevision returns the revision of a named secret; 0 for none.
func (f *Fleet) SecretRevision(ctx context.Context, name string) (int64, error) {
	err := f.targets.refresh(ctx)
	return f.targets.Load().secret(name).Revision, err
}

// eachReferring calls pass for the layers that refer to a secret; "" means any secret.
func (f *Fleet) eachReferring(ctx context.Context, targets *snapshot, secret string, pass func(Layer) error) error {
	text := ReferenceTo(secret)
	layers := append([]Layer{targets.Everyone}, targets.Labels...)
	if targets.Release != nil { // devices may have the layers as before the release
		for _, before := range targets.Release.Before {
			layers = append(layers, before.Layer)
		}
	}
	for _, layer := range layers {
		if strings.Contains(layer.Config.text, text) {
			if err := pass(layer); err != nil {
				return err
			}
		}
	}
	for after := ""; ; {
		list, next, err := f.store.DeviceLayers(ctx, text, after, scanRows)
		if err != nil {
			return err
		}
		for _, layer := range list {
			if err := pass(layer); err != nil {
				return err
			}
		}
		if after = next; after == "" {
			return nil
		}
	}
}

// SetSecret sets or removes a named secret and wakes the held polls of the devices that it concerns. It returns their
// number. It first checks the value in each layer that refers to the secret, as Set checks the layer. It reads a
// device's report only if the device's layer does not fit without the report. Errors: *TargetError, *LayerError,
// *UsedError, those of Store.ChangeSecret.
func (f *Fleet) SetSecret(ctx context.Context, change SecretChange) (ShownSecret, int, error) {
	recordSecret(ctx, change.Name)
	preview, after, err := f.checkSecret(ctx, &change, 0)
	if err != nil {
		return ShownSecret{}, 0, err
	}
	secret, err := f.store.ChangeSecret(ctx, change)
	if err != nil {
		return ShownSecret{}, 0, err
	}
	f.catchUp(ctx, secret.Revision)
	return f.secrets.named(secret, after.named), preview.Devices, nil
}

// DryRunSecret returns what a change of a secret would do, as DryRun does.
func (f *Fleet) DryRunSecret(ctx context.Context, change SecretChange, few int) (Preview, error) {
	preview, _, err := f.checkSecret(ctx, &change, few)
	return preview, err
}

// checkSecret completes a change, and returns what it would do, and the targets after it. It returns an error if the
// change is not allowed.
func (f *Fleet) checkSecret(ctx context.Context, change *SecretChange, few int) (Preview, *snapshot, error) {
	change.At = f.options.Now()
	if err := f.checkValue(*change); err != nil {
		return Preview{}, nil, err
	}
	if err := f.targets.refresh(ctx); err != nil {
		return Preview{}, nil, err
	}
	before := f.targets.Load()
	present := before.secret(change.Name)
	switch {
	case change.Match != nil && *change.Match != present.Revision:
		return Preview{}, nil, &StaleError{Revision: present.Revision}
	case change.Remove && present.Revision == 0:
		return Preview{}, nil, ErrUnknownSecret
	case present.Revision == 0 && len(before.Secrets) >= MostSecrets:
		return Preview{}, nil, &LayerError{"name", fmt.Sprintf("is new, and there may be %d secrets at most; delete one first",
			MostSecrets)}
	}
	after, err := before.withSecret(*change)
	if err != nil {
		return Preview{}, nil, err
	}
	var layers []LayerName
	change.Uses = Uses{}
	fits := map[string]bool{} // configurations of devices' layers that the schema accepts whatever the device shows
	err = f.eachReferring(ctx, before, change.Name, func(layer Layer) error {
		if !slices.Contains(layers, layer.Name) {
			layers = append(layers, layer.Name)
		}
		change.Uses.add(layer)
		if change.Remove {
			return nil
		}
		if layer.Name.IsDevice() {
			fit, known := fits[layer.Config.text]
			if !known {
				fit = f.checkOn(Config{}, layer, after) == nil
				fits[layer.Config.text] = fit
			}
			if fit {
				return nil
			}
		}
		return f.checkIn(ctx, layer, after)
	})
	switch {
	case err != nil:
		return Preview{}, nil, err
	case len(layers) == 0:
		return Preview{Changes: []DeviceChange{}}, after, nil
	case change.Remove:
		return Preview{}, nil, &UsedError{Name: change.Name, Layers: layers}
	}
	preview, err := f.preview(ctx, &ground{snapshot: before}, after, Batch{}, few)
	return preview, after, err
}

// checkValue makes the checks that do not depend on layers.
func (f *Fleet) checkValue(change SecretChange) error {
	if err := CheckSecretName(change.Name); err != nil {
		return &LayerError{"name", "cannot be used: " + err.Error()}
	}
	if change.Remove {
		return nil
	}
	tree, err := change.Value.Tree()
	value := tree[valueMember]
	switch {
	case err != nil:
		return err
	case len(f.secrets.views) == 0:
		return &LayerError{"name", "is of no use: the server's confdb-schema has no secrets, so no layer can name one"}
	case value == nil:
		return &LayerError{valueMember, "must not be null: to unset a value, write null into the layer"}
	case len(change.Value.text) > MaxSecretSize:
		return &LayerError{valueMember, fmt.Sprintf("must not be longer than %d bytes", MaxSecretSize)}
	case change.Value.has(secretMember), change.Value.has(sealedMember):
		return &LayerError{valueMember, "must not have a member " + secretMember + " or " + sealedMember +
			": a secret refers to no other"}
	}
	return nil
}

// checkIn checks a layer with the named secrets of a snapshot.
func (f *Fleet) checkIn(ctx context.Context, layer Layer, targets *snapshot) error {
	var below Config
	var err error
	switch {
	case layer.Name.IsDevice():
		var device Device
		if device, err = f.store.Device(ctx, layer.Name.Device()); errors.Is(err, ErrUnknownDevice) { // removed meanwhile
			return nil
		}
		below = device.Config
	case layer.Name.IsLabels():
		below, err = targets.named.config(targets.Everyone.Config)
	}
	if err != nil {
		return err
	}
	return f.checkOn(below, layer, targets)
}

// checkOn checks a layer on top of a configuration.
func (f *Fleet) checkOn(below Config, layer Layer, targets *snapshot) error {
	config, err := targets.named.config(layer.Config)
	if err == nil {
		err = f.checkTarget(below, config)
	}
	if refused, ok := err.(*TargetError); ok {
		return &TargetError{Path: refused.Path, Text: fmt.Sprintf("layer %s: %s", layer.Name, refused.Text), Err: refused.Err}
	}
	return err
}

// withSecret returns the snapshot after a change of a secret.
func (s *snapshot) withSecret(change SecretChange) (*snapshot, error) {
	targets := s.Targets
	targets.Secrets = slices.DeleteFunc(slices.Clone(targets.Secrets), func(other Secret) bool { return other.Name == change.Name })
	if !change.Remove {
		targets.Secrets = append(targets.Secrets, change.Secret)
	}
	return newSnapshot(targets)
}

// referring returns the path of the first reference to a secret.
func referring(value any, name string) string {
	found := ""
	_, _ = walk(value, "", func(value any, place string) (any, bool, error) { // replace returns no error
		of, is := asReference(value)
		if is && of == name && found == "" {
			found = strings.ReplaceAll(strings.TrimPrefix(place, "."), `"`, "")
		}
		return value, is, nil
	})
	return found
}
