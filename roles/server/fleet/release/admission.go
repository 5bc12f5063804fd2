package release

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"math/bits"
	"slices"
	"time"

	"github.com/google/uuid"
)

// MostListed is the largest number of devices that a stage admits by ID.
const MostListed = 1000

// An Admission decides which devices a stage admits. It is made when the stage begins, and is immutable. It also
// decides about devices that register later.
type Admission struct {
	At       time.Time         `json:"at"` // when the stage began
	All      bool              `json:"all,omitempty"`
	Selector string            `json:"selector,omitempty"`
	Devices  []uuid.UUID       `json:"devices,omitempty"` // sorted
	Label    string            `json:"label,omitempty"`   // Values are those of this label
	Below    uint64            `json:"below,omitempty"`   // places below it are admitted; of other values of the label, if there is one
	Values   map[string]uint64 `json:"values,omitempty"`  // as Below, by the value of the label; "" for devices without it
}

// A Device has the values that decide its admission.
type Device struct {
	ID     uuid.UUID
	Place  uint64
	Labels map[string]string
}

// Place returns the place of a device among all devices of a release. It is the same on each server, and differs
// between releases, so that not always the same device is first.
func Place(release int64, device uuid.UUID) uint64 {
	var text [24]byte
	binary.BigEndian.PutUint64(text[:8], uint64(release))
	copy(text[8:], device[:])
	sum := sha256.Sum256(text[:])
	return binary.BigEndian.Uint64(sum[:8])
}

// Admits reports whether a device is admitted. matches reports whether the device's labels match a selector.
func (a Admission) Admits(device Device, matches func(selector string) bool) bool {
	switch {
	case a.All:
		return true
	case a.Selector != "":
		return matches(a.Selector)
	}
	below := a.Below
	if a.Label != "" {
		if of, there := a.Values[device.Labels[a.Label]]; there {
			below = of
		}
	}
	if device.Place < below {
		return true
	}
	_, listed := slices.BinarySearchFunc(a.Devices, device.ID, byID)
	return listed
}

func byID(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) }

// A Candidate is a device that a stage may admit.
type Candidate struct {
	Device
	Seen     bool // seen lately
	Admitted bool // by an earlier stage
}

// Admission returns the admission of a stage that begins with these devices, without At. It admits as many devices as
// the stage says, including those that are admitted already, in the order of their places. For a number of devices it
// counts and admits only devices that were seen lately. For a share it counts all devices, and admits at least one that
// was seen lately, if there is one.
func (s Stage) Admission(candidates []Candidate) Admission {
	switch {
	case s.Percent == Whole:
		return Admission{All: true}
	case s.Selector != "":
		return Admission{Selector: s.Selector}
	}
	candidates = slices.Clone(candidates)
	slices.SortFunc(candidates, func(a, b Candidate) int { return cmp.Compare(a.Place, b.Place) })
	of := map[string][]Candidate{}
	for _, candidate := range candidates {
		value := ""
		if s.Spread != "" {
			value = candidate.Labels[s.Spread]
		}
		of[value] = append(of[value], candidate)
	}
	if s.Percent == 0 {
		return s.listed(of)
	}
	admission := Admission{Label: s.Spread}
	if s.Spread == "" {
		admission.Below = s.below(candidates)
	} else {
		// A value that no device has yet gets its share of all places.
		high, low := bits.Mul64(math.MaxUint64, uint64(s.Percent))
		admission.Below, _ = bits.Div64(high, low, uint64(Whole))
		admission.Values = map[string]uint64{}
		for value, some := range of {
			admission.Values[value] = s.below(some)
		}
	}
	seen := func(c Candidate) bool { return c.Seen && (c.Admitted || admission.Admits(c.Device, nil)) }
	if !slices.ContainsFunc(candidates, seen) {
		if i := slices.IndexFunc(candidates, func(c Candidate) bool { return c.Seen }); i >= 0 {
			admission.Devices = []uuid.UUID{candidates[i].ID}
		}
	}
	return admission
}

// listed admits a number of devices that were seen lately, from each group.
func (s Stage) listed(of map[string][]Candidate) (admission Admission) {
	for _, some := range of {
		want := s.Devices
		for _, candidate := range some {
			if candidate.Admitted {
				want--
			}
		}
		for _, candidate := range some {
			if candidate.Seen && !candidate.Admitted && want > 0 && len(admission.Devices) < MostListed {
				admission.Devices = append(admission.Devices, candidate.ID)
				want--
			}
		}
	}
	slices.SortFunc(admission.Devices, byID)
	return admission
}

// below returns the first place that is not admitted. The candidates are sorted by place.
func (s Stage) below(candidates []Candidate) (below uint64) {
	want := s.Percent.Of(len(candidates))
	for _, candidate := range candidates {
		if candidate.Admitted {
			want--
		}
	}
	for _, candidate := range candidates {
		if want > 0 && !candidate.Admitted && candidate.Place < math.MaxUint64 {
			below = candidate.Place + 1
			want--
		}
	}
	return below
}
