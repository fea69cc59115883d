package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path"
	"slices"

	"sigs.k8s.io/yaml"
)

// objectMeta is the definition that the metadata of every kind refers to.
const objectMeta = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"

type customResourceDefinition struct {
	Kind string `json:"kind"`
	Spec struct {
		Group string `json:"group"`
		Names struct {
			Kind string `json:"kind"`
		} `json:"names"`
		Scope    string `json:"scope"`
		Versions []struct {
			Name   string `json:"name"`
			Served bool   `json:"served"`
			Schema struct {
				OpenAPIV3Schema schema `json:"openAPIV3Schema"`
			} `json:"schema"`
		} `json:"versions"`
	} `json:"spec"`
}

// crdLines returns one line for each served version of each kind in files that keep matches. A
// glob that matches nothing is an error: the project has moved on, and sources.json must follow.
func crdLines(files []string, keep []string) ([]line, error) {
	var lines []line
	matched := map[string]bool{}
	for _, file := range files {
		definitions, err := readCRDs(file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		for _, definition := range definitions {
			for _, version := range definition.Spec.Versions {
				apiVersion := definition.Spec.Group + "/" + version.Name
				kind := definition.Spec.Names.Kind
				key := apiVersion + "/" + kind
				glob := matchingGlob(keep, key)
				if glob == "" || !version.Served {
					continue
				}
				matched[glob] = true
				lines = append(lines, line{
					Key:    key,
					Scope:  definition.Spec.Scope,
					Schema: share(customResource(apiVersion, kind, version.Schema.OpenAPIV3Schema)),
				})
			}
		}
	}
	for _, glob := range keep {
		if !matched[glob] {
			return nil, fmt.Errorf("no served version of a kind matches %q", glob)
		}
	}
	return lines, nil
}

func matchingGlob(globs []string, key string) string {
	for _, glob := range globs {
		if found, _ := path.Match(glob, key); found {
			return glob
		}
	}
	return ""
}

// readCRDs reads the definitions in a file of YAML documents.
func readCRDs(file string) ([]customResourceDefinition, error) {
	documents, err := readDocuments(file)
	if err != nil {
		return nil, err
	}
	var definitions []customResourceDefinition
	for _, document := range documents {
		var definition customResourceDefinition
		if err := decode(document, &definition); err != nil {
			return nil, err
		}
		if definition.Kind == "CustomResourceDefinition" {
			definitions = append(definitions, definition)
		}
	}
	return definitions, nil
}

// readDocuments reads a file of YAML documents and returns each as JSON.
func readDocuments(file string) ([][]byte, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var documents [][]byte
	for _, document := range bytes.Split(append([]byte("\n"), text...), []byte("\n---")) {
		converted, err := yaml.YAMLToJSON(document)
		if err != nil {
			return nil, err
		}
		documents = append(documents, converted)
	}
	return documents, nil
}

// decode reads JSON and keeps numbers as they are written, since 64-bit bounds do not fit a float.
func decode(text []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	return decoder.Decode(into)
}

// customResource returns the strict schema of a manifest of a custom resource.
func customResource(apiVersion, kind string, structural schema) schema {
	fields := maps.Clone(object(structural["properties"]))
	// The API server owns these three; what a CRD says of metadata is only a limit on its name.
	metadata := fields["metadata"]
	for _, name := range []string{"apiVersion", "kind", "metadata", "status"} {
		delete(fields, name)
	}
	structural = maps.Clone(structural)
	structural["properties"] = fields
	manifest := strict(structural)
	limits := constraint(object(metadata))
	return asManifest(apiVersion, kind, manifest, limits)
}

// asManifest adds to the schema of a kind what every manifest has: its own apiVersion and kind, a
// name, and a status that is not looked at, since a manifest says what is wanted.
func asManifest(apiVersion, kind string, manifest schema, metadataLimits schema) schema {
	metadata := schema{"$ref": "#/$defs/" + objectMeta, "required": []any{"name"}}
	delete(metadataLimits, "type")
	if len(metadataLimits) > 0 {
		metadata["allOf"] = []any{metadataLimits}
	}
	fields := maps.Clone(object(manifest["properties"]))
	fields["apiVersion"] = schema{"const": apiVersion}
	fields["kind"] = schema{"const": kind}
	fields["metadata"] = metadata
	fields["status"] = schema{}

	manifest = maps.Clone(manifest)
	manifest["type"] = "object"
	manifest["properties"] = fields
	required := []any{"apiVersion", "kind", "metadata"}
	for _, name := range list(manifest["required"]) {
		if name != "status" && !slices.Contains(required, name) {
			required = append(required, name)
		}
	}
	manifest["required"] = required
	if _, open := manifest["additionalProperties"]; !open {
		manifest["additionalProperties"] = false
	}
	return manifest
}
