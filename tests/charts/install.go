package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// install is one chart install as hcb describes it, one JSON file each.
type install struct {
	Chart      string          `json:"chart"`
	Version    string          `json:"version"`
	Release    string          `json:"release"`
	Namespace  string          `json:"namespace"`
	Kubernetes string          `json:"kubernetes"`
	Values     json.RawMessage `json:"values"`

	// name is the file's name without its ending. It tells installs of the
	// same chart into several clusters apart.
	name string
	// tree is Values, decoded.
	tree map[string]any
}

func readInstalls(folder string) ([]install, error) {
	if _, err := os.Stat(folder); err != nil {
		return nil, err
	}
	files, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		// An empty folder would otherwise pass without proving anything.
		return nil, fmt.Errorf("%s has no *.json", folder)
	}
	installs := make([]install, 0, len(files))
	for _, file := range files {
		in, err := readInstall(file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		installs = append(installs, in)
	}
	return installs, nil
}

func readInstall(file string) (install, error) {
	in := install{name: strings.TrimSuffix(filepath.Base(file), ".json")}
	text, err := os.ReadFile(file)
	if err != nil {
		return in, err
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&in); err != nil {
		return in, err
	}
	for field, value := range map[string]string{
		"chart": in.Chart, "version": in.Version, "release": in.Release,
		"namespace": in.Namespace, "kubernetes": in.Kubernetes,
	} {
		if value == "" {
			return in, fmt.Errorf("%q is missing", field)
		}
	}
	if len(in.Values) == 0 {
		return in, errors.New(`"values" is missing`)
	}
	return in, json.Unmarshal(in.Values, &in.tree)
}
