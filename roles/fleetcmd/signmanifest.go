package fleetcmd

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"aspects-poc/internal/jsonvalue"
	"aspects-poc/roles"
	"aspects-poc/roles/serverapi"
	"aspects-poc/roles/serverapi/operator"
	"aspects-poc/roles/serverapi/signed"
)

// collect reads layers and devices from the server.
func (w *signing) collect() (*signed.Manifest, error) {
	manifest := &signed.Manifest{Secrets: map[string]signed.Secret{}, Layers: []signed.Layer{}, Devices: []signed.Device{}}
	w.missed = map[string]bool{}
	for layer, err := range w.client.Layers(w) {
		if err != nil {
			return nil, err
		}
		if layer.Revision == 0 {
			continue
		}
		manifest.Layers = append(manifest.Layers, signedLayer(layer))
	}
	for device, err := range w.client.Devices(w, operator.Filter{}) {
		if err != nil {
			return nil, err
		}
		if notOfferedTo(device) {
			w.missed[device.KeyID] = true
		}
		if device.KeyID != "" && device.Status != serverapi.Revoked {
			manifest.Devices = append(manifest.Devices, signed.Device{Key: device.KeyID, UUID: device.UUID, Labels: device.Labels})
		}
	}
	return manifest, nil
}

// withoutDigests returns a configuration whose references to secrets have only the name.
func withoutDigests(value any) any {
	object, is := value.(map[string]any)
	if !is {
		return value
	}
	name, is := object["$secret"].(string)
	if is && name != "set" && name != "unset" {
		return map[string]any{"$secret": name}
	}
	copied := map[string]any{}
	for name, below := range object {
		copied[name] = withoutDigests(below)
	}
	return copied
}

// digestSecrets adds to the manifest a digest of each secret that a layer refers to. The digest comes from the given
// value, or from the last statement. It returns an error for a secret with neither.
func (w *signing) digestSecrets(manifest *signed.Manifest) error {
	names, err := manifest.Names()
	if err != nil {
		return err
	}
	list, err := w.client.Secrets(w)
	if err != nil {
		return err
	}
	revisions := map[string]int64{}
	for _, secret := range list {
		revisions[secret.Name] = secret.Revision
	}
	for name := range w.secrets {
		if !slices.Contains(names, name) {
			return roles.Usagef("no layer refers to the secret %s", name)
		}
	}
	for _, name := range names {
		if value, given := w.secrets[name]; given {
			secret := signed.Secret{Revision: revisions[name]}
			w.salts[name] = rand.Text()
			if secret.Digest, err = signed.SecretDigest(w.salts[name], value); err != nil {
				return err
			}
			manifest.Secrets[name] = secret
			continue
		}
		var before signed.Secret
		known := false
		if w.present != nil {
			before, known = w.present.Secrets[name]
		}
		switch {
		case !known:
			return fmt.Errorf("the secret %s was never signed: give its value with --secret %s=FILE", name, name)
		case before.Revision != revisions[name]:
			return fmt.Errorf("the secret %s has changed since it was signed: give its value with --secret %s=FILE", name, name)
		}
		manifest.Secrets[name] = before
	}
	return nil
}

// readSecrets reads the files of --secret and --secret-json.
func (w *signing) readSecrets() (map[string]any, error) {
	values := map[string]any{}
	for _, flag := range []string{"secret", "secret-json"} {
		for _, given := range w.c.StringSlice(flag) {
			name, file, found := strings.Cut(given, "=")
			if !found || name == "" || file == "" {
				return nil, roles.Usagef("invalid value %q for --%s: want NAME=FILE", given, flag)
			}
			open, err := os.Open(file)
			if err != nil {
				return nil, fmt.Errorf("cannot read the value of the secret %s: %w", name, err)
			}
			text, err := serverapi.ReadSecret(open, flag == "secret-json", maxSecret)
			if err = errors.Join(err, open.Close()); err != nil {
				return nil, fmt.Errorf("cannot read the value of the secret %s: %w", name, err)
			}
			var value any
			if err := jsonvalue.Decode(text, &value); err != nil {
				return nil, fmt.Errorf("cannot read the value of the secret %s", name) // the error may quote the value
			}
			values[name] = value
		}
	}
	return values, nil
}

// allowUndo adds to each device the targets that were signed for it before. prepare keeps the first one that differs from
// the present target, so that a second signature of the same target does not remove the way back.
func allowUndo(manifest, before *signed.Manifest) {
	targets := map[string][]string{}
	for _, device := range before.Devices {
		targets[device.Key] = device.Targets
	}
	for i := range manifest.Devices {
		manifest.Devices[i].Targets = slices.Clone(targets[manifest.Devices[i].Key])
	}
}
