package main

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"sigs.k8s.io/yaml"
)

// shelf keeps the charts that one run needs, each made ready once.
type shelf struct {
	folder string
	lock   sync.Mutex
	charts map[string]func() (*chart, error)
}

// chart is a chart made ready to render, and what it knows of its values.
type chart struct {
	name   string
	source chartSource
	folder string
	keys   *keyTree
}

// notToBeHad says that a chart cannot be had on this machine. It is no fault
// of the install, but it must be said loudly.
type notToBeHad struct{ reason string }

func (e *notToBeHad) Error() string { return e.reason }

func newShelf() (*shelf, error) {
	folder, err := os.MkdirTemp("", "hcb-charts-")
	return &shelf{folder: folder, charts: map[string]func() (*chart, error){}}, err
}

func (s *shelf) remove() { _ = os.RemoveAll(s.folder) }

// downloadAll fetches every chart that comes from a Go module.
func (s *shelf) downloadAll() error {
	for _, module := range sortedKeys(modules) {
		if _, err := downloadModule(module); err != nil {
			return err
		}
	}
	return nil
}

// chart returns the chart as it is released under this version.
func (s *shelf) chart(name, version string) (*chart, error) {
	s.lock.Lock()
	key := name + "@" + version
	ready, known := s.charts[key]
	if !known {
		ready = sync.OnceValues(func() (*chart, error) { return s.prepare(name, version) })
		s.charts[key] = ready
	}
	s.lock.Unlock()
	return ready()
}

// shelveCharts copies charts, made ready under the version that is asked for, below a folder. One that
// cannot be had is said and left out.
func shelveCharts(folder string, names []string, stderr io.Writer) (int, error) {
	shelf, err := newShelf()
	if err != nil {
		return exitBroken, err
	}
	defer shelf.remove()
	for _, full := range names {
		name, version, _ := strings.Cut(full, "@")
		if _, listed := catalogue[name]; !listed || version == "" {
			return exitBroken, fmt.Errorf("%q is not NAME@VERSION of a chart that is listed", full)
		}
		chart, err := shelf.chart(name, version)
		var missing *notToBeHad
		if errors.As(err, &missing) {
			fmt.Fprintf(stderr, "SKIPPED  %s: %s\n", full, missing)
			continue
		}
		if err != nil {
			return exitBroken, err
		}
		if err := os.CopyFS(filepath.Join(folder, name), os.DirFS(chart.folder)); err != nil {
			return exitBroken, err
		}
	}
	return exitFine, nil
}

func (s *shelf) prepare(name, version string) (*chart, error) {
	source := catalogue[name]
	root, err := s.root(name, source)
	if err != nil {
		return nil, err
	}
	original := filepath.Join(root, source.path)
	if _, err := os.Stat(filepath.Join(original, "Chart.yaml")); err != nil {
		return nil, fmt.Errorf("chart %s: %w", name, err)
	}
	folder, err := os.MkdirTemp(s.folder, name+"-")
	if err != nil {
		return nil, err
	}
	// The module cache is read-only and Chart.yaml must change.
	if err := os.CopyFS(folder, os.DirFS(original)); err != nil {
		return nil, err
	}
	if err := stampVersion(folder, version); err != nil {
		return nil, fmt.Errorf("chart %s: %w", name, err)
	}
	if source.crds != "" {
		if err := addCRDs(folder, filepath.Join(root, source.crds)); err != nil {
			return nil, fmt.Errorf("chart %s: %w", name, err)
		}
	}
	keys, err := readKeys(folder, source)
	if err != nil {
		return nil, fmt.Errorf("chart %s: %w", name, err)
	}
	return &chart{name: name, source: source, folder: folder, keys: keys}, nil
}

func (s *shelf) root(name string, source chartSource) (string, error) {
	if source.module != "" {
		return downloadModule(source.module)
	}
	place := os.Getenv(source.environment)
	if place == "" {
		return "", &notToBeHad{fmt.Sprintf(
			"no Go module carries this chart; set %s to a folder or .tar.gz that has %s", source.environment, source.path)}
	}
	info, err := os.Stat(place)
	if err != nil {
		return "", fmt.Errorf("%s: %w", source.environment, err)
	}
	if info.IsDir() {
		return place, nil
	}
	folder, err := os.MkdirTemp(s.folder, name+"-source-")
	if err != nil {
		return "", err
	}
	if err := unpack(place, source.path, folder); err != nil {
		return "", fmt.Errorf("%s: %w", place, err)
	}
	return folder, nil
}

// stampVersion does what the charts' own release tooling does: in the source
// the version of most of them is a placeholder such as v0.0.0. It also drops
// dependencies that are not vendored, because helm refuses to render without
// them even when a condition turns them off.
func stampVersion(folder, version string) error {
	file := filepath.Join(folder, "Chart.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var metadata map[string]any
	if err := yaml.Unmarshal(text, &metadata); err != nil {
		return err
	}
	number := strings.TrimPrefix(version, "v")
	metadata["version"] = number
	if before, isText := metadata["appVersion"].(string); isText && strings.HasPrefix(before, "v") {
		number = "v" + number
	}
	metadata["appVersion"] = number
	if _, err := os.Stat(filepath.Join(folder, "charts")); errors.Is(err, os.ErrNotExist) {
		delete(metadata, "dependencies")
		if err := os.Remove(filepath.Join(folder, "Chart.lock")); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	if text, err = yaml.Marshal(metadata); err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o644)
}

// crdsTemplate copies the CRDs as they are: their descriptions hold braces
// that are not meant for helm.
const crdsTemplate = `{{ if .Values.installCRDs }}{{ .Files.Get "crds-of-the-release.yaml" }}{{ end }}`

// addCRDs puts the CRDs into a chart whose source lacks them.
func addCRDs(folder, crds string) error {
	text, err := os.ReadFile(crds)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, "crds-of-the-release.yaml"), text, 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, "templates", "crds-of-the-release.yaml"), []byte(crdsTemplate), 0o644)
}

// unpack extracts the part of a .tar.gz that lies below path, wherever in the
// archive path begins: archives differ in the name of their top folder.
func unpack(archive, path, into string) error {
	file, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		return err
	}
	for members := tar.NewReader(unzipped); ; {
		member, err := members.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		start := strings.Index("/"+member.Name, "/"+path+"/")
		if member.Typeflag != tar.TypeReg || start < 0 {
			continue
		}
		name, err := filepath.Localize(member.Name[start:])
		if err != nil {
			return err
		}
		if err := writeFile(filepath.Join(into, name), members); err != nil {
			return err
		}
	}
}

func writeFile(file string, content io.Reader) error {
	text, err := io.ReadAll(content)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o644)
}
