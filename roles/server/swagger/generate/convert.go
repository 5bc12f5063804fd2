package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

type object = map[string]any

// convert converts swag's Swagger 2 to OpenAPI 3, and adds what annotations cannot express.
func convert(old object, optional map[string][]string) (ordered, error) {
	paths := ordered{}
	for path, item := range old["paths"].(object) {
		if !slices.Contains(pathOrder, path) {
			return nil, fmt.Errorf("path %s has no place in the order of paths: see pathOrder", path)
		}
		converted := ordered{}
		for method, operation := range item.(object) {
			converted = append(converted, member{method, operationOf(method, operation.(object))})
		}
		paths = append(paths, member{path, converted})
	}
	by := func(order []string) func(a, b member) int {
		return func(a, b member) int { return slices.Index(order, a.name) - slices.Index(order, b.name) }
	}
	slices.SortFunc(paths, by(pathOrder))
	for _, path := range paths {
		slices.SortFunc(path.value.(ordered), by(methodOrder))
	}
	schemas := object{}
	for name, schema := range old["definitions"].(object) {
		short := shortName(name, ".")
		schemas[short] = schemaOf(short, schema.(object), optional[short])
	}
	for _, name := range []string{"Document", "Layer", "SecretSet"} {
		// The union has a name, because generators of clients handle nameless schemas badly.
		schemas[name+orDryRun] = object{"oneOf": []any{reference(name), reference("DryRun")},
			"description": "After a dry run a DryRun, else the stored document"}
	}
	return ordered{
		{"openapi", "3.0.3"},
		{"info", old["info"]},
		{"servers", []object{{"url": ".", "description": "The server of this description"}}},
		{"tags", tags},
		{"paths", paths},
		{"components", object{"schemas": schemas, "securitySchemes": securitySchemes}},
	}, nil
}

// ordered is a JSON object whose members have an order.
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

func operationOf(method string, old object) object {
	operation := maps.Clone(old)
	for _, gone := range []string{"consumes", "produces", "parameters", "responses"} {
		delete(operation, gone)
	}
	id := operation["operationId"].(string)
	var list []any
	dry := false
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
		dry = dry || parameter["name"] == "dry-run"
		list = append(list, parameterOf(parameter))
	}
	if list != nil {
		operation["parameters"] = list
	}
	caller := callerOf(id)
	operation["security"] = security[caller]
	responses := object{}
	for code, response := range old["responses"].(object) {
		responses[code] = responseOf(code, id, response.(object))
	}
	for code, text := range commonResponses(caller, method) {
		if _, there := responses[code]; !there {
			responses[code] = problemResponse(code, id, text, reference("Problem"))
		}
	}
	if dry && method == "put" {
		schema := responses["200"].(object)["content"].(object)["application/json"].(object)
		schema["schema"] = reference(shortName(schema["schema"].(object)["$ref"].(string), "/") + orDryRun)
	}
	operation["responses"] = responses
	return operation
}

// parameterOf converts a parameter of a path, query or header. Only required ones get an example, because "Try it out"
// would send the others' examples, too.
func parameterOf(old object) object {
	schema := object{}
	for _, name := range []string{"type", "format", "enum", "default"} {
		if value, there := old[name]; there {
			schema[name] = value
		}
	}
	parameter := object{"name": old["name"], "in": old["in"], "required": old["required"] == true,
		"description": old["description"], "schema": schema}
	if example, there := parameters[old["name"].(string)]; there && old["required"] == true {
		parameter["example"] = example
	}
	return parameter
}

func responseOf(code, operation string, old object) object {
	schema, there := old["schema"]
	if there && !strings.HasPrefix(code, "2") {
		return problemResponse(code, operation, old["description"], references(schema))
	}
	response := object{"description": old["description"]}
	if headers := headersOf(code, operation); headers != nil {
		response["headers"] = headers
	}
	if there {
		kind := "application/json"
		if operation == "get-events" {
			kind = "text/event-stream"
		}
		response["content"] = object{kind: object{"schema": references(schema)}}
	}
	return response
}

// problemResponse returns the description of an error, with an example.
func problemResponse(code, operation string, text, schema any) object {
	content := object{"schema": schema}
	if code != "default" {
		content["example"] = problemExample(code, operation)
	}
	response := object{"description": text, "content": object{"application/problem+json": content}}
	if headers := headersOf(code, operation); headers != nil {
		response["headers"] = headers
	}
	return response
}

// shortName removes the package from a type's name, or the path from a reference.
func shortName(name, separator string) string { return name[strings.LastIndex(name, separator)+1:] }

// orDryRun is the suffix of the schemas of operations that may be a dry run.
const orDryRun = "OrDryRun"

func reference(schema string) object { return object{"$ref": "#/components/schemas/" + schema} }

// references changes references to the place of schemas in OpenAPI 3.
func references(value any) any {
	switch value := value.(type) {
	case object:
		converted := object{}
		for name, member := range value {
			if target, ok := member.(string); ok && name == "$ref" {
				member = "#/components/schemas/" + shortName(target, ".")
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

// schemaOf completes a schema: all members except the optional ones are required, and a request has no further members.
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
	if name == "LabelsPatch" { // swag knows no pointers
		schema["additionalProperties"].(object)["nullable"] = true
	}
	if text, there := descriptions[name]; there {
		schema["description"] = text
	}
	if example, there := examples[name]; there {
		schema["example"] = example
	}
	return schema
}
