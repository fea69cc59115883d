package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// swagger is what is needed of Kubernetes' api/openapi-spec/swagger.json.
type swagger struct {
	Definitions map[string]map[string]any       `json:"definitions"`
	Paths       map[string]map[string]operation `json:"paths"`
}

type operation struct {
	Kind *struct{ Group, Version, Kind string } `json:"x-kubernetes-group-version-kind"`
}

// UnmarshalJSON leaves out what is no operation: a path has parameters beside its methods.
func (o *operation) UnmarshalJSON(text []byte) error {
	if len(text) == 0 || text[0] != '{' {
		return nil
	}
	type plain operation
	return json.Unmarshal(text, (*plain)(o))
}

// versioned is a value with the versions of Kubernetes that have it so.
type versioned struct {
	versions []string
	value    any
}

// kubernetes reads the schemas of several versions. What is the same in several stands once, with
// the list of versions in its key: `def/NAME@1.32,1.33`.
func kubernetes(versions []string) (entries, error) {
	seen := map[string][]versioned{}
	for _, version := range versions {
		fmt.Fprintln(os.Stderr, "kubernetes", version)
		found, err := kubernetesVersion(version)
		if err != nil {
			return nil, fmt.Errorf("kubernetes %s: %w", version, err)
		}
		for key, value := range found {
			merge(seen, key, minor(version), value)
		}
	}
	all := entries{}
	for key, values := range seen {
		for _, value := range values {
			all[key+"@"+strings.Join(value.versions, ",")] = value.value
		}
	}
	return all, nil
}

func merge(seen map[string][]versioned, key, version string, value any) {
	text, _ := json.Marshal(value)
	for i := range seen[key] {
		known, _ := json.Marshal(seen[key][i].value)
		if string(known) == string(text) {
			seen[key][i].versions = append(seen[key][i].versions, version)
			return
		}
	}
	seen[key] = append(seen[key], versioned{[]string{version}, value})
}

func kubernetesVersion(version string) (entries, error) {
	folder, err := moduleFolder("k8s.io/kubernetes", version)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(folder, "api/openapi-spec/swagger.json"))
	if err != nil {
		return nil, err
	}
	var api swagger
	if err := json.Unmarshal(text, &api); err != nil {
		return nil, err
	}
	all := entries{}
	definitions := kindDefinitions(api)
	for path, methods := range api.Paths {
		post, creates := methods["post"]
		// What is created below an object is a subresource.
		if !creates || post.Kind == nil || strings.Contains(path, "{name}") {
			continue
		}
		apiVersion := strings.TrimPrefix(post.Kind.Group+"/"+post.Kind.Version, "/")
		definition, known := definitions[apiVersion+"/"+post.Kind.Kind]
		if !known {
			continue
		}
		scope := "Cluster"
		if strings.Contains(path, "/namespaces/{namespace}/") {
			scope = "Namespaced"
		}
		all["kind/"+apiVersion+"/"+post.Kind.Kind] = map[string]any{
			"scope": scope, "schema": map[string]any{"$ref": "#/definitions/" + definition},
		}
		reach(api, definition, all)
	}
	return all, nil
}

// kindDefinitions maps kinds to the names of their definitions.
func kindDefinitions(api swagger) map[string]string {
	definitions := map[string]string{}
	for name, definition := range api.Definitions {
		kinds, _ := definition["x-kubernetes-group-version-kind"].([]any)
		if len(kinds) != 1 {
			continue
		}
		kind := kinds[0].(map[string]any)
		apiVersion := strings.TrimPrefix(fmt.Sprintf("%s/%s", kind["group"], kind["version"]), "/")
		definitions[fmt.Sprintf("%s/%s", apiVersion, kind["kind"])] = name
	}
	return definitions
}

// reach adds a definition and all that it refers to.
func reach(api swagger, name string, all entries) {
	key := "def/" + name
	if _, known := all[key]; known {
		return
	}
	schema := strictDefinition(name, api.Definitions[name])
	all[key] = schema
	for _, reference := range references(schema) {
		reach(api, reference, all)
	}
}

func references(value any) []string {
	var found []string
	switch value := value.(type) {
	case map[string]any:
		if reference, ok := value["$ref"].(string); ok {
			found = append(found, strings.TrimPrefix(reference, "#/definitions/"))
		}
		for _, child := range value {
			found = append(found, references(child)...)
		}
	case []any:
		for _, child := range value {
			found = append(found, references(child)...)
		}
	}
	return found
}
