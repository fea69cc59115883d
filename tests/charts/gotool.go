package main

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// The module's own files are built into the program, so that it can build the
// helm that they pin wherever it is run.
var (
	//go:embed go.mod
	goMod []byte
	//go:embed go.sum
	goSum []byte
)

const helmPackage = "helm.sh/helm/v4/cmd/helm"

// buildHelm returns the path of the real helm. It is built once per go.sum
// and kept outside the checkout, because a cold build takes minutes.
func buildHelm(stderr io.Writer) (string, error) {
	cache, err := cacheFolder()
	if err != nil {
		return "", err
	}
	key := sha256.Sum256(goSum)
	binary := filepath.Join(cache, "helm-"+hex.EncodeToString(key[:8]), "helm")
	if _, err := os.Stat(binary); err == nil {
		return binary, nil
	}
	fmt.Fprintf(stderr, "charts: building helm once into %s; a cold build takes some minutes\n", binary)
	if err := os.MkdirAll(filepath.Dir(binary), 0o755); err != nil {
		return "", err
	}
	module, err := os.MkdirTemp("", "hcb-helm-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(module)
	if err := os.WriteFile(filepath.Join(module, "go.mod"), goMod, 0o644); err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(module, "go.sum"), goSum, 0o644); err != nil {
		return "", err
	}
	start := time.Now()
	// The rename at the end keeps a build that was cut short, or a second one
	// at the same time, from leaving half a binary behind.
	partial := fmt.Sprintf("%s.%d", binary, os.Getpid())
	build := exec.Command("go", "build", "-o", partial, helmPackage)
	build.Dir = module
	if message, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building helm: %w\n%s", err, message)
	}
	fmt.Fprintf(stderr, "charts: built helm in %s\n", time.Since(start).Round(time.Second))
	return binary, os.Rename(partial, binary)
}

func cacheFolder() (string, error) {
	if base := os.Getenv("XDG_CACHE_HOME"); base != "" {
		return filepath.Join(base, "hcb"), nil
	}
	home, err := os.UserHomeDir()
	return filepath.Join(home, ".cache", "hcb"), err
}

// downloadModule returns the folder of a pinned module in Go's module cache.
func downloadModule(path string) (string, error) {
	pin := modules[path]
	// Outside of any module, so that nobody's go.mod takes part in it.
	outside, err := os.MkdirTemp("", "hcb-download-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(outside)
	download := exec.Command("go", "mod", "download", "-json", path+"@"+pin.version)
	download.Dir = outside
	answer, err := download.Output()
	var found struct{ Dir, Sum, Error string }
	if parseError := json.Unmarshal(answer, &found); parseError != nil {
		return "", fmt.Errorf("go mod download %s@%s: %w", path, pin.version, errors.Join(err, parseError))
	}
	if found.Error != "" {
		return "", errors.New(found.Error)
	}
	if found.Sum != pin.sum {
		return "", fmt.Errorf("%s@%s has the hash %s, but %s is pinned", path, pin.version, found.Sum, pin.sum)
	}
	return found.Dir, nil
}
