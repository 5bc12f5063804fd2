package fleetcmd

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"aspects-poc/roles"
	"aspects-poc/roles/serverapi"
	"aspects-poc/roles/serverapi/operator"
	"aspects-poc/roles/serverapi/signed"
)

// printWithheld prints warnings for the devices to which the server does not offer what is signed now.
func (w *signing) printWithheld(manifest *signed.Manifest) error {
	withheld := map[string]bool{}
	for device, err := range w.client.Devices(w, operator.Filter{}) {
		if err != nil {
			return fmt.Errorf("the statement is stored, but whether the server offers what is signed is not known: %w", err)
		}
		if notOfferedTo(device) {
			withheld[device.KeyID] = true
		}
	}
	texts, err := notOffered(manifest, func(device signed.Device) bool { return withheld[device.Key] })
	for _, text := range texts {
		w.say("warning: %s", text)
	}
	return err
}

// notOfferedTo reports whether the server does not offer a device its target because of signatures. A device that waits
// for its stage of a release has an earlier statement's target, and does not count.
func notOfferedTo(device serverapi.Device) bool {
	return device.Desired.Unsigned && (device.Release == nil || device.Release.Stage > 0)
}

// notOffered returns, for the chosen devices of a manifest, how many of them the server does not offer what is signed,
// and the probable reasons.
func notOffered(manifest *signed.Manifest, chosen func(signed.Device) bool) (texts []string, err error) {
	of, err := manifest.Results()
	if err != nil {
		return nil, err
	}
	counts := map[string]int{} // by the names of the secrets in the target
	for _, device := range manifest.Devices {
		if !chosen(device) {
			continue
		}
		result, err := of(device)
		if err != nil {
			return nil, err
		}
		names, err := gains(&signed.Result{}, result)
		if err != nil {
			return nil, err
		}
		counts[strings.Join(names, ", ")]++
	}
	for _, names := range slices.Sorted(maps.Keys(counts)) {
		text := fmt.Sprintf("the server does not offer %s what is signed: ", devicesOf(counts[names]))
		if names == "" {
			text += "its layers, labels or secrets have changed meanwhile; sign again"
		} else {
			name := names
			if strings.Contains(names, ", ") {
				name = "NAME"
			}
			text += fmt.Sprintf("the value that was signed of the secret %s is probably not the server's; sign again with the server's value, "+
				"--secret %s=FILE, or set the value there first, %s fleet secret set %[2]s", names, name, roles.Program)
		}
		texts = append(texts, text)
	}
	return texts, nil
}
