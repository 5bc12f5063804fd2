package fleet

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"aspects-poc/roles/server/fleet/seal"
)

// A sealState is the state of a store's seals (Store.Sealing), in JSON.
type sealState struct {
	Keys   []string `json:"keys"`   // IDs of the keys that may have sealed what is in the store
	Schema string   `json:"schema"` // digest of the confdb-schema whose secrets are all sealed; "" before the first time
}

func (s sealState) String() string {
	text, _ := json.Marshal(s) // texts always encode
	return string(text)
}

// readSealState returns the state of a store, and its text; "" if nothing is sealed.
func readSealState(ctx context.Context, store Store) (state sealState, text string, err error) {
	text, err = store.Sealing(ctx)
	if err == nil && text != "" {
		if err = json.Unmarshal([]byte(text), &state); err != nil {
			err = fmt.Errorf("cannot read how the secrets in the database are sealed: %w", err)
		}
	}
	return state, text, err
}

// Keys returns the keys of a store by a function as in Options. It returns seal.ErrOtherKey if the secrets in the store
// are sealed with a missing key.
func Keys(ctx context.Context, store Store, keys func(fresh bool) (*seal.Ring, error)) (*seal.Ring, error) {
	state, _, err := readSealState(ctx, store)
	if err != nil {
		return nil, err
	}
	return state.ring(keys)
}

func (s sealState) ring(keys func(fresh bool) (*seal.Ring, error)) (*seal.Ring, error) {
	if keys == nil {
		return nil, fmt.Errorf("%w: none is given", seal.ErrOtherKey)
	}
	ring, err := keys(len(s.Keys) == 0)
	if err != nil {
		return nil, err
	}
	for _, id := range s.Keys {
		if !ring.Has(id) {
			return nil, fmt.Errorf("%w (%s) than the one that is given (%s)", seal.ErrOtherKey, id, ring.ID())
		}
	}
	return ring, nil
}

// openSeals returns the seals of a store; nil for a store that has no secrets and gets none. It first seals plain
// secrets in the store, and all secrets if always is true or the first key is new. If lost is not nil, secrets that no
// key opens are left out.
func openSeals(
	ctx context.Context, store Store, names names, options Options, always bool, lost func(place string),
) (*seals, int, error) {
	s := &seals{names: names, secrets: newSecrets(names, nil), lost: lost}
	for {
		present, text, err := readSealState(ctx, store)
		switch {
		case err != nil:
			return nil, 0, err
		case text == "" && (options.Keys == nil || len(s.secrets.views) == 0):
			return nil, 0, nil
		}
		if lost != nil {
			s.ring, err = options.Keys(false)
		} else {
			s.ring, err = present.ring(options.Keys)
		}
		if err != nil {
			return nil, 0, err
		}
		sum := sha256.Sum256(options.Schema)
		want := sealState{Keys: []string{s.ring.ID()}, Schema: hex.EncodeToString(sum[:8])}
		if present.String() == want.String() && !always {
			return s, 0, nil
		}
		if options.Beside {
			return nil, 0, seal.ErrBeside
		}
		changed, err := s.renewAll(ctx, store, text, present, want)
		if errors.Is(err, ErrStale) {
			continue // another server has changed the state
		}
		if err == nil && changed > 0 {
			options.Log.Info("sealed the secrets in the database", "changed", changed, "key", s.ring.ID())
		}
		return s, changed, err
	}
}

// renewAll seals all secrets with the first key. Before that it stores that this key may be in use, and afterwards that
// only this key is. After a crash in between all keys are still needed, and the next start repeats the renewal.
func (s *seals) renewAll(ctx context.Context, store Store, text string, present, want sealState) (int, error) {
	between := sealState{Keys: slices.Clone(present.Keys), Schema: present.Schema}
	if !slices.Contains(between.Keys, s.ring.ID()) {
		between.Keys = append(between.Keys, s.ring.ID())
	}
	if err := store.SetSealing(ctx, text, between.String()); err != nil {
		return 0, err
	}
	if s.foreign = present.Schema == ""; s.ring.Several() {
		s.digests = map[string]string{}
	}
	defer func() { s.foreign, s.digests = false, nil }()
	changed, err := store.Rewrite(ctx, s.renew)
	if err != nil {
		return changed, err
	}
	return changed, store.SetSealing(ctx, between.String(), want.String())
}

// Seal seals all secrets of a store with the first key, whatever key sealed them before. It returns the number of
// changed layers, entries of the history and reports. Afterwards the store needs no other key. If lost is nil, all
// secrets must open. Otherwise the secrets that no key opens are removed, and lost is called with the layer or report
// of each, and its path.
func Seal(ctx context.Context, store Store, options Options, lost func(place string)) (changed int, err error) {
	options.complete()
	names, err := readNames(options.Schema)
	if err == nil {
		_, changed, err = openSeals(ctx, store, names, options, true, lost)
	}
	if err != nil {
		return changed, fmt.Errorf("cannot seal the secrets: %w", err)
	}
	return changed, nil
}
