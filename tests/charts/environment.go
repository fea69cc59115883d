package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
)

// variableName matches a string literal that may name an environment variable.
var variableName = regexp.MustCompile(`"[A-Z][A-Z0-9_]*"`)

// istioVariables are the names that istiod's source mentions. That takes in
// some that are no variables, but a misspelt name is hardly among them.
var istioVariables = sync.OnceValues(func() (map[string]bool, error) {
	root, err := downloadModule("istio.io/istio")
	if err != nil {
		return nil, err
	}
	names := map[string]bool{}
	for _, part := range []string{"pilot", "pkg", "security"} {
		err := filepath.WalkDir(filepath.Join(root, part), func(file string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
				return err
			}
			text, err := os.ReadFile(file)
			for _, literal := range variableName.FindAll(text, -1) {
				names[strings.Trim(string(literal), `"`)] = true
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return names, nil
})

// unknownVariables finds variables that istiod never reads. Istiod ignores
// them in silence.
func unknownVariables(paths map[string]string) ([]string, error) {
	if len(paths) == 0 {
		return nil, nil
	}
	known, err := istioVariables()
	if err != nil {
		return nil, err
	}
	var findings []string
	for _, name := range sortedKeys(paths) {
		if !known[name] {
			findings = append(findings, paths[name]+": istiod reads no such variable"+didYouMean(name, sortedKeys(known)))
		}
	}
	return findings, nil
}
