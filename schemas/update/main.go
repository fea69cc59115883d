// Command update rewrites the schema catalogue of hcb from the Go modules that
// publish it. See ../README.md for what it keeps and why.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
)

// source is one entry of sources.json: where the schemas of one file come from.
// The last fields say in which form the module has them.
type source struct {
	Project  string   `json:"project"`
	Module   string   `json:"module"`
	Versions []string `json:"versions"`
	License  string   `json:"license"`
	// Keep lists what to keep as globs over "GROUP/VERSION/KIND".
	Keep []string `json:"keep"`

	// OpenAPI is the path of a Kubernetes swagger document.
	OpenAPI string `json:"openapi"`
	// Enums is the path of the generated Go code that the document is made of.
	Enums string `json:"enums"`
	// CRDs is a glob over files of CustomResourceDefinitions.
	CRDs string `json:"crds"`
	// Types is a package of Go types that controller-gen makes CustomResourceDefinitions of.
	Types string `json:"types"`
	// Handwritten is a file of CustomResourceDefinitions beside this program.
	Handwritten string `json:"handwritten"`
}

func main() {
	log.SetFlags(0)
	out := flag.String("out", "..", "folder of the catalogue")
	crds := flag.String("crds", "", "write the CustomResourceDefinitions themselves to this folder, and nothing else")
	flag.Parse()
	work := func() error { return run(*out) }
	if *crds != "" {
		work = func() error { return writeCRDs(*crds) }
	}
	if err := work(); err != nil {
		log.Fatal(err)
	}
}

func run(out string) error {
	sources, err := readSources("sources.json")
	if err != nil {
		return err
	}
	var summaries []summary
	for _, source := range sources {
		lines, err := schemaLines(source)
		if err != nil {
			return fmt.Errorf("%s: %w", source.Project, err)
		}
		content, err := render(source, lines)
		if err != nil {
			return fmt.Errorf("%s: %w", source.Project, err)
		}
		name := source.Project + ".jsonl"
		if err := os.WriteFile(filepath.Join(out, name), content, 0o644); err != nil {
			return err
		}
		summaries = append(summaries, summarize(source, lines, len(content)))
		log.Printf("%s: %d lines, %d KiB", name, len(lines), len(content)/1024)
	}
	return updateTable(filepath.Join(out, "README.md"), summaries)
}

func readSources(path string) ([]source, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var sources []source
	return sources, json.Unmarshal(text, &sources)
}

// schemaLines reads a source and returns the lines of its file, unsorted.
func schemaLines(source source) ([]line, error) {
	if source.OpenAPI != "" {
		return kubernetesLines(source)
	}
	files, remove, err := crdFiles(source)
	if err != nil {
		return nil, err
	}
	defer remove()
	return crdLines(files, source.Keep)
}

// crdFiles returns the files that have a source's CustomResourceDefinitions, and what to call when
// they are read.
func crdFiles(source source) (files []string, remove func(), err error) {
	remove = func() {}
	if source.Handwritten != "" {
		return []string{filepath.Join("handwritten", source.Handwritten)}, remove, nil
	}
	if source.Types != "" {
		folder, err := os.MkdirTemp("", "crds")
		if err != nil {
			return nil, remove, err
		}
		remove = func() { os.RemoveAll(folder) }
		files, err := generateCRDs(source.Module, source.Versions[0], source.Types, folder)
		return files, remove, err
	}
	root, err := moduleDir(source.Module, source.Versions[0])
	if err != nil {
		return nil, remove, err
	}
	files, err = filepath.Glob(filepath.Join(root, filepath.FromSlash(source.CRDs)))
	return files, remove, err
}
