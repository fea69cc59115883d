package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// keyTree is what a chart knows of the keys of its values.
type keyTree struct {
	// kinds are the kinds of value seen here; none means that any will do.
	kinds    []kind
	children map[string]*keyTree
}

// kind is a kind of value, in the words of JSON Schema.
type kind string

const (
	kindBoolean kind = "boolean"
	kindNumber  kind = "number"
	kindString  kind = "string"
	kindArray   kind = "array"
	kindObject  kind = "object"
)

func kindOf(value any) kind {
	switch value.(type) {
	case bool:
		return kindBoolean
	case float64:
		return kindNumber
	case string:
		return kindString
	case []any:
		return kindArray
	case map[string]any:
		return kindObject
	default:
		return "" // null: says nothing, as a default and as a value.
	}
}

// istioDefaults is where Istio's charts keep their defaults; the template
// zzz_profile.yaml moves them to the root.
const istioDefaults = "_internal_defaults_do_not_set"

// readKeys gathers the keys from every place in which a chart tells them.
func readKeys(folder string, source chartSource) (*keyTree, error) {
	keys := &keyTree{}
	files := []string{filepath.Join(folder, "values.yaml")}
	// Istio merges one of these below the values, by `profile`, `platform` or
	// `compatibilityVersion`.
	profiles, err := filepath.Glob(filepath.Join(folder, "files", "profile-*.yaml"))
	if err != nil {
		return nil, err
	}
	for _, file := range append(files, profiles...) {
		var values map[string]any
		if err := readYAML(file, &values); err != nil {
			return nil, err
		}
		if defaults, isIstio := values[istioDefaults]; isIstio {
			keys.learnDefaults(defaults)
			delete(values, istioDefaults)
		}
		keys.learnDefaults(values)
	}

	var schema map[string]any
	err = readYAML(filepath.Join(folder, "values.schema.json"), &schema)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	keys.learnSchema(schema, schema)
	delete(keys.children, istioDefaults)

	reads, err := templateReads(folder)
	if err != nil {
		return nil, err
	}
	for _, path := range reads {
		keys.learnRead(path)
	}
	if source.flattensGlobal {
		keys.descend("global").adopt(keys.children)
	}
	if source.alias != "" {
		keys.descend(source.alias).adopt(keys.children)
	}
	return keys, nil
}

// descend returns the child of that name, which it makes when there is none.
func (k *keyTree) descend(name string) *keyTree {
	if k.children == nil {
		k.children = map[string]*keyTree{}
	}
	if k.children[name] == nil {
		k.children[name] = &keyTree{}
	}
	return k.children[name]
}

// adopt adds the children of another tree, save for the tree itself.
func (k *keyTree) adopt(others map[string]*keyTree) {
	for name, other := range others {
		if _, taken := k.children[name]; other != k && !taken {
			k.descend(name)
			k.children[name] = other
		}
	}
}

func (k *keyTree) learnKind(kinds ...kind) {
	for _, kind := range kinds {
		if kind != "" && !slices.Contains(k.kinds, kind) {
			k.kinds = append(k.kinds, kind)
		}
	}
}

// learnDefaults learns from default values. Items of lists are not looked at:
// helm replaces lists as a whole.
func (k *keyTree) learnDefaults(value any) {
	k.learnKind(kindOf(value))
	if object, isObject := value.(map[string]any); isObject {
		for name, child := range object {
			k.descend(name).learnDefaults(child)
		}
	}
}

// learnSchema learns from the `properties` and types of a JSON schema. What
// else a schema demands is left to helm, which validates against it.
func (k *keyTree) learnSchema(schema, root map[string]any) {
	if target, isReference := schema["$ref"].(string); isReference {
		definitions, _ := root["$defs"].(map[string]any)
		if definition, found := definitions[strings.TrimPrefix(target, "#/$defs/")].(map[string]any); found {
			k.learnSchema(definition, root)
		}
	}
	switch types := schema["type"].(type) {
	case string:
		k.learnKind(kindOfSchema(types))
	case []any:
		for _, one := range types {
			name, _ := one.(string)
			k.learnKind(kindOfSchema(name))
		}
	}
	properties, _ := schema["properties"].(map[string]any)
	for name, property := range properties {
		if property, isSchema := property.(map[string]any); isSchema {
			k.descend(name).learnSchema(property, root)
		}
	}
}

func kindOfSchema(name string) kind {
	switch name {
	case "integer":
		return kindNumber
	case "null":
		return ""
	default:
		return kind(name)
	}
}

// learnRead learns a path that a template reads. It says nothing of kinds.
func (k *keyTree) learnRead(path []string) {
	for _, name := range path {
		k = k.descend(name)
	}
}

// find lists the paths, dotted, at which a key of this name is known.
func (k *keyTree) find(name string) []string {
	var found []string
	for _, child := range sortedKeys(k.children) {
		if child == name {
			found = append(found, child)
		}
		for _, below := range k.children[child].find(name) {
			found = append(found, child+"."+below)
		}
	}
	return found
}

func readYAML(file string, into any) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if text, err = yaml.YAMLToJSON(text); err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}
