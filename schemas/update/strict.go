package main

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
)

// The titles say in a message what a string should have been, where its pattern would not help.
const (
	byteTitle     = "base64"
	quantityTitle = "a quantity such as 500m or 1.5Gi"
)

// byteString is what the API server accepts for `format: byte`, the standard base64 alphabet.
const byteString = `^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$`

// quantityString is the grammar of a Kubernetes quantity such as 500m or 1.5Gi.
const quantityString = `^[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]+)?$`

// controllerGenQuantity is the pattern by which controller-gen describes a quantity.
const controllerGenQuantity = `^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$`

// kept are the keywords that mean the same in OpenAPI and JSON Schema, and the annotations that
// tell how lists are merged, which a comparison of two manifests needs.
var kept = []string{
	"type", "required", "enum", "pattern", "minimum", "maximum", "multipleOf",
	"minLength", "maxLength", "minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties",
	"x-kubernetes-list-map-keys", "x-kubernetes-patch-merge-key",
}

// strict turns an OpenAPI schema of the Kubernetes dialect into a JSON Schema that refuses what
// the API server's strict field validation refuses: every field that the schema does not name.
func strict(open schema) schema {
	if reference, found := open["$ref"].(string); found {
		return schema{"$ref": definitionReference(reference)}
	}
	closed := constraint(open)

	if fields := object(open["properties"]); len(fields) > 0 {
		closed["properties"] = each(fields, strict)
	}
	if items := object(open["items"]); items != nil {
		closed["items"] = strict(items)
	}
	closeObject(open, closed)
	if open["x-kubernetes-embedded-resource"] == true {
		embedResource(closed)
	}
	if open["x-kubernetes-int-or-string"] == true {
		closed["type"] = []any{"integer", "string"}
		dropIntOrStringBranches(closed)
		if closed["pattern"] == controllerGenQuantity {
			closed["title"] = quantityTitle
		}
	}
	if open["nullable"] == true {
		allowNull(closed)
	}
	return closed
}

// constraint turns a schema into one that limits values without naming fields. That is what the
// branches of oneOf, anyOf, allOf and not are in a structural schema: closing an object there
// would refuse the fields that the schema around the branch allows.
func constraint(open schema) schema {
	limits := schema{}
	for _, keyword := range kept {
		if value, found := open[keyword]; found {
			limits[keyword] = value
		}
	}
	// OpenAPI 3.0 says with a flag that a bound is exclusive, JSON Schema with the bound itself.
	for bound, exclusive := range map[string]string{"minimum": "exclusiveMinimum", "maximum": "exclusiveMaximum"} {
		if open[exclusive] == true {
			limits[exclusive] = limits[bound]
			delete(limits, bound)
		}
	}
	for _, keyword := range []string{"allOf", "anyOf", "oneOf"} {
		var branches []any
		for _, branch := range list(open[keyword]) {
			branches = append(branches, constraint(object(branch)))
		}
		if len(branches) > 0 {
			limits[keyword] = branches
		}
	}
	if negated := object(open["not"]); negated != nil {
		limits["not"] = constraint(negated)
	}
	if fields := object(open["properties"]); len(fields) > 0 {
		limits["properties"] = each(fields, constraint)
	}
	if items := object(open["items"]); len(items) > 0 {
		limits["items"] = constraint(items)
	}
	limitFormat(open, limits)
	return limits
}

// closeObject refuses unknown fields, unless the schema is a map or keeps them.
func closeObject(open, closed schema) {
	_, hasFields := open["properties"]
	if open["type"] != "object" && !hasFields {
		return
	}
	switch values := open["additionalProperties"].(type) {
	case schema:
		if allowed := strict(values); len(allowed) > 0 {
			closed["additionalProperties"] = allowed
		}
	case bool:
		if !values {
			closed["additionalProperties"] = false
		}
	default:
		if open["x-kubernetes-preserve-unknown-fields"] != true {
			closed["additionalProperties"] = false
		}
	}
}

// embedResource makes the schema one of a whole object inside another.
func embedResource(closed schema) {
	fields := maps.Clone(object(closed["properties"]))
	if fields == nil {
		fields = schema{}
	}
	fields["apiVersion"] = schema{"type": "string"}
	fields["kind"] = schema{"type": "string"}
	fields["metadata"] = schema{"$ref": "#/$defs/" + objectMeta}
	closed["type"] = "object"
	closed["properties"] = fields
	required := list(closed["required"])
	for _, name := range []any{"apiVersion", "kind"} {
		if !slices.Contains(required, name) {
			required = append(slices.Clone(required), name)
		}
	}
	closed["required"] = required
}

// dropIntOrStringBranches removes the two branches that controller-gen writes beside
// x-kubernetes-int-or-string: they say again what the type says, and spoil the error message.
func dropIntOrStringBranches(closed schema) {
	branches := []any{schema{"type": "integer"}, schema{"type": "string"}}
	if reflect.DeepEqual(closed["anyOf"], branches) {
		delete(closed, "anyOf")
	}
	if all := list(closed["allOf"]); len(all) > 0 && reflect.DeepEqual(all[0], schema{"anyOf": branches}) {
		if all = all[1:]; len(all) > 0 {
			closed["allOf"] = all
		} else {
			delete(closed, "allOf")
		}
	}
}

func allowNull(closed schema) {
	switch types := closed["type"].(type) {
	case string:
		closed["type"] = []any{types, "null"}
	case []any:
		closed["type"] = append(slices.Clone(types), "null")
	}
	if values := list(closed["enum"]); values != nil && !slices.Contains(values, nil) {
		closed["enum"] = append(slices.Clone(values), nil)
	}
}

// limitFormat writes the formats that the API server enforces as limits. The others are left out.
func limitFormat(open, limits schema) {
	switch open["format"] {
	case "int32":
		tighten(limits, "-2147483648", "2147483647")
	case "int64":
		tighten(limits, "-9223372036854775808", "9223372036854775807")
	case "byte":
		if _, found := limits["pattern"]; !found {
			limits["pattern"] = byteString
			limits["title"] = byteTitle
		}
	}
}

// tighten adds bounds where the schema has none of its own, which are always narrower.
func tighten(limits schema, minimum, maximum json.Number) {
	if limits["type"] != "integer" {
		return
	}
	if limits["minimum"] == nil && limits["exclusiveMinimum"] == nil {
		limits["minimum"] = minimum
	}
	if limits["maximum"] == nil && limits["exclusiveMaximum"] == nil {
		limits["maximum"] = maximum
	}
}

func each(schemas schema, change func(schema) schema) schema {
	changed := schema{}
	for name, value := range schemas {
		changed[name] = change(object(value))
	}
	return changed
}

// object returns a JSON value as an object, nil if it is none.
func object(value any) schema {
	fields, _ := value.(schema)
	return fields
}

// list returns a JSON value as an array, nil if it is none.
func list(value any) []any {
	items, _ := value.([]any)
	return items
}
