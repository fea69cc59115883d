package main

import (
	"encoding/json"
	"fmt"
	"log"
	"os"
	"path/filepath"
)

// writeCRDs writes the definitions of the kinds that sources.json keeps, as their projects publish
// them, for an API server that has to take what hcb generates. One JSON list a project.
func writeCRDs(folder string) error {
	sources, err := readSources("sources.json")
	if err != nil {
		return err
	}
	for _, source := range sources {
		if source.OpenAPI != "" {
			continue
		}
		definitions, err := keptDefinitions(source)
		if err != nil {
			return fmt.Errorf("%s: %w", source.Project, err)
		}
		content, err := json.Marshal(definitions)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(folder, source.Project+".json"), content, 0o644); err != nil {
			return err
		}
		log.Printf("%s: %d definitions", source.Project, len(definitions))
	}
	return nil
}

// keptDefinitions returns the definitions with a version that the source keeps.
func keptDefinitions(source source) ([]map[string]any, error) {
	files, remove, err := crdFiles(source)
	if err != nil {
		return nil, err
	}
	defer remove()
	var kept []map[string]any
	for _, file := range files {
		documents, err := readDocuments(file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		for _, document := range documents {
			var definition customResourceDefinition
			if err := decode(document, &definition); err != nil {
				return nil, fmt.Errorf("%s: %w", file, err)
			}
			if definition.Kind != "CustomResourceDefinition" || !isKept(definition, source.Keep) {
				continue
			}
			var whole map[string]any
			if err := decode(document, &whole); err != nil {
				return nil, err
			}
			// Conversion needs a webhook of the project's, which does not run here.
			if spec, ok := whole["spec"].(map[string]any); ok {
				delete(spec, "conversion")
			}
			kept = append(kept, whole)
		}
	}
	return kept, nil
}

func isKept(definition customResourceDefinition, keep []string) bool {
	for _, version := range definition.Spec.Versions {
		key := definition.Spec.Group + "/" + version.Name + "/" + definition.Spec.Names.Kind
		if matchingGlob(keep, key) != "" {
			return true
		}
	}
	return false
}
