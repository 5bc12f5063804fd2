package folder

import "maps"

// Schema returns the JSON Schema of the files of layers. config is the server's schema of a layer's configuration. In a
// file null, a variable, or a reference to a secret may take the place of each value.
func Schema(config map[string]any) map[string]any {
	config = maps.Clone(config)
	definitions, _ := config["$defs"].(map[string]any)
	if definitions == nil {
		definitions = map[string]any{}
	}
	definitions = maps.Clone(definitions)
	for name, definition := range definitions {
		definitions[name] = relaxed(definition)
	}
	definitions["else"] = map[string]any{"anyOf": []any{
		map[string]any{"type": "null", "description": "unsets the value on the devices"},
		map[string]any{"type": "string", "pattern": `\{\{.*\}\}`, "description": "a variable"},
		map[string]any{"type": "object", "required": []any{"$secret"}, "properties": map[string]any{"$secret": map[string]any{"type": "string"},
			"digest": map[string]any{"type": "string"}}, "additionalProperties": false, "description": "a named secret, or the mark of one that stays"},
	}}
	dialect := config["$schema"]
	delete(config, "$schema")
	delete(config, "$defs")
	inside, _ := relaxed(config).(map[string]any)
	delete(inside, "minProperties")
	schema := map[string]any{
		"title": "A layer of a fleet",
		"type":  "object",
		"properties": map[string]any{
			"config":   inside,
			"device":   map[string]any{"type": "string", "description": "the name or the ID of the device, in devices/NAME.yaml"},
			"selector": map[string]any{"type": "string", "description": "the devices of labels/NAME.yaml, such as site=berlin,stage!=test"},
			"priority": map[string]any{"type": "integer", "description": "a higher one overrides a lower one, in labels/NAME.yaml"},
		},
		"required":             []any{"config"},
		"additionalProperties": false,
		"$defs":                definitions,
	}
	if dialect != nil {
		schema["$schema"] = dialect
	}
	return schema
}

// relaxed returns a copy of a schema that accepts null, variables and secrets in the place of each value.
func relaxed(value any) any {
	schema, is := value.(map[string]any)
	if !is {
		return value
	}
	schema = maps.Clone(schema)
	for _, name := range []string{"properties", "patternProperties"} {
		if members, is := schema[name].(map[string]any); is {
			members = maps.Clone(members)
			for member, inside := range members {
				members[member] = orElse(inside)
			}
			schema[name] = members
		}
	}
	for _, name := range []string{"additionalProperties", "items"} {
		if inside, is := schema[name].(map[string]any); is {
			schema[name] = orElse(inside)
		}
	}
	for _, name := range []string{"anyOf", "allOf", "oneOf", "prefixItems"} {
		if list, is := schema[name].([]any); is {
			inside := make([]any, len(list))
			for i, element := range list {
				inside[i] = relaxed(element)
			}
			schema[name] = inside
		}
	}
	return schema
}

func orElse(schema any) any {
	return map[string]any{"anyOf": []any{relaxed(schema), map[string]any{"$ref": "#/$defs/else"}}}
}
