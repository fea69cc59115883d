package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
	"strings"
)

// schema is a JSON object that is, or becomes, a JSON Schema.
type schema = map[string]any

// line is one schema of the catalogue. A kind has the key "APIVERSION/KIND" and a scope; a
// definition that kinds share by $ref has its own name as key and no scope.
//
// The key comes first in the JSON text and the lines are sorted by key, so that a reader finds a
// schema by binary search and parses nothing else.
type line struct {
	Key string `json:"key"`
	// KubernetesVersions lists the minor versions that the schema holds for; empty means all.
	KubernetesVersions []string `json:"kubernetes,omitempty"`
	Scope              string   `json:"scope,omitempty"`
	Schema             schema   `json:"schema"`
}

// header is the first line of every file.
type header struct {
	Project     string `json:"project"`
	Module      string `json:"module"`
	Version     string `json:"version"`
	License     string `json:"license"`
	Handwritten bool   `json:"handwritten,omitempty"`
}

// render returns the text of a file: the header, then the lines sorted by key and version.
func render(source source, lines []line) ([]byte, error) {
	slices.SortFunc(lines, func(a, b line) int {
		return cmp.Or(
			cmp.Compare(a.Key, b.Key),
			slices.Compare(a.KubernetesVersions, b.KubernetesVersions),
		)
	})
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(header{
		Project:     source.Project,
		Module:      source.Module,
		Version:     strings.Join(source.Versions, ", "),
		License:     source.License,
		Handwritten: source.Handwritten != "",
	})
	if err != nil {
		return nil, err
	}
	for _, line := range lines {
		if err := encoder.Encode(line); err != nil {
			return nil, err
		}
	}
	return text.Bytes(), nil
}
