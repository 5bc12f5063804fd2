package folder

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"aspects-poc/internal/document"
)

// open and end enclose a variable. escaped is a literal open.
const (
	open    = "{{"
	end     = "}}"
	escaped = `\{{`
)

// A Device has the values that variables can read of a device.
type Device struct {
	ID, Name string
	Labels   map[string]string
}

// A Layer is a layer of a folder with its variables filled in.
type Layer struct {
	Name     string // the server's name: everyone, labels/NAME or devices/UUID
	Selector string
	Priority int64
	Config   map[string]any
	File     *File
}

// Layers returns the layers of the folder. find returns the device with a name or an ID; its error becomes a fault of
// the file. The error of Layers is Faults.
func (f *Folder) Layers(find func(named string) (Device, error)) ([]Layer, error) {
	var list []Layer
	owner := map[string]string{}
	f.faults = nil
	for _, file := range f.Files {
		s := scope{folder: f, file: file}
		layer := Layer{Name: string(Everyone), Selector: file.Selector, Priority: file.Priority, File: file}
		switch file.Kind {
		case Labels:
			layer.Name = "labels/" + file.Name
			s.labels = equalTerms(file.Selector)
		case Devices:
			device, err := find(file.Device)
			at := file.top.Entry("device").At()
			if err != nil {
				f.fault(file.Path, at, "%v", err)
				continue
			}
			layer.Name = "devices/" + device.ID
			if other, twice := owner[device.ID]; twice {
				f.fault(file.Path, at, "device %s has a layer in %s already; a device has one", file.Device, other)
				continue
			}
			owner[device.ID] = file.Path
			s.device, s.labels = &device, device.Labels
		}
		layer.Config, _ = s.value(file.Config).(map[string]any)
		list = append(list, layer)
	}
	return list, f.faults.sorted()
}

// equalTerms returns the labels for which a selector requires one value. All devices of its layer have that value.
func equalTerms(selector string) map[string]string {
	labels := map[string]string{}
	for term := range strings.SplitSeq(selector, ",") {
		name, value, valued := strings.Cut(term, "=")
		if name = strings.TrimSpace(name); valued && !strings.HasSuffix(name, "!") {
			labels[name] = strings.TrimSpace(value)
		}
	}
	return labels
}

// A scope has the values that the variables of a file can read.
type scope struct {
	folder *Folder
	file   *File
	device *Device           // nil for a layer of many devices
	labels map[string]string // the labels that all devices of the layer share
}

// value returns a node as a JSON value with its variables filled in.
func (s scope) value(node *document.Node) any {
	switch {
	case node.Is(document.Map):
		object := make(map[string]any, len(node.Entries))
		for _, entry := range node.Entries {
			object[entry.Key] = s.value(entry.Value)
		}
		return object
	case node.Is(document.List):
		list := make([]any, len(node.Items))
		for i, item := range node.Items {
			list[i] = s.value(item)
		}
		return list
	case node.Is(document.String) && strings.Contains(node.Text, open):
		return s.fill(node)
	}
	return node.Value()
}

