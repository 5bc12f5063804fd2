package page

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"aspects-poc/internal/yamljson"
	"aspects-poc/roles/server/fleet"
)

// A schemaForm makes a form for configurations from a confdb-schema.
type schemaForm struct{ places []place }

// A place is a value with a field of its own.
type place struct {
	path []string // the view, and the members that lead to the value
	of   described
}

// A described is the part of a JSON Schema that a form needs.
type described struct {
	Type       any                  `json:"type"`
	Properties map[string]described `json:"properties"`
	Others     json.RawMessage      `json:"additionalProperties"`
	Choices    []any                `json:"enum"`
	Least      json.Number          `json:"minimum"`
	Most       json.Number          `json:"maximum"`
	Longest    json.Number          `json:"maxLength"`
	Pattern    string               `json:"pattern"`
	Secret     bool                 `json:"writeOnly"`
}

// newSchemaForm returns the form for a JSON Schema of configurations, as Fleet.Schema returns it; nil if the schema has
// no views.
func newSchemaForm(schema any) (*schemaForm, error) {
	text, err := json.Marshal(schema)
	if err != nil {
		return nil, err
	}
	var root described
	if err := json.Unmarshal(text, &root); err != nil {
		return nil, err
	}
	if root.Properties == nil {
		return nil, nil
	}
	made := &schemaForm{}
	for _, view := range slices.Sorted(maps.Keys(root.Properties)) {
		made.add([]string{view}, root.Properties[view])
	}
	return made, nil
}

// mostPlaces is the largest number of fields in a form. Further values are edited as YAML.
const mostPlaces = 300

func (s *schemaForm) add(path []string, of described) {
	if of.Type == "object" && len(of.Properties) > 0 && string(of.Others) == "false" {
		for _, name := range slices.Sorted(maps.Keys(of.Properties)) {
			s.add(append(slices.Clone(path), name), of.Properties[name])
		}
		return
	}
	if len(s.places) < mostPlaces {
		s.places = append(s.places, place{path, of})
	}
}

// A fieldGroup is the fields of a view.
type fieldGroup struct {
	View   string
	Fields []field
}

// A field is an input of a form.
type field struct {
	Name, ID string
	Label    string // the path in the view
	Kind     string // one of the kinds below
	Value    string
	Choices  []choice // for a kindChoice
	Least    string
	Most     string
	Longest  string
	Hint     string
	Wrong    bool // the form's problem is about this field
}

// The kinds of fields.
const (
	kindChoice = "choice"
	kindNumber = "number"
	kindText   = "text"
	kindYAML   = "yaml"
)

// unset is the choice for null, which unsets a value on the devices.
const unset = "null"

// fieldName returns the name of a place's input.
func (p place) fieldName() string { return "v/" + strings.Join(p.path, "/") }

// kind returns the kind of a place's field, as far as the value's type decides it.
func (p place) kind() string {
	switch {
	case p.of.Secret:
		return kindYAML
	case p.of.Type == "boolean", p.of.Choices != nil:
		return kindChoice
	case p.of.Type == "integer", p.of.Type == "number":
		return kindNumber
	case p.of.Type == "string":
		return kindText
	}
	return kindYAML
}

// field returns the field for a value. It shows a value as YAML if the field's kind cannot show it, such as a text
// without characters.
func (p place) field(value any, there bool) (field, error) {
	f := field{Name: p.fieldName(), ID: strings.Join(p.path, "."), Label: strings.Join(p.path[1:], "."), Kind: p.kind(), Least: string(p.of.Least),
		Most: string(p.of.Most), Longest: string(p.of.Longest), Hint: p.hint()}
	if f.Label == "" {
		f.Label = p.path[0]
	}
	shown := ""
	switch value := value.(type) {
	case bool:
		shown = fmt.Sprint(value)
	case string:
		shown = value
	case json.Number:
		shown = string(value)
	case nil:
		shown = unset
	}
	_, isText := value.(string)
	_, isNumber := value.(json.Number)
	switch {
	case !there:
		shown = ""
	case f.Kind == kindChoice && slices.Contains(p.options(), shown) && (value == nil || isText == (p.of.Type == "string")):
	case f.Kind == kindNumber && isNumber, f.Kind == kindText && isText && value != "" && !strings.ContainsAny(shown, "\r\n"):
	default:
		f.Kind = kindYAML
		encoded, err := json.Marshal(value)
		if err != nil {
			return f, err
		}
		written, err := yamljson.Encode(encoded)
		if err != nil {
			return f, err
		}
		shown = strings.TrimSuffix(string(written), "\n")
	}
	f.Value = shown
	if f.Kind == kindChoice {
		f.Choices = []choice{{"", "– not set here –", shown == ""}}
		for _, option := range p.options() {
			text := option
			if option == unset {
				text = "unset on the devices"
			}
			f.Choices = append(f.Choices, choice{option, text, there && option == shown})
		}
	}
	return f, nil
}

// options returns the values of a kindChoice.
func (p place) options() (list []string) {
	if p.of.Choices == nil {
		return []string{"true", "false", unset}
	}
	for _, one := range p.of.Choices {
		list = append(list, fmt.Sprint(one))
	}
	return append(list, unset)
}

