// Package layers merges layers to the target of a device. A Selector chooses devices by their labels; Compare has the
// order of the layers; Overlay merges one layer over another. The server merges the layers of each device, and an
// operator's machine merges the layers that it signs. Both must get the same target, so both use this package.
package layers

// SecretMember is the member that makes an object the marker of a secret, or a reference to one. No confdb value can
// have such a member.
const SecretMember = "$secret"

// IsSecret reports whether a value is the marker of a secret, or a reference to one. A merge treats such an object as a
// single value, as it treats a list.
func IsSecret(value any) bool {
	object, _ := value.(map[string]any)
	_, is := object[SecretMember]
	return is
}

// Object returns value as an object. It returns false for markers and references of secrets.
func Object(value any) (map[string]any, bool) {
	object, is := value.(map[string]any)
	if is && IsSecret(object) {
		return nil, false
	}
	return object, is
}

// Overlay merges above into below, which it modifies. Objects are merged. Any other value of above, such as an array or
// null, replaces the value of below. Afterwards below shares arrays with above, but no objects.
func Overlay(below, above map[string]any) {
	for name, value := range above {
		object, isObject := value.(map[string]any)
		if !isObject {
			below[name] = value
			continue
		}
		present, wasObject := Object(below[name])
		if !wasObject || IsSecret(object) {
			present = make(map[string]any, len(object))
			below[name] = present
		}
		Overlay(present, object)
	}
}
