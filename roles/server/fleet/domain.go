package fleet

import "github.com/google/uuid"

// A domain is a place within which operators may compare digests of secrets, at the same path. A store has one digest
// of a value for all places: the kept digest. Operators see another digest, derived from it for the domain and the
// path. Otherwise a device could report guesses, and a reader could see which guess is the secret of somebody else.
type domain string

// inLayer returns the domain of a layer and its history. Within it the history shows what a revision has changed, and a
// marker stands for the layer's secret.
func inLayer(name LayerName) domain { return domain("layer " + name) }

// ofName returns the domain of a named secret and its history.
func ofName(name string) domain { return domain("secret " + name) }

// ofDevice returns the domain of a device's target, before and after a change, and of its report. The device gets the
// secrets of its target.
func ofDevice(id uuid.UUID) domain { return domain("device " + id.String()) }

// runBy returns the domain of the hashes of the targets that a device reports.
func runBy(id uuid.UUID) domain { return domain("running " + id.String()) }

// digestOf returns the kept digest of a value. It has a key, so that nobody can find the value by trial.
func (s *secrets) digestOf(value any) string { return s.ring.Digest(plainText(value)) }

// show returns the digest for operators of a kept digest. path is "" in a domain with one place.
func (s *secrets) show(in domain, path, kept string) string {
	return s.ring.Shown(string(in)+"\x00"+path, kept)
}

// keptDigest returns the digest in a marker of the history.
func keptDigest(value any) (digest string, is bool) {
	marker, _, is := isMarker(value)
	digest, _ = marker[digestMember].(string)
	return digest, is && len(marker) == 2
}
