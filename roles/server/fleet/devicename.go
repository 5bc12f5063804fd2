package fleet

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"
)

// MaxNameLength is the largest length of a device's name, in characters.
const MaxNameLength = 63

// CheckName returns an error for an invalid name of a device. A name has lower-case letters, digits, and ".", "_" and
// "-" between them. One of its characters is a letter from g to z, a dot or an underscore: IDs have none of these, so a
// name never looks like the beginning of an ID.
func CheckName(name string) error {
	switch {
	case name == "":
		return errors.New("must not be empty")
	case len(name) > MaxNameLength:
		return fmt.Errorf("must not be longer than %d characters", MaxNameLength)
	case nameForm.MatchString(name):
	case name != strings.ToLower(name) && CheckName(strings.ToLower(name)) == nil:
		return fmt.Errorf("must have lower-case letters only: %q", strings.ToLower(name))
	default:
		return fmt.Errorf("must be lower-case letters and digits, and ._- between them, not %q", name)
	}
	if !strings.ContainsFunc(name, func(char rune) bool { return char >= 'g' && char <= 'z' || char == '.' || char == '_' }) {
		return fmt.Errorf("must not look like the beginning of an ID: %q needs a letter from g to z, a dot or an underscore, such as %q",
			name, "unit-"+name)
	}
	return nil
}

var (
	nameForm  = regexp.MustCompile(`^[0-9a-z]([0-9a-z._-]*[0-9a-z])?$`)
	beginning = regexp.MustCompile(`^[0-9a-f]{1,8}(-[0-9a-f]{0,4}){0,3}(-[0-9a-f]{0,12})?$`)
)

// A NameError says why a device's name is invalid.
type NameError struct{ Err error }

func (e *NameError) Error() string { return e.Err.Error() }

// A NameTakenError is an ErrNameTaken with the device that has the name.
type NameTakenError struct {
	Name   string
	Device uuid.UUID
}

func (e *NameTakenError) Error() string {
	return fmt.Sprintf("the device %s has the name %s already; rename that one first, or choose another name", e.Device, e.Name)
}

// Unwrap makes it an ErrNameTaken.
func (e *NameTakenError) Unwrap() error { return ErrNameTaken }

// An UnknownWordError is an ErrUnknownDevice for a word that is not a whole ID.
type UnknownWordError struct {
	Word      string
	Beginning bool // the word looks like the beginning of an ID; else like a name
}

func (e *UnknownWordError) Error() string {
	if e.Beginning {
		return fmt.Sprintf("no device has an ID that begins with %q", e.Word)
	}
	return fmt.Sprintf("no device has the name %q", e.Word)
}

// Unwrap makes it an ErrUnknownDevice.
func (e *UnknownWordError) Unwrap() error { return ErrUnknownDevice }

// An AmbiguousError is the error for the beginning of several IDs.
type AmbiguousError struct {
	Word    string
	Devices []uuid.UUID // the first of them
	More    bool        // there are others
}

func (e *AmbiguousError) Error() string {
	var list []string
	for _, id := range e.Devices {
		list = append(list, id.String())
	}
	more := ""
	if e.More {
		more = " and others"
	}
	return fmt.Sprintf("several devices have an ID that begins with %q: %s%s; give more of the ID", e.Word, strings.Join(list, ", "), more)
}

// mostCandidates is the largest number of devices in an AmbiguousError.
const mostCandidates = 4

// Find returns the ID of the device that word names: by its ID, a unique beginning of the ID, or its name. It ignores
// case. A whole ID need not be of a registered device. Errors: *AmbiguousError, *UnknownWordError, and *NameError for a
// word that is none of the three.
func (f *Fleet) Find(ctx context.Context, word string) (uuid.UUID, error) {
	id, err := f.find(ctx, word)
	if err == nil {
		recordDevice(ctx, word, id)
	}
	return id, err
}

