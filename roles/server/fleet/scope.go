package fleet

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A Scope limits the author of a change to the devices with all of its labels, and to changes that concern no others.
// The empty scope is no limit. The check of a change is in the transaction of the write, so that a concurrent change of
// a label cannot evade it.
type Scope map[string]string

// ErrScope is the kind of a *ScopeError.
const ErrScope = answered("that is out of the scope")

// A ScopeError says why a change is out of a scope, and what would permit it. With the empty scope it says why somebody
// who may only read may not plan the change.
type ScopeError struct {
	Scope Scope
	Text  string
}

func (e *ScopeError) Error() string {
	if len(e.Scope) == 0 {
		return e.Text + "; to plan that, it needs a token that may change the layer"
	}
	return fmt.Sprintf("%s, and the scope is %s; it needs a token without a scope, or with another one", e.Text, e.Scope)
}

// Unwrap makes it an ErrScope.
func (e *ScopeError) Unwrap() error { return ErrScope }

// Check returns the first invalid name of a scope, and its error. A device must not be able to set such a label.
func (s Scope) Check() (name string, err error) { return Labels(s).CheckGiven() }

// String returns the scope as a selector.
func (s Scope) String() string {
	var terms []string
	for _, name := range slices.Sorted(maps.Keys(s)) {
		terms = append(terms, name+"="+s[name])
	}
	return strings.Join(terms, ",")
}

func (s Scope) refuse(format string, arguments ...any) error {
	return &ScopeError{Scope: s, Text: fmt.Sprintf(format, arguments...)}
}

// Device returns a *ScopeError if a device with these labels is not in the scope.
func (s Scope) Device(labels Labels) error {
	for _, name := range slices.Sorted(maps.Keys(s)) {
		if value, there := labels[name]; !there || value != s[name] {
			return s.refuse("the device does not have the label %s=%s", name, s[name])
		}
	}
	return nil
}

// Labels returns a *ScopeError if a device's labels must not change from before to after: no change within the scope
// may move a device into the scope or out of it.
func (s Scope) Labels(before, after Labels) error {
	if err := s.Device(before); err != nil {
		return err
	}
	if s.Device(after) != nil {
		return s.refuse("the change would take the device out of the scope")
	}
	return nil
}

// Selector returns a *ScopeError if a selector may choose devices that are not in the scope. It must have a term
// name=value for each label of the scope.
func (s Scope) Selector(selector Selector) error {
	for _, name := range slices.Sorted(maps.Keys(s)) {
		if !selector.Requires(name, s[name]) {
			return s.refuse("the selector %q may choose other devices, because it has no term %s=%s", selector, name, s[name])
		}
	}
	return nil
}

// layer returns a *ScopeError if a change of a layer is out of the scope. before is the present layer; with revision 0
// for none. It does not check the device of a device's layer.
func (s Scope) layer(before Layer, change Change) error {
	if len(s) == 0 {
		return nil
	}
	switch {
	case change.Name.IsLabels():
		if before.Revision > 0 {
			if err := s.Selector(before.Selector); err != nil {
				return err
			}
		}
		if change.Remove {
			return nil
		}
		if err := s.Selector(change.Selector); err != nil {
			return err
		}
	case !change.Name.IsDevice():
		return s.refuse("%s is for all devices", change.Name)
	}
	known := before.Config.references()
	for _, name := range change.Config.references() {
		if !slices.Contains(known, name) {
			return s.refuse("the layer has no reference to the secret %q yet, and named secrets are for no scope", name)
		}
	}
	return nil
}