// fill returns a text with its variables filled in. A text that consists of one variable becomes the variable's value,
// of any type.
func (s scope) fill(node *document.Node) any {
	var text strings.Builder
	for rest := node.Text; ; {
		before, inside, found := strings.Cut(rest, open)
		if literal, is := strings.CutSuffix(before, `\`); found && is {
			text.WriteString(literal + open)
			rest = inside
			continue
		}
		text.WriteString(before)
		if !found {
			return text.String()
		}
		name, after, closed := strings.Cut(inside, end)
		if !closed {
			s.folder.fault(s.file.Path, node.Pos, "a variable has no end: want {{ NAME }}; %s stands for {{ itself", escaped)
			return nil
		}
		value, err := s.lookUp(strings.TrimSpace(name))
		if err != nil {
			s.folder.fault(s.file.Path, node.Pos, "{{ %s }}: %v", strings.TrimSpace(name), err)
			return nil
		}
		if text.Len() == 0 && after == "" && rest == node.Text {
			return value.Value()
		}
		if value.Kind >= document.List || value.Is(document.Null) {
			s.folder.fault(s.file.Path, node.Pos, "{{ %s }} is a %s, which has no place inside a text", strings.TrimSpace(name), value.Kind)
			return nil
		}
		text.WriteString(value.Text)
		rest = after
	}
}

// lookUp returns the value of a variable. It returns an error for an unknown variable.
func (s scope) lookUp(name string) (*document.Node, error) {
	kind, rest, _ := strings.Cut(name, ".")
	switch kind {
	case "device":
		switch {
		case rest != "name" && rest != "id":
			return nil, fmt.Errorf("there are device.name, device.id, labels.LABEL and values.LABEL.NAME")
		case s.device == nil:
			return nil, fmt.Errorf("this layer is for many devices; put it into the file of a device")
		case rest == "id":
			return document.FromValue(s.device.ID), nil
		case s.device.Name == "":
			return nil, fmt.Errorf("the device has no name")
		}
		return document.FromValue(s.device.Name), nil
	case "labels":
		value, err := s.label(rest)
		return document.FromValue(value), err
	case "values":
		label := ""
		for known := range s.folder.values {
			if strings.HasPrefix(rest, known+".") && len(known) > len(label) {
				label = known
			}
		}
		if label == "" {
			return nil, fmt.Errorf("there is no such file in values%s", listed(slices.Sorted(maps.Keys(s.folder.values))))
		}
		value, err := s.label(label)
		if err != nil {
			return nil, err
		}
		file := "values/" + label + ".yaml"
		node := s.folder.values[label].Get(value)
		if node == nil {
			return nil, fmt.Errorf("%s has nothing for %s=%s", file, label, value)
		}
		path := rest[len(label)+1:]
		for step := range strings.SplitSeq(path, ".") {
			if node = node.Get(step); node == nil {
				return nil, fmt.Errorf("%s has no %s for %s=%s", file, path, label, value)
			}
		}
		return node, nil
	}
	return nil, fmt.Errorf("there are device.name, device.id, labels.LABEL and values.LABEL.NAME")
}

// label returns the value of a label. It returns an error unless all devices of the layer have the same value.
func (s scope) label(name string) (string, error) {
	value, there := s.labels[name]
	switch {
	case there:
		return value, nil
	case s.device != nil:
		return "", fmt.Errorf("the device has no label %s", name)
	case s.file.Kind == Labels:
		return "", fmt.Errorf("the devices of this layer need not have the same %s: the selector has no term %s=VALUE", name, name)
	}
	return "", fmt.Errorf("this layer is for all devices, whose labels differ; put it into the file of a device or of a label")
}

func listed(names []string) string {
	if len(names) == 0 {
		return "; there are none"
	}
	return "; there are " + strings.Join(names, ", ")
}

// At returns the place of a path of the configuration, such as "control-telemetry.sample-rate", or the deepest place
// above it.
func (f *File) At(path string) document.Position {
	at := document.Position{Line: 1, Column: 1}
	node := f.Config
	if entry := f.top.Entry("config"); entry != nil {
		at = entry.KeyPos
	}
	for node.Is(document.Map) && path != "" {
		var next *document.Entry
		for i, entry := range node.Entries {
			if rest, found := strings.CutPrefix(path, entry.Key); found && (rest == "" || rest[0] == '.' || rest[0] == '[') {
				if next == nil || len(entry.Key) > len(next.Key) {
					next = &node.Entries[i]
				}
			}
		}
		if next == nil {
			break
		}
		at, node = next.At(), next.Value
		path = strings.TrimPrefix(strings.TrimPrefix(path, next.Key), ".")
	}
	return at
}

// Key returns the place of a top-level key.
func (f *File) Key(name string) document.Position {
	if entry := f.top.Entry(name); entry != nil {
		return entry.At()
	}
	return document.Position{Line: 1, Column: 1}
}
