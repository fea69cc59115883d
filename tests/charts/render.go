package main

import (
	"bytes"
	"fmt"
	"os/exec"
	"strings"

	"sigs.k8s.io/yaml"
)

// rendering is what helm made of one install.
type rendering struct {
	manifests []byte
	objects   int
}

// render runs `helm template` as the GitOps tools do: with the chart's own
// CRDs and without its tests.
func render(helm, chartFolder string, in install) (rendering, string) {
	template := exec.Command(helm, "template", in.Release, chartFolder,
		"--namespace", in.Namespace,
		"--kube-version", in.Kubernetes,
		"--include-crds", "--skip-tests",
		"--values", "-")
	template.Stdin = bytes.NewReader(in.Values)
	var stdout, stderr bytes.Buffer
	template.Stdout, template.Stderr = &stdout, &stderr
	if err := template.Run(); err != nil {
		return rendering{}, fmt.Sprintf("helm template: %v: %s", err, strings.TrimSpace(stderr.String()))
	}
	objects, finding := countObjects(stdout.String())
	return rendering{manifests: stdout.Bytes(), objects: objects}, finding
}

// countObjects reads the documents back, because helm does not look closely at
// the YAML that its templates make: a key that is set twice passes it, but not
// every tool that applies the result.
func countObjects(manifests string) (int, string) {
	objects := 0
	for _, document := range strings.Split("\n"+manifests, "\n---") {
		var object struct {
			APIVersion string `json:"apiVersion"`
			Kind       string `json:"kind"`
			Metadata   struct {
				Name string `json:"name"`
			} `json:"metadata"`
		}
		content, err := yaml.YAMLToJSONStrict([]byte(document))
		if err != nil {
			return objects, fmt.Sprintf("%s renders what is not YAML: %v", templateOf(document), err)
		}
		if string(content) == "null" {
			continue // Templates that render nothing leave a comment behind.
		}
		if err := yaml.Unmarshal(content, &object); err != nil {
			return objects, fmt.Sprintf("%s renders what is no object: %v", templateOf(document), err)
		}
		if object.APIVersion == "" || object.Kind == "" || object.Metadata.Name == "" {
			return objects, templateOf(document) + " renders an object without apiVersion, kind or metadata.name"
		}
		objects++
	}
	if objects == 0 {
		return 0, "renders no object at all"
	}
	return objects, ""
}

// templateOf names the template that a document came from, which helm writes
// above it.
func templateOf(document string) string {
	_, comment, found := strings.Cut(document, "# Source: ")
	if !found {
		return "a template"
	}
	name, _, _ := strings.Cut(comment, "\n")
	return name
}
