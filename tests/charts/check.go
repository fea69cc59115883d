package main

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
)

// outcome is what became of one install.
type outcome struct {
	install  install
	rendered rendering
	findings []string
	notes    []string
	skipped  string
	broken   error
}

// checkAll checks the installs side by side, one per core, because nearly all
// of the time goes into one helm process per install.
func checkAll(helm string, shelf *shelf, installs []install) []outcome {
	outcomes := make([]outcome, len(installs))
	free := make(chan struct{}, runtime.NumCPU())
	var all sync.WaitGroup
	for i := range installs {
		all.Add(1)
		free <- struct{}{}
		go func() {
			defer all.Done()
			defer func() { <-free }()
			outcomes[i] = check(helm, shelf, installs[i])
		}()
	}
	all.Wait()
	return outcomes
}

func check(helm string, shelf *shelf, in install) outcome {
	result := outcome{install: in}
	source, listed := catalogue[in.Chart]
	if !listed {
		result.findings = append(result.findings,
			fmt.Sprintf("no chart of that name is listed%s", didYouMean(in.Chart, sortedKeys(catalogue))))
		return result
	}
	chart, err := shelf.chart(in.Chart, in.Version)
	var missing *notToBeHad
	if errors.As(err, &missing) {
		result.skipped = missing.Error()
		return result
	}
	if err != nil {
		result.broken = err
		return result
	}

	if finding, note := source.compareVersion(in.Version); finding != "" {
		result.findings = append(result.findings, finding)
	} else if note != "" {
		result.notes = append(result.notes, note)
	}
	findings, err := checkValues(chart, in.tree)
	if err != nil {
		result.broken = err
		return result
	}
	result.findings = append(result.findings, findings...)
	rendered, finding := render(helm, chart.folder, in)
	if finding != "" {
		result.findings = append(result.findings, finding)
	}
	result.rendered = rendered
	return result
}
