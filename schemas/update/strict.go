package main

import "math"

// objectMeta is the definition of every object's metadata.
const objectMeta = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"

// loose are the definitions that mean something else than what they say.
var loose = map[string]map[string]any{
	"io.k8s.apimachinery.pkg.api.resource.Quantity":                 {"type": []any{"string", "number"}},
	"io.k8s.apimachinery.pkg.util.intstr.IntOrString":               {"type": []any{"integer", "string"}},
	"io.k8s.apimachinery.pkg.runtime.RawExtension":                  {"type": "object"},
	"io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1":                 {"type": "object"},
	"io.k8s.apimachinery.pkg.apis.meta.v1.Time":                     {"type": "string", "format": "date-time"},
	"io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime":                {"type": "string", "format": "date-time"},
	"io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON": {},
}

// kept are the keywords that are copied as they are. Descriptions, defaults and CEL rules are not:
// the first two check nothing, and rules are for an evaluator of CEL.
var kept = []string{
	"$ref", "enum", "pattern", "format", "required", "uniqueItems",
	"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
	"minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties",
	// For comparing lists by what their items are.
	"x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-patch-merge-key",
}

// strictDefinition is a built-in definition as a schema that allows no unknown field. What a
// controller reports in `status` is not checked: nobody writes it.
func strictDefinition(name string, definition map[string]any) map[string]any {
	if schema, ok := loose[name]; ok {
		return schema
	}
	schema := strict(definition)
	_, isKind := definition["x-kubernetes-group-version-kind"]
	if properties, ok := schema["properties"].(map[string]any); ok && isKind {
		if _, ok := properties["status"]; ok {
			properties["status"] = map[string]any{}
		}
	}
	return schema
}

// strictRoot is the schema of a custom resource: metadata is that of every object.
func strictRoot(crd map[string]any) map[string]any {
	schema := strict(crd)
	properties, _ := schema["properties"].(map[string]any)
	if properties == nil {
		properties = map[string]any{}
	}
	properties["apiVersion"] = map[string]any{"type": "string"}
	properties["kind"] = map[string]any{"type": "string"}
	properties["metadata"] = map[string]any{"$ref": "#/definitions/" + objectMeta}
	properties["status"] = map[string]any{}
	schema["properties"] = properties
	schema["additionalProperties"] = false
	schema["type"] = "object"
	return schema
}

// strict turns a schema of OpenAPI into one of JSON Schema that allows no unknown field.
func strict(schema map[string]any) map[string]any {
	result := conditions(schema)
	if schema["x-kubernetes-int-or-string"] == true {
		delete(result, "anyOf")
		result["type"] = []any{"integer", "string"}
		return result
	}
	if kind, ok := schema["type"].(string); ok {
		result["type"] = kind
		if schema["nullable"] == true {
			result["type"] = []any{kind, "null"}
		}
	}
	switch schema["format"] {
	case "int32":
		bound(result, math.MinInt32, math.MaxInt32)
	case "int64":
		bound(result, math.MinInt64, math.MaxInt64)
	}
	if items, ok := schema["items"].(map[string]any); ok {
		result["items"] = strict(items)
	}
	properties, hasProperties := schema["properties"].(map[string]any)
	if hasProperties {
		strictProperties := map[string]any{}
		for name, property := range properties {
			strictProperties[name] = strict(property.(map[string]any))
		}
		result["properties"] = strictProperties
	}
	switch additional := schema["additionalProperties"].(type) {
	case map[string]any:
		result["additionalProperties"] = strict(additional)
	default:
		open := schema["x-kubernetes-preserve-unknown-fields"] == true || additional == true
		if hasProperties && !open {
			result["additionalProperties"] = false
		}
	}
	return result
}

// conditions copies what a schema demands of values, and of combinations of fields; there, an
// unknown field is none of its business.
func conditions(schema map[string]any) map[string]any {
	result := map[string]any{}
	for _, keyword := range kept {
		if value, ok := schema[keyword]; ok {
			result[keyword] = value
		}
	}
	// OpenAPI has draft 4's spelling: a flag beside the bound.
	for flag, limit := range map[string]string{"exclusiveMinimum": "minimum", "exclusiveMaximum": "maximum"} {
		if exclusive, ok := result[flag].(bool); ok {
			delete(result, flag)
			if exclusive {
				result[flag] = result[limit]
				delete(result, limit)
			}
		}
	}
	for _, keyword := range []string{"allOf", "anyOf", "oneOf"} {
		if branches, ok := schema[keyword].([]any); ok {
			copied := make([]any, len(branches))
			for i, branch := range branches {
				copied[i] = branchConditions(branch.(map[string]any))
			}
			result[keyword] = copied
		}
	}
	if not, ok := schema["not"].(map[string]any); ok {
		result["not"] = branchConditions(not)
	}
	return result
}

func branchConditions(schema map[string]any) map[string]any {
	result := conditions(schema)
	if kind, ok := schema["type"]; ok {
		result["type"] = kind
	}
	if items, ok := schema["items"].(map[string]any); ok {
		result["items"] = branchConditions(items)
	}
	if properties, ok := schema["properties"].(map[string]any); ok {
		copied := map[string]any{}
		for name, property := range properties {
			copied[name] = branchConditions(property.(map[string]any))
		}
		result["properties"] = copied
	}
	return result
}

// bound writes out what a format of integers means.
func bound(schema map[string]any, low, high int64) {
	delete(schema, "format")
	if _, ok := schema["minimum"]; !ok {
		schema["minimum"] = low
	}
	if _, ok := schema["maximum"]; !ok {
		schema["maximum"] = high
	}
}