// hint describes the possible values.
func (p place) hint() string {
	switch least, most := p.of.Least, p.of.Most; {
	case p.of.Secret:
		return "A secret, as YAML. To refer to a named one: {$secret: NAME}"
	case p.kind() == kindNumber:
		what := "A number"
		if p.of.Type == "integer" {
			what = "A whole number"
		}
		switch {
		case least != "" && most != "":
			return fmt.Sprintf("%s from %s to %s", what, least, most)
		case least != "":
			return fmt.Sprintf("%s from %s on", what, least)
		case most != "":
			return fmt.Sprintf("%s up to %s", what, most)
		}
		return what
	case p.kind() == kindText && p.of.Pattern != "":
		return "Text that matches " + p.of.Pattern
	case p.kind() == kindText && p.of.Longest != "":
		return fmt.Sprintf("Text of at most %s characters", p.of.Longest)
	case p.kind() == kindYAML:
		return "As YAML"
	}
	return ""
}

// fill returns the fields for a configuration, and YAML for the values without a field. path is the path of a wrong
// value.
func (s *schemaForm) fill(config fleet.Config, path string) (groups []fieldGroup, rest string, err error) {
	tree, err := config.Tree()
	if err != nil {
		return nil, "", err
	}
	for _, one := range s.places {
		value, there := removeAt(tree, one.path)
		made, err := one.field(value, there)
		if err != nil {
			return nil, "", err
		}
		made.Wrong = path == made.ID || strings.HasPrefix(path, made.ID+".") || strings.HasPrefix(path, made.ID+"[")
		if len(groups) == 0 || groups[len(groups)-1].View != one.path[0] {
			groups = append(groups, fieldGroup{View: one.path[0]})
		}
		last := &groups[len(groups)-1]
		last.Fields = append(last.Fields, made)
	}
	encoded, err := json.Marshal(tree)
	if err != nil || len(tree) == 0 {
		return groups, "", err
	}
	left, err := fleet.ParseConfig(encoded)
	if err == nil {
		rest, err = yamlOf(left)
	}
	return groups, rest, err
}

// removeAt removes a value from a tree, with the objects that become empty.
func removeAt(tree map[string]any, path []string) (value any, there bool) {
	if len(path) == 1 {
		value, there = tree[path[0]]
		delete(tree, path[0])
		return value, there
	}
	below, is := tree[path[0]].(map[string]any)
	if !is || len(below) == 0 {
		return nil, false
	}
	value, there = removeAt(below, path[1:])
	if len(below) == 0 {
		delete(tree, path[0])
	}
	return value, there
}

// A fieldsError says which field cannot be parsed. It has the fields as typed.
type fieldsError struct {
	text   string
	fields []fieldGroup
	rest   string
}

func (e *fieldsError) Error() string { return e.text }

// read returns the configuration in the fields of a form.
func (s *schemaForm) read(sent form) (fleet.Config, *fieldsError) {
	var problem, wrong string
	complain := func(field, text string) {
		if problem == "" {
			problem, wrong = text, field
		}
	}
	tree := map[string]any{}
	if rest, err := configOf(sent.text("rest")); err != nil {
		complain("rest", "Other values: "+capital(err.Error()))
	} else if tree, err = rest.Tree(); err != nil {
		complain("rest", capital(err.Error()))
	}
	var groups []fieldGroup
	for _, one := range s.places {
		typed := sent.text(one.fieldName())
		kind := one.kind()
		if sent.word("k"+one.fieldName()[1:]) == kindYAML {
			kind = kindYAML
		}
		made, err := one.field(nil, false)
		if err != nil {
			complain(made.Name, capital(err.Error()))
		}
		made.Kind, made.Value = kind, typed
		for i := range made.Choices {
			made.Choices[i].Here = made.Choices[i].Value == typed
		}
		if strings.TrimSpace(typed) != "" {
			value, err := one.value(kind, typed)
			if err == nil {
				err = put(tree, one.path, value)
			}
			if err != nil {
				made.Wrong = problem == ""
				complain(made.Name, fmt.Sprintf("%s %s: %s", one.path[0], made.Label, capital(err.Error())))
			}
		}
		if len(groups) == 0 || groups[len(groups)-1].View != one.path[0] {
			groups = append(groups, fieldGroup{View: one.path[0]})
		}
		last := &groups[len(groups)-1]
		last.Fields = append(last.Fields, made)
	}
	encoded, err := json.Marshal(tree)
	var config fleet.Config
	if err == nil {
		config, err = fleet.ParseConfig(encoded)
	}
	if err != nil {
		complain("rest", capital(err.Error()))
	}
	if wrong != "" {
		return fleet.Config{}, &fieldsError{problem, groups, sent.text("rest")}
	}
	return config, nil
}

// value parses the text of a field.
func (p place) value(kind, typed string) (any, error) {
	switch kind {
	case kindChoice:
		switch {
		case typed == unset:
			return nil, nil
		case p.of.Choices == nil:
			return typed == "true", nil
		case p.of.Type == "integer", p.of.Type == "number":
			return json.Number(typed), nil
		}
		return typed, nil
	case kindNumber:
		typed = strings.TrimSpace(typed)
		var number json.Number
		if json.Unmarshal([]byte(typed), &number) != nil || strings.HasPrefix(typed, `"`) {
			return nil, fmt.Errorf("must be a number, not %q", typed)
		}
		return number, nil
	case kindText:
		return typed, nil
	}
	value, _, err := yamljson.Decode([]byte(typed))
	return value, err
}

// put sets a value in a tree.
func put(tree map[string]any, path []string, value any) error {
	if len(path) == 1 {
		if _, there := tree[path[0]]; there {
			return fmt.Errorf("is in the other values, too")
		}
		tree[path[0]] = value
		return nil
	}
	below, there := tree[path[0]]
	if !there {
		below = map[string]any{}
		tree[path[0]] = below
	}
	object, is := below.(map[string]any)
	if !is {
		return fmt.Errorf("%s is something else in the other values", path[0])
	}
	return put(object, path[1:], value)
}
