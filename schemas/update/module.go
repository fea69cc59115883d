package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// moduleFolder downloads a Go module into the module cache and returns its folder there.
func moduleFolder(module, version string) (string, error) {
	if strings.HasPrefix(module, ".") {
		return module, nil
	}
	command := exec.Command("go", "mod", "download", "-json", module+"@"+version)
	// Outside of any module, so that the download is not checked against go.mod.
	command.Dir = os.TempDir()
	out, _ := command.Output()
	var found struct{ Dir, Error string }
	if err := json.Unmarshal(out, &found); err != nil {
		return "", fmt.Errorf("go mod download %s@%s: %w", module, version, err)
	}
	if found.Error != "" {
		return "", fmt.Errorf("go mod download: %s", found.Error)
	}
	return found.Dir, nil
}
