package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/semver"
)

// leftOut are groups whose objects nobody writes: the control plane keeps them for itself.
var leftOut = []string{"internal.apiserver.k8s.io", "events.k8s.io"}

// anything are the definitions whose swagger form is narrower than what the API server takes.
var anything = map[string]schema{
	"io.k8s.apimachinery.pkg.api.resource.Quantity":                                            {"type": []any{"string", "number"}, "pattern": quantityString, "title": quantityTitle},
	"io.k8s.apimachinery.pkg.util.intstr.IntOrString":                                          {"type": []any{"integer", "string"}},
	"io.k8s.apimachinery.pkg.runtime.RawExtension":                                             {"type": "object"},
	"io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1":                                            {"type": "object"},
	"io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON":                            {},
	"io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrArray":          {},
	"io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrBool":           {},
	"io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrStringArray":    {},
	"io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceSubresourceStatus": {"type": "object"},
}

type swagger struct {
	Definitions map[string]schema               `json:"definitions"`
	Paths       map[string]map[string]operation `json:"paths"`
}

type operation struct {
	Action string `json:"x-kubernetes-action"`
	Kind   struct {
		Group   string `json:"group"`
		Version string `json:"version"`
		Kind    string `json:"kind"`
	} `json:"x-kubernetes-group-version-kind"`
	Responses map[string]struct {
		Schema struct {
			Reference string `json:"$ref"`
		} `json:"schema"`
	} `json:"responses"`
}

// UnmarshalJSON reads an operation and passes over the parameters that a path lists beside them.
func (o *operation) UnmarshalJSON(text []byte) error {
	type plain operation
	if text[0] != '{' {
		return nil
	}
	return json.Unmarshal(text, (*plain)(o))
}

// kubernetesLines returns the kinds and shared definitions of all versions of Kubernetes. One
// that several versions have in the same form becomes one line.
func kubernetesLines(source source) ([]line, error) {
	merged := map[string]line{}
	for _, version := range source.Versions {
		root, err := moduleDir(source.Module, version)
		if err != nil {
			return nil, err
		}
		lines, err := swaggerLines(
			filepath.Join(root, filepath.FromSlash(source.OpenAPI)),
			filepath.Join(root, filepath.FromSlash(source.Enums)),
		)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", version, err)
		}
		minor := strings.TrimPrefix(semver.MajorMinor(version), "v")
		for _, found := range lines {
			text, err := json.Marshal(found)
			if err != nil {
				return nil, err
			}
			if earlier, same := merged[string(text)]; same {
				found = earlier
			}
			found.KubernetesVersions = append(found.KubernetesVersions, minor)
			merged[string(text)] = found
		}
	}
	var lines []line
	for _, line := range merged {
		lines = append(lines, line)
	}
	return lines, nil
}

// swaggerLines returns the kinds of one version that can be read and written as objects of their
// own, and the definitions that they reach.
func swaggerLines(file, enums string) ([]line, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var document swagger
	if err := decode(text, &document); err != nil {
		return nil, err
	}
	definitions := map[string]schema{}
	for name, definition := range document.Definitions {
		definitions[name] = strictDefinition(name, definition)
	}
	if err := addEnums(enums, definitions); err != nil {
		return nil, err
	}

	byKey := map[string]line{}
	for path, operations := range document.Paths {
		read, writable := operations["get"], operations["put"].Action == "put"
		if !writable || !strings.HasSuffix(path, "/{name}") || slices.Contains(leftOut, read.Kind.Group) {
			continue
		}
		found := kindLine(path, read, definitions)
		byKey[found.Key] = found
	}
	reached := map[string]bool{objectMeta: true}
	reach(definitions[objectMeta], definitions, reached)
	for _, kind := range byKey {
		reach(kind.Schema, definitions, reached)
	}
	for name := range reached {
		byKey[name] = line{Key: name, Schema: definitions[name]}
	}
	var lines []line
	for _, line := range byKey {
		lines = append(lines, line)
	}
	return lines, nil
}

func kindLine(path string, read operation, definitions map[string]schema) line {
	apiVersion := read.Kind.Version
	if read.Kind.Group != "" {
		apiVersion = read.Kind.Group + "/" + apiVersion
	}
	scope := "Cluster"
	if strings.Contains(path, "/namespaces/{namespace}/") {
		scope = "Namespaced"
	}
	definition := strings.TrimPrefix(read.Responses["200"].Schema.Reference, "#/definitions/")
	return line{
		Key:    apiVersion + "/" + read.Kind.Kind,
		Scope:  scope,
		Schema: asManifest(apiVersion, read.Kind.Kind, definitions[definition], nil),
	}
}

func strictDefinition(name string, definition schema) schema {
	if exception, found := anything[name]; found {
		return exception
	}
	closed := strict(definition)
	if fields := object(closed["properties"]); definition["x-kubernetes-group-version-kind"] != nil && fields["status"] != nil {
		fields["status"] = schema{}
	}
	return closed
}

func definitionReference(reference string) string {
	return "#/$defs/" + strings.TrimPrefix(reference, "#/definitions/")
}

// reach adds the definitions that a value refers to, directly or through others.
func reach(value any, definitions map[string]schema, reached map[string]bool) {
	switch value := value.(type) {
	case schema:
		if reference, found := value["$ref"].(string); found {
			name := strings.TrimPrefix(reference, "#/$defs/")
			if !reached[name] {
				reached[name] = true
				reach(definitions[name], definitions, reached)
			}
		}
		for _, inner := range value {
			reach(inner, definitions, reached)
		}
	case []any:
		for _, inner := range value {
			reach(inner, definitions, reached)
		}
	}
}
