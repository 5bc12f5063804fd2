package fleet

import "github.com/google/uuid"

// A domain is a place whose digests operators may compare with each other, at one path, and with no others. A store keeps one
// digest of a value for all places: the kept digest. Operators see another one, which is made of it for the domain and the path.
// Otherwise a device could report guesses, and a reader would see which of them is the secret of somebody else.
type domain string

// inLayer is a layer and its history: they show what a revision changed, and a marker keeps its secret.
func inLayer(name LayerName) domain { return domain("layer " + name) }

// ofName is a named secret and its history.
func ofName(name string) domain { return domain("secret " + name) }

// ofDevice is the target of a device, before and after a change, and its report. The device gets the secrets of its target.
func ofDevice(id uuid.UUID) domain { return domain("device " + id.String()) }

// runBy is the hashes of targets that a device says it runs.
func runBy(id uuid.UUID) domain { return domain("running " + id.String()) }

// digestOf returns the kept digest of a value. It is keyed: nobody can find the value by trial.
func (s *secrets) digestOf(value any) string { return s.ring.Digest(plainText(value)) }

// show returns the digest that operators see for a kept one. The path is "" where a domain has only one.
func (s *secrets) show(in domain, path, kept string) string {
	return s.ring.Shown(string(in)+"\x00"+path, kept)
}

// keptDigest returns the digest in a marker of the history.
func keptDigest(value any) (digest string, is bool) {
	marker, _, is := isMarker(value)
	digest, _ = marker[digestMember].(string)
	return digest, is && len(marker) == 2
}
