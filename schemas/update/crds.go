package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// project is a source of custom resources.
type project struct {
	Project string `json:"project"`
	Module  string `json:"module"`
	Version string `json:"version"`
	// Folder is an environment variable that names the module's folder, where no proxy serves it.
	Folder string `json:"folder"`
	// Paths are the files and folders of CRDs in the module.
	Paths []string `json:"paths"`
	// Generate is a package of Go types that CRDs are generated from, where the module has none.
	Generate string `json:"generate"`
	// Kinds are those that are kept.
	Kinds []string `json:"kinds"`
}

// crd is what is needed of a CustomResourceDefinition.
type crd struct {
	Kind string `json:"kind"`
	Spec struct {
		Group    string                `json:"group"`
		Scope    string                `json:"scope"`
		Names    struct{ Kind string } `json:"names"`
		Versions []struct {
			Name   string
			Served bool
			Schema struct {
				OpenAPIV3Schema map[string]any `json:"openAPIV3Schema"`
			}
		} `json:"versions"`
	} `json:"spec"`
}

// action is a template action of a chart. In the CRDs that are read here, none matters.
var action = regexp.MustCompile(`(?m)\{\{[^}]*\}\}`)

func (p project) header() header {
	module := p.Module
	if p.Project == "handwritten" {
		module = "written by hand, see README.md"
	}
	return header{Project: p.Project, Module: module, Version: p.Version, License: "Apache-2.0"}
}

func (p project) entries() (entries, error) {
	files, err := p.files()
	if err != nil {
		return nil, err
	}
	all := entries{}
	missing := map[string]bool{}
	for _, kind := range p.Kinds {
		missing[kind] = true
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		for _, document := range strings.Split(string(text), "\n---") {
			document = action.ReplaceAllString(document, "")
			var found crd
			if err := yaml.Unmarshal([]byte(document), &found); err != nil {
				return nil, fmt.Errorf("%s: %w", file, err)
			}
			if found.Kind != "CustomResourceDefinition" || !slices.Contains(p.Kinds, found.Spec.Names.Kind) {
				continue
			}
			delete(missing, found.Spec.Names.Kind)
			for _, version := range found.Spec.Versions {
				if !version.Served {
					continue
				}
				key := fmt.Sprintf("kind/%s/%s/%s@", found.Spec.Group, version.Name, found.Spec.Names.Kind)
				all[key] = map[string]any{
					"scope": found.Spec.Scope, "schema": strictRoot(version.Schema.OpenAPIV3Schema),
				}
			}
		}
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("kinds that were not found: %v", missing)
	}
	return all, nil
}

// files are the files that hold the CRDs.
func (p project) files() ([]string, error) {
	folder := os.Getenv(p.Folder)
	if p.Folder == "" || folder == "" {
		var err error
		if folder, err = moduleFolder(p.Module, p.Version); err != nil {
			return nil, err
		}
	}
	if p.Generate != "" {
		return generate(folder, p.Generate)
	}
	var files []string
	for _, path := range p.Paths {
		err := filepath.WalkDir(filepath.Join(folder, path), func(path string, entry os.DirEntry, err error) error {
			if err == nil && !entry.IsDir() && strings.HasSuffix(path, ".yaml") {
				files = append(files, path)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return files, nil
}

// generate makes CRDs of Go types, in a copy of the module: the module cache is read-only.
func generate(folder, pkg string) ([]string, error) {
	work, err := os.MkdirTemp("", "hcb-schemas-")
	if err != nil {
		return nil, err
	}
	if err := os.CopyFS(work, os.DirFS(folder)); err != nil {
		return nil, err
	}
	out := filepath.Join(work, "crds")
	command := exec.Command("go", "run", "sigs.k8s.io/controller-tools/cmd/controller-gen@v0.19.0",
		"crd", "paths=./"+pkg+"/...", "output:crd:dir="+out)
	command.Dir = work
	command.Stderr = os.Stderr
	if err := command.Run(); err != nil {
		return nil, fmt.Errorf("controller-gen: %w", err)
	}
	return filepath.Glob(filepath.Join(out, "*.yaml"))
}
