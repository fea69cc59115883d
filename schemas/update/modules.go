package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// moduleDir downloads a module with the Go client and returns its folder in the module cache.
func moduleDir(module, version string) (string, error) {
	output, err := goTool("mod", "download", "-json", module+"@"+version)
	if err != nil {
		return "", err
	}
	var download struct{ Dir string }
	if err := json.Unmarshal(output, &download); err != nil {
		return "", err
	}
	return download.Dir, nil
}

// generateCRDs runs controller-gen on a package of Go types into folder and returns the files
// made. The package must be among the dependencies in go.mod, at the version asked for, so that
// the two places that name the version cannot drift apart.
func generateCRDs(module, version, types, folder string) ([]string, error) {
	required, err := goTool("list", "-m", "-f", "{{.Version}}", module)
	if err != nil {
		return nil, err
	}
	if found := strings.TrimSpace(string(required)); found != version {
		return nil, fmt.Errorf("go.mod requires %s %s, sources.json says %s", module, found, version)
	}
	_, err = goTool("tool", "controller-gen", "crd:maxDescLen=0,allowDangerousTypes=true",
		"paths="+module+"/"+types, "output:crd:dir="+folder)
	if err != nil {
		return nil, err
	}
	return filepath.Glob(filepath.Join(folder, "*.yaml"))
}

func goTool(arguments ...string) ([]byte, error) {
	command := exec.Command("go", arguments...)
	var complaint bytes.Buffer
	command.Stderr = &complaint
	output, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("go %s: %w: %s%s", strings.Join(arguments, " "), err, output, complaint.String())
	}
	return output, nil
}
