// Command update writes the schemas that hcb carries, from the projects' own Go modules.
//
//	go run . [-out ..]
//
// sources.json says which module and version each file comes from. The output depends on nothing
// else, so a second run changes nothing.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

// sources is the content of sources.json.
type sources struct {
	Kubernetes []string  `json:"kubernetes"`
	Projects   []project `json:"projects"`
}

func main() {
	out := flag.String("out", "..", "folder that the .jsonl files are written to")
	flag.Parse()
	if err := run(*out); err != nil {
		fmt.Fprintln(os.Stderr, "update:", err)
		os.Exit(1)
	}
}

func run(out string) error {
	text, err := os.ReadFile("sources.json")
	if err != nil {
		return err
	}
	var all sources
	if err := json.Unmarshal(text, &all); err != nil {
		return fmt.Errorf("sources.json: %w", err)
	}
	entries, err := kubernetes(all.Kubernetes)
	if err != nil {
		return err
	}
	header := header{Project: "kubernetes", Module: "k8s.io/kubernetes", Version: join(all.Kubernetes), License: "Apache-2.0"}
	if err := write(filepath.Join(out, "kubernetes.jsonl"), header, entries); err != nil {
		return err
	}
	for _, project := range all.Projects {
		fmt.Fprintln(os.Stderr, project.Project, project.Version)
		entries, err := project.entries()
		if err != nil {
			return fmt.Errorf("%s: %w", project.Project, err)
		}
		if err := write(filepath.Join(out, project.Project+".jsonl"), project.header(), entries); err != nil {
			return err
		}
	}
	return nil
}
