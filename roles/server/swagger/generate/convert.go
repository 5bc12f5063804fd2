package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

type object = map[string]any

// convert turns what swag makes, a part of Swagger 2, into OpenAPI 3, and adds examples.
func convert(old object, optional map[string][]string) ordered {
	paths := ordered{}
	for path, item := range old["paths"].(object) {
		converted := ordered{}
		for method, operation := range item.(object) {
			converted = append(converted, member{method, operationOf(operation.(object))})
		}
		paths = append(paths, member{path, converted})
	}
	// Readers get the operations in the order of a device's life, not of the alphabet.
	place := func(path member) int { return slices.Index(pathOrder, path.name) }
	slices.SortFunc(paths, func(a, b member) int { return cmp.Or(place(a)-place(b), cmp.Compare(a.name, b.name)) })
	for _, path := range paths {
		slices.SortFunc(path.value.(ordered), func(a, b member) int { return cmp.Compare(a.name, b.name) })
	}
	schemas := object{}
	for name, schema := range old["definitions"].(object) {
		short := shortName(name)
		schemas[short] = schemaOf(short, schema.(object), optional[short])
	}
	return ordered{
		{"openapi", "3.0.3"},
		{"info", old["info"]},
		{"tags", tags},
		{"paths", paths},
		{"components", object{"schemas": schemas}},
	}
}

// ordered is an object whose members keep their order.
type ordered []member

type member struct {
	name  string
	value any
}

func (o ordered) MarshalJSON() ([]byte, error) {
	text := []byte{'{'}
	for i, member := range o {
		name, nameErr := json.Marshal(member.name)
		value, valueErr := json.Marshal(member.value)
		if err := errors.Join(nameErr, valueErr); err != nil {
			return nil, err
		}
		if i > 0 {
			text = append(text, ',')
		}
		text = append(append(append(text, name...), ':'), value...)
	}
	return append(text, '}'), nil
}

var tags = []object{
	{"name": "devices", "description": "What a device calls, and what is known of it"},
	{"name": "target", "description": "The configuration that devices are to have, in layers"},
	{"name": "history", "description": "Who has changed what, and the way back"},
	{"name": "server", "description": "The fleet as a whole, and the server itself"},
}

func operationOf(old object) object {
	operation := maps.Clone(old)
	for _, gone := range []string{"consumes", "produces", "parameters", "responses"} {
		delete(operation, gone)
	}
	var list []any
	given, _ := old["parameters"].([]any)
	for _, entry := range given {
		parameter := entry.(object)
		if parameter["in"] == "body" {
			operation["requestBody"] = object{
				"description": parameter["description"],
				"required":    true,
				"content":     object{"application/json": object{"schema": references(parameter["schema"])}},
			}
			continue
		}
		list = append(list, parameterOf(parameter))
	}
	if list != nil {
		operation["parameters"] = list
	}
	responses := object{}
	for code, response := range old["responses"].(object) {
		responses[code] = responseOf(code, operation["operationId"].(string), response.(object))
	}
	operation["responses"] = responses
	return operation
}

// parameterOf turns a parameter of a path, query or header. Only those that are required have an example: "Try it out"
// would send the others' too.
func parameterOf(old object) object {
	schema := object{}
	for _, name := range []string{"type", "format", "enum", "default"} {
		if value, there := old[name]; there {
			schema[name] = value
		}
	}
	parameter := object{"name": old["name"], "in": old["in"], "required": old["required"],
		"description": old["description"], "schema": schema}
	if example, there := parameters[old["name"].(string)]; there && old["required"] == true {
		parameter["example"] = example
	}
	return parameter
}

func responseOf(code, operation string, old object) object {
	response := object{"description": old["description"]}
	schema, there := old["schema"]
	if !there {
		return response
	}
	if strings.HasPrefix(code, "2") {
		kind := "application/json"
		if operation == "get-events" {
			kind = "text/event-stream"
		}
		response["content"] = object{kind: object{"schema": references(schema)}}
		return response
	}
	response["content"] = object{"application/problem+json": object{
		"schema":  references(schema),
		"example": problemExample(code, operation),
	}}
	if code == strconv.Itoa(http.StatusServiceUnavailable) {
		response["headers"] = object{"Retry-After": object{
			"description": "Seconds to wait before the next request",
			"schema":      object{"type": "integer"},
		}}
	}
	return response
}

// shortName takes the package off a type's name.
func shortName(name string) string { return name[strings.LastIndex(name, ".")+1:] }

// references leads to the places where OpenAPI 3 keeps schemas.
func references(value any) any {
	switch value := value.(type) {
	case object:
		converted := object{}
		for name, member := range value {
			if target, ok := member.(string); ok && name == "$ref" {
				member = "#/components/schemas/" + shortName(target)
			}
			converted[name] = references(member)
		}
		return converted
	case []any:
		converted := slices.Clone(value)
		for i := range converted {
			converted[i] = references(converted[i])
		}
		return converted
	}
	return value
}

// schemaOf completes a schema: all members are always there but the optional ones, and requests have no others.
func schemaOf(name string, old object, optional []string) object {
	schema := references(old).(object)
	properties, _ := schema["properties"].(object)
	var required []string
	for property := range properties {
		if !slices.Contains(optional, property) {
			required = append(required, property)
		}
	}
	if slices.Sort(required); required != nil {
		schema["required"] = required
	}
	if slices.Contains(requests, name) {
		schema["additionalProperties"] = false
	}
	if id, ok := properties["uuid"].(object); ok {
		id["format"] = "uuid"
	}
	if text, there := descriptions[name]; there {
		schema["description"] = text
	}
	if example, there := examples[name]; there {
		schema["example"] = example
	}
	return schema
}
