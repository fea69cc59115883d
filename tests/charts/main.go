// Command charts proves that the real Helm charts accept the values that hcb
// generates for them.
//
// Usage:
//
//	charts [-o DIR] INSTALLS    render and check every INSTALLS/*.json
//	charts -prepare             build helm and download the charts, then stop
//	charts -shelve DIR CHARTS   copy each chart, NAME@VERSION, to DIR/NAME, then stop
//
// Each install is rendered by the real `helm template`. Helm itself ignores a
// value that no template reads, so every key is also looked up in what the
// chart knows: its values.yaml, its schema and the paths its templates read.
//
// Standard output has one line per install: `ok`, `bad` or `skip`, the chart,
// the name of the install's file and the number of objects. Findings go to
// standard error. The exit status is 0 when nothing was found, 1 when
// something was, and 2 when the check itself could not be made.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

const (
	exitFine     = 0
	exitFindings = 1
	exitBroken   = 2
)

func main() {
	status, err := run(os.Args[1:], os.Stdout, os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "charts:", err)
	}
	os.Exit(status)
}

func run(arguments []string, stdout, stderr io.Writer) (int, error) {
	flags := flag.NewFlagSet("charts", flag.ContinueOnError)
	flags.SetOutput(stderr)
	output := flags.String("o", "", "write the rendered manifests to this `folder`")
	prepareOnly := flags.Bool("prepare", false, "build helm and download the charts, then stop")
	shelve := flags.String("shelve", "", "copy charts, each given as NAME@VERSION, to this `folder`, then stop")
	if err := flags.Parse(arguments); err != nil {
		return exitBroken, nil // The flag package has said why.
	}
	if *shelve != "" {
		return shelveCharts(*shelve, flags.Args(), stderr)
	}

	var installs []install
	switch {
	case *prepareOnly && flags.NArg() == 0:
	case !*prepareOnly && flags.NArg() == 1:
		var err error
		if installs, err = readInstalls(flags.Arg(0)); err != nil {
			return exitBroken, err
		}
	default:
		flags.Usage()
		return exitBroken, errors.New("expected one folder of installs, or -prepare alone")
	}

	helm, err := buildHelm(stderr)
	if err != nil {
		return exitBroken, err
	}
	shelf, err := newShelf()
	if err != nil {
		return exitBroken, err
	}
	defer shelf.remove()
	if *prepareOnly {
		return exitFine, shelf.downloadAll()
	}
	if *output != "" {
		if err := os.MkdirAll(*output, 0o755); err != nil {
			return exitBroken, err
		}
	}
	return report(checkAll(helm, shelf, installs), *output, stdout, stderr)
}

func report(outcomes []outcome, output string, stdout, stderr io.Writer) (int, error) {
	status := exitFine
	for _, o := range outcomes {
		word := "ok"
		switch {
		case o.broken != nil:
			return exitBroken, fmt.Errorf("%s: %w", o.install.name, o.broken)
		case o.skipped != "":
			word = "skip"
			fmt.Fprintf(stderr, "SKIPPED  %s  %s: %s\n", o.install.Chart, o.install.name, o.skipped)
		case len(o.findings) > 0:
			word = "bad"
			status = exitFindings
		}
		for _, note := range o.notes {
			fmt.Fprintf(stderr, "note  %s  %s: %s\n", o.install.Chart, o.install.name, note)
		}
		for _, finding := range o.findings {
			fmt.Fprintf(stderr, "bad  %s  %s: %s\n", o.install.Chart, o.install.name, finding)
		}
		fmt.Fprintf(stdout, "%-4s  %s  %s  %d objects\n", word, o.install.Chart, o.install.name, o.rendered.objects)
		if output != "" && word == "ok" {
			file := filepath.Join(output, o.install.name+".yaml")
			if err := os.WriteFile(file, o.rendered.manifests, 0o644); err != nil {
				return exitBroken, err
			}
		}
	}
	return status, nil
}
