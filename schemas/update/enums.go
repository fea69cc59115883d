package main

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
)

var (
	definitionStart = regexp.MustCompile(`^func schema_k8sio_(\w+)\(`)
	fieldStart      = regexp.MustCompile(`^\t{5}"(\w+)": \{$`)
	enumValues      = regexp.MustCompile(`^\t+Enum: +\[\]interface\{\}\{(.*)\},$`)
)

// addEnums puts the values that a field may have into the definitions of the core API. The API
// server publishes them, the swagger document in the repository leaves them out, and so they are
// read from the generated Go code that both are made of.
func addEnums(file string, definitions map[string]schema) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var definition schema
	var field string
	found := 0
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		if match := definitionStart.FindStringSubmatch(line); match != nil {
			definition = definitions["io.k8s."+strings.ReplaceAll(match[1], "_", ".")]
		} else if match := fieldStart.FindStringSubmatch(line); match != nil {
			field = match[1]
		} else if match := enumValues.FindStringSubmatch(line); match != nil {
			var values []any
			if err := json.Unmarshal([]byte("["+match[1]+"]"), &values); err != nil {
				return fmt.Errorf("the values of %s: %w", field, err)
			}
			found += addEnum(object(object(definition["properties"])[field]), values)
		}
	}
	if found == 0 {
		return fmt.Errorf("%s: no enum found, has its form changed?", file)
	}
	return nil
}

// addEnum limits a string, or the strings in a list, and returns how many schemas it changed.
func addEnum(field schema, values []any) int {
	if field["type"] == "array" {
		field = object(field["items"])
	}
	if field["type"] != "string" {
		return 0
	}
	field["enum"] = values
	return 1
}
