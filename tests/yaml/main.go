// Command yaml reads YAML as Kubernetes does: with sigs.k8s.io/yaml, strictly. Standard input names
// files, one a line; standard output has the value of each as one line of JSON.
package main

import (
	"bufio"
	"fmt"
	"os"

	"sigs.k8s.io/yaml"
)

func main() {
	lines := bufio.NewScanner(os.Stdin)
	out := bufio.NewWriter(os.Stdout)
	for lines.Scan() {
		text, err := os.ReadFile(lines.Text())
		if err == nil {
			// Strict: a key that stands twice is an error.
			text, err = yaml.YAMLToJSONStrict(text)
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", lines.Text(), err)
			os.Exit(1)
		}
		fmt.Fprintf(out, "%s\n", text)
	}
	if err := out.Flush(); err != nil {
		os.Exit(1)
	}
}