func (f *Fleet) find(ctx context.Context, word string) (uuid.UUID, error) {
	given := strings.ToLower(word)
	if id, err := uuid.Parse(given); err == nil && (len(given) == 36 || len(given) == 32) {
		return id, nil
	}
	if first, last, is := between(given); is {
		found, err := f.store.IDs(ctx, first, last, mostCandidates+1)
		switch {
		case err != nil:
			return uuid.Nil, err
		case len(found) == 0:
			return uuid.Nil, &UnknownWordError{Word: given, Beginning: true}
		case len(found) == 1:
			return found[0], nil
		}
		return uuid.Nil, &AmbiguousError{Word: given, Devices: found[:min(len(found), mostCandidates)], More: len(found) > mostCandidates}
	}
	if CheckName(given) != nil {
		return uuid.Nil, &NameError{fmt.Errorf("must be the ID of a device, the beginning of one, or a device's name, not %q", word)}
	}
	id, err := f.store.Named(ctx, given)
	if errors.Is(err, ErrUnknownDevice) {
		return uuid.Nil, &UnknownWordError{Word: given}
	}
	return id, err
}

// between returns the first and the last ID that begin with a text in lower case. is reports whether there are any.
func between(text string) (first, last uuid.UUID, is bool) {
	if !beginning.MatchString(text) {
		return uuid.Nil, uuid.Nil, false
	}
	const digits = 2 * len(first)
	given := strings.ReplaceAll(text, "-", "")
	lower, lowerErr := uuid.Parse(given + strings.Repeat("0", digits-len(given)))
	upper, upperErr := uuid.Parse(given + strings.Repeat("f", digits-len(given)))
	// With a hyphen in a wrong place it begins no ID.
	return lower, upper, lowerErr == nil && upperErr == nil && strings.HasPrefix(lower.String(), text)
}

// NamesOf returns the names of devices, without those that have none. ids may have uuid.Nil and IDs that are not
// registered.
func (f *Fleet) NamesOf(ctx context.Context, ids []uuid.UUID) (map[uuid.UUID]string, error) {
	names := map[uuid.UUID]string{}
	for _, id := range ids {
		names[id] = ""
	}
	delete(names, uuid.Nil)
	var mu sync.Mutex // guards the values
	var reads errgroup.Group
	reads.SetLimit(32) // a store may join concurrent reads of devices
	for _, id := range slices.Collect(maps.Keys(names)) {
		reads.Go(func() error {
			device, err := f.store.Device(ctx, id)
			if err != nil && !errors.Is(err, ErrUnknownDevice) {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			if names[id] = device.Name; device.Name == "" {
				delete(names, id)
			}
			return nil
		})
	}
	return names, reads.Wait()
}

// SetName gives a device a name, or removes its name (""). It returns the changed device. The history has the change.
// The device's target does not change. Errors: *NameError, *NameTakenError, ErrUnknownDevice.
func (f *Fleet) SetName(ctx context.Context, id uuid.UUID, name, by string) (View, error) {
	if _, err := f.rename(ctx, id, name, by); err != nil {
		return View{}, err
	}
	return f.Device(ctx, id)
}

// rename is SetName, but returns the revision of the change; 0 if the device already has the name.
func (f *Fleet) rename(ctx context.Context, id uuid.UUID, name, by string) (revision int64, err error) {
	recordDetails(ctx, name)
	if name != "" {
		if err := CheckName(name); err != nil {
			return 0, &NameError{err}
		}
	}
	for {
		revision, err = f.store.SetName(ctx, id, name, Authorship{By: by, At: f.options.Now()})
		if err == nil {
			f.changed(id)
		}
		if !errors.Is(err, ErrNameTaken) {
			return revision, err
		}
		holder, err := f.store.Named(ctx, name)
		if err == nil {
			return 0, &NameTakenError{Name: name, Device: holder}
		}
		if !errors.Is(err, ErrUnknownDevice) { // otherwise the name is free meanwhile
			return 0, err
		}
	}
}

// restoreName gives a device the name that it had after an entry of the history.
func (f *Fleet) restoreName(ctx context.Context, entry Entry, by string) (int64, error) {
	drawn, err := f.rename(ctx, entry.Layer.Device(), entry.Name, by)
	if err != nil || drawn != 0 {
		return drawn, err
	}
	last, err := f.lastOf(ctx, entry.Layer, Renamed)
	return max(last, entry.Revision), err
}

// lastOf returns the last revision of an action on a device's layer; 0 for none.
func (f *Fleet) lastOf(ctx context.Context, layer LayerName, action Action) (int64, error) {
	for below := int64(0); ; {
		list, err := f.store.History(ctx, layer, below, scanRows)
		if err != nil || len(list) == 0 {
			return 0, err
		}
		if i := slices.IndexFunc(list, func(entry Entry) bool { return entry.Action == action }); i >= 0 {
			return list[i].Revision, nil
		}
		below = list[len(list)-1].Revision
	}
}
