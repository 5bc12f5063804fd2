// Package layers has how layers come together to the target of a device: which devices a selector chooses, and how one layer
// is merged over another. The server does so for each device, and an operator's machine for what it signs; both have to come
// to the same.
package layers

// SecretMember is the member of a marker of a secret, and of a reference to one, that no value of a confdb can have.
const SecretMember = "$secret"

// IsSecret reports whether a value is the marker of a secret, or a reference to one. Such an object is a value when layers are
// merged, like a list.
func IsSecret(value any) bool {
	object, _ := value.(map[string]any)
	_, is := object[SecretMember]
	return is
}

// Object returns an object that is no marker, and no reference.
func Object(value any) (map[string]any, bool) {
	object, is := value.(map[string]any)
	if is && IsSecret(object) {
		return nil, false
	}
	return object, is
}

// Overlay puts a document above another, which it changes. Objects are merged; whatever else the upper one has, also an array or
// null, takes the place of what the lower one has, whole. The lower one has no object of the upper one afterwards, but its arrays.
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
