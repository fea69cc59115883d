package main

import (
	"bytes"
	"encoding/json"
	"os"
	"sort"
	"strings"
)

// header is the first line of a file: where its schemas come from.
type header struct {
	Project string `json:"project"`
	Module  string `json:"module"`
	Version string `json:"version"`
	License string `json:"license"`
}

// entries are the lines of a file by their keys. A key is followed by a tab and JSON, so that a
// reader finds a line without parsing any.
type entries map[string]any

func write(path string, header header, entries entries) error {
	var text bytes.Buffer
	if err := line(&text, "#", header); err != nil {
		return err
	}
	keys := make([]string, 0, len(entries))
	for key := range entries {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	for _, key := range keys {
		if err := line(&text, key, entries[key]); err != nil {
			return err
		}
	}
	return os.WriteFile(path, text.Bytes(), 0o644)
}

func line(text *bytes.Buffer, key string, value any) error {
	text.WriteString(key)
	text.WriteByte('\t')
	encoder := json.NewEncoder(text)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}

// join writes versions as 1.32,1.33.
func join(versions []string) string {
	short := make([]string, len(versions))
	for i, version := range versions {
		short[i] = minor(version)
	}
	return strings.Join(short, ",")
}

// minor is the 1.32 of v1.32.13.
func minor(version string) string {
	parts := strings.Split(strings.TrimPrefix(version, "v"), ".")
	return parts[0] + "." + parts[1]
}
